"""Make a web artifact of an ONNX artifact: the same graph beside a page, without the Keras model it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_fm_export.browser_runtime.package import PACKAGE, WebRuntime
from edge_fm_export.documents.bom import BOM_FILE, bill_of_materials, require_bom
from edge_fm_export.documents.card import CARD_FILE, model_card
from edge_fm_export.packages import require_package
from edge_fm_export.planning import artifact_name
from edge_fm_export.results import ExportReport, ExportResult
from edge_fm_export.targets import Target
from edge_fm_export.web.page_files import write_page
from edge_fm_export.web.web_format import embed, page_notes
from edge_fm_export.writer import check_replaceable, disk_errors, install, workspace
from edge_fm_runtime.artifacts.artifact import Artifact, load_unsigned
from edge_fm_runtime.artifacts.files import DRIFT_FILE, hash_file, list_files
from edge_fm_runtime.artifacts.golden import GOLDEN_FILE, golden_of
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, Metadata, PhotoMode, dump_metadata
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.errors import ExportError, GateError
from edge_fm_runtime.parity.verification import Verification, verify_golden
from edge_fm_runtime.progress import ProgressFn, silent

PAYLOAD = "model.onnx"


def web_from_onnx(
    artifact: Artifact,
    target: Target,
    out_dir: Path,
    *,
    runtime: WebRuntime,
    photo: PhotoMode | None = None,
    force: bool = False,
    bom: bool = False,
    progress: ProgressFn = silent,
) -> ExportReport:
    """Write the page for a model that was exported to ONNX before, and replay its golden predictions.

    The graph stays as it is, so what the gate measured at its export holds for the page, too: the metadata keep it. The
    new file's golden predictions must be those of the old one, bit for bit.

    Args:
        artifact: with its golden predictions.
        target: as from `check_artifact`.
        out_dir: where the folder will stand; made if absent.
        runtime: ONNX Runtime Web's files.
        photo: another way from a photo to pixels, which lies outside of the graph; None for the artifact's own.
        force: replace an artifact of another model.
        bom: add a bill of materials.
        progress: called as work goes on.

    Raises:
        ExportError: the folder cannot be written.
        GateError: the golden predictions are out of tolerance here.
        MissingDependencyError: a package is missing.
    """
    metadata = artifact.metadata
    require_package("onnx", "The web format")
    if bom:
        require_bom()
    source = metadata.source or {}
    made = _described(metadata, artifact_name(model_name(metadata), target), runtime, photo or metadata.photo.mode)
    place = out_dir / made.name
    sha256 = str(source.get("sha256"))
    check_replaceable(place, source_sha256=sha256, force=force)
    golden = golden_of(artifact)
    with workspace(out_dir) as work, disk_errors(place):
        folder = work / made.name
        folder.mkdir()
        payload = artifact.content(metadata.payload)
        (folder / PAYLOAD).write_bytes(artifact.payload.read_bytes() if payload is None else payload)
        embed(folder / PAYLOAD, made.embedded(), made)
        size = hash_file(folder / PAYLOAD).bytes
        made = replace(made, graph={**(made.graph or {}), "bytes": size})
        # The graph is the same, so what was recorded of its predictions and of held-out images holds, too.
        for name in (GOLDEN_FILE, *({DRIFT_FILE} & set(metadata.files))):
            content = artifact.content(name)
            (folder / name).write_bytes((artifact.path / name).read_bytes() if content is None else content)
        (folder / CARD_FILE).write_text(model_card(made), encoding="utf-8")
        write_page(folder, made, runtime)
        made = replace(made, files={name: hash_file(folder / name) for name in list_files(folder)})
        if bom:
            (folder / BOM_FILE).write_text(bill_of_materials(made), encoding="utf-8")
            made = replace(made, files={**made.files, BOM_FILE: hash_file(folder / BOM_FILE)})
        (folder / METADATA_FILE).write_text(dump_metadata(made), encoding="utf-8")
        progress("replaying golden predictions", 0, None)
        verification = _replay(artifact, load_unsigned(folder))
        replaced = (place / METADATA_FILE).is_file()
        install(folder, place, source_sha256=sha256, force=force)
    result = ExportResult(
        place, target, size, verification.parity, verification.checks, verification.engine, made,
        tuple((made.source or {}).get("notes", ())), replaced,
    )  # fmt: skip
    return ExportReport((result,), golden.reference)


def check_artifact(artifact: Artifact, targets: Sequence[Target]) -> Target:
    """The one target that an artifact can be exported to again.

    Raises:
        ExportError: another format or precision was asked for, or the artifact is of another format itself.
    """
    metadata = artifact.metadata
    if metadata.format not in ("onnx", "web"):
        raise ExportError(
            f"{artifact.path} is a {metadata.format} artifact; of those alone that are onnx a page can be made.",
            hint=f"Export the Keras model: edgefm export RUN|MODEL.keras --format {targets[0].format}",
        )
    wanted = Target("web", metadata.precision)
    if tuple(targets) != (wanted,):
        raise ExportError(
            f"{artifact.path} is an artifact of {metadata.format} {metadata.precision}: it can be exported to {wanted} "
            f"alone, not to {', '.join(map(str, targets))}.",
            hint=f"Type --format web --precision {metadata.precision}   or export the Keras model instead",
        )
    return wanted


def model_name(metadata: Metadata) -> str:
    """Name of the model that an artifact was exported from; the artifact's own where that is unknown."""
    return str((metadata.source or {}).get("name") or metadata.name)


def _described(metadata: Metadata, name: str, runtime: WebRuntime, mode: PhotoMode) -> Metadata:
    source = dict(metadata.source or {})
    photo, channels = replace(metadata.photo, mode=mode), metadata.input.channels
    webgpu = metadata.precision != "int8"
    notes = [*page_notes(photo, channels, runtime, webgpu=webgpu)]
    if photo != metadata.photo:
        notes.append(f"Photos become pixels by {mode}; in {metadata.name} they do by {metadata.photo.mode}.")
    origin = f"The graph is that of {metadata.name}, as are the figures of its gate."
    older = {*notes, *page_notes(metadata.photo, channels, runtime, webgpu=webgpu)}
    before = [note for note in source.get("notes", ()) if note not in older and PACKAGE not in note]
    source["notes"] = [*before, *([] if metadata.format == "web" else [origin]), *notes]
    return replace(
        metadata,
        name=name,
        format="web",
        payload=PAYLOAD,
        photo=photo,
        graph={key: value for key, value in (metadata.graph or {}).items() if key != "bytes"},
        source=source,
        versions={**metadata.versions, PACKAGE: runtime.version},
        files={},
    )


def _replay(old: Artifact, new: Artifact) -> Verification:
    """Replay the golden predictions of the new folder, and compare the two models' predictions, bit for bit."""
    images = golden_of(new).images
    engines = [create_engine(one, "onnxruntime") for one in (old, new)]
    try:
        verification = verify_golden(new, engines[1])
        before, after = (engine.predict_all(images, batch=new.metadata.input.batch or 1) for engine in engines)
    finally:
        for engine in engines:
            engine.close()
    failures = [check.describe() for check in verification.checks if not check.passed]
    if not np.array_equal(before, after):
        failures.append(f"the predictions differ from those of {old.path} by up to {np.abs(before - after).max():.2g}")
    if failures:
        raise GateError(
            f"web {new.metadata.precision} does not predict as {old.path} did:",
            failures,
            hint=f"Look at it on this machine: edgefm verify {old.path}",
        )
    return verification
