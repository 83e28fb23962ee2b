"""`write_model_repository`: an artifact laid out for Triton, OpenVINO Model Server or TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_fm_export.model_repositories.layouts import Layout
    from edge_fm_export.model_repositories.writer import RepositoryVersion


def write_model_repository(
    artifact: str | Path,
    layout: Layout,
    repository: str | Path | None = None,
    *,
    model_name: str | None = None,
    model_version: int | None = None,
    server_path: str | None = None,
) -> RepositoryVersion:
    """Write an artifact as a new version of a model in another server's model repository.

    The payload is copied byte for byte, with `edgefm.json` beside it. Nothing that is there is replaced: the next
    version is written, and the configuration is extended. `verify(artifact, server=URL)` replays the golden
    predictions through the running server.

    Args:
        artifact: folder of an exported artifact.
        layout: "triton" (ONNX, OpenVINO), "ovms" (all formats) or "tfserving" (SavedModel).
        repository: the folder of all models; None for a folder named as the layout, beside the artifact.
        model_name: name of the model; None for the artifact's.
        model_version: number of the version, from 1; None for the next.
        server_path: where the server sees the repository; None for "/models". Triton's configuration has no such place.

    Raises:
        ExportError: the server does not run this format, or the repository cannot be extended.
        ArtifactError: it is no artifact, or is damaged.
    """
    from edge_fm.api.common.places import RUNS
    from edge_fm_export.model_repositories.layouts import MOUNT, SERVERS
    from edge_fm_export.model_repositories.writer import write_version
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.artifacts.packaged import MODELS
    from edge_fm_runtime.errors import ExportError

    if layout not in SERVERS:
        raise ExportError(f"There is no layout {layout!r}; supported are {', '.join(SERVERS)}.")
    if model_version is not None and model_version < 1:
        raise ExportError(f"A version of a model is a number from 1; got {model_version}.")
    if layout == "triton" and server_path is not None:
        raise ExportError(
            "Triton's configuration names no place of the repository, so that --server-path means nothing to it.",
            hint="Leave it out; the server is started with --model-repository=DIR.",
        )
    opened = load_artifact(artifact)
    if repository is None:
        beside = opened.path.parent
        repository = (RUNS if beside == MODELS else beside) / layout
    return write_version(
        opened, layout, Path(repository), name=model_name, version=model_version, mount=server_path or MOUNT
    )


def is_artifact(path: str | Path) -> bool:
    """Whether `path` is an exported artifact, by its files alone, or the name of one in the package."""
    from edge_fm_runtime.artifacts.metadata import METADATA_FILE
    from edge_fm_runtime.artifacts.packaged import packaged_artifact

    path = Path(path)
    if path.name == METADATA_FILE or (path / METADATA_FILE).is_file():
        return True
    return not path.exists() and packaged_artifact(path) is not None


def require_layout(
    layout: Layout, formats: Sequence[str], model_name: str | None, precisions: Sequence[str] | None = None
) -> None:
    """Refuse, before a model is exported, formats that the server does not run, and several models of one name.

    Raises:
        ExportError: names what the server runs.
    """
    from edge_fm_export.model_repositories.layouts import SERVERS
    from edge_fm_export.targets import parse_targets
    from edge_fm_runtime.errors import ExportError

    server = SERVERS[layout]
    targets = parse_targets(formats, precisions)
    other = sorted({target.format for target in targets} - set(server.formats))
    if other:
        why = "; ".join(f"{one}: {server.why_not[one]}" for one in other)
        raise ExportError(
            f"{server.title} does not run {', '.join(other)} ({why}); nothing was exported.",
            hint=f"Name its formats: {' '.join(f'--format {one}' for one in server.formats)}",
        )
    if model_name is not None and len(targets) > 1:
        raise ExportError(
            f"{len(targets)} artifacts were asked for, and one name for all: {model_name}; nothing was exported.",
            hint="Leave --model-name out: each is called as its artifact.",
        )
