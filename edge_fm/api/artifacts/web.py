"""Export an ONNX artifact again, to the web format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.common.export_options import ExportOptions
from edge_fm.api.common.places import EXPORTS, RUNS
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.progress import MessageFn, ProgressFn

if TYPE_CHECKING:
    from edge_fm_export.results import ExportReport
    from edge_fm_export.targets import Target


def find_artifact(model: str | Path) -> Path | None:
    """The folder of the artifact that `model` is or names in the package; None where it is a model to convert."""
    from edge_fm_runtime.artifacts.metadata import METADATA_FILE
    from edge_fm_runtime.artifacts.packaged import packaged_artifact

    path = Path(model)
    if (path / METADATA_FILE).is_file():
        return path
    return None if path.exists() else packaged_artifact(path)


def require_target(path: Path, targets: Sequence[Target]) -> str:
    """The name of the model that an artifact was exported from, if the artifact can be exported to `targets`.

    Raises:
        ExportError: it cannot; see `export_artifact`.
    """
    from edge_fm_export.web.repackage import check_artifact, model_name
    from edge_fm_runtime.artifacts.artifact import load_artifact

    artifact = load_artifact(path)
    check_artifact(artifact, targets)
    return model_name(artifact.metadata)


def require_artifact_options(path: Path, options: ExportOptions) -> None:
    """Refuse options that would change an artifact's graph.

    Raises:
        ExportError: such an option was given.
    """
    kept = ExportOptions(force=options.force, bom=options.bom, photo=options.photo, web_runtime=options.web_runtime)
    if options != kept:
        given = [f"--{name.replace('_', '-')}" for name in vars(kept) if getattr(options, name) != getattr(kept, name)]
        raise ExportError(
            f"{path} is an artifact, whose graph is taken as it is: {', '.join(given)} cannot change it.",
            hint="Leave the option out, or export the Keras model: edgefm export RUN|MODEL.keras --format web",
        )


def export_artifact(
    path: Path,
    targets: Sequence[Target],
    *,
    out: str | Path | None,
    options: ExportOptions,
    progress: ProgressFn,
    note: MessageFn,
) -> ExportReport:
    """Export an artifact again, to web at its own precision; the graph stays as it is.

    Raises:
        ExportError: another target or an option that would change the graph was asked for, or the folder cannot be
            written.
        GateError: the golden predictions are out of tolerance here.
        DownloadError: the npm package is not on this machine, and cannot be fetched.
    """
    from edge_fm.web_runtime import obtain_web_runtime
    from edge_fm_export.web.repackage import check_artifact, model_name, web_from_onnx
    from edge_fm_runtime.artifacts.artifact import load_artifact

    artifact = load_artifact(path)
    target = check_artifact(artifact, targets)
    require_artifact_options(path, options)
    runtime = obtain_web_runtime(options.web_runtime, progress=progress, note=note)
    place = Path(out) if out is not None else RUNS / model_name(artifact.metadata) / EXPORTS
    report = web_from_onnx(
        artifact,
        target,
        place,
        runtime=runtime,
        photo=options.photo,
        force=options.force,
        bom=options.bom,
        progress=progress,
    )
    for text in report.results[0].notes:
        note(f"Note on {target}: {text}")
    return report
