"""The web format: the ONNX exporter's model beside a page that runs it in a browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_fm_export.browser_runtime.package import HOW_TO_SUPPLY, PACKAGE, WebRuntime
from edge_fm_export.context import BuildContext, Built
from edge_fm_export.onnx import onnx_format, onnx_int8
from edge_fm_export.web.page_files import page_bytes, write_page
from edge_fm_runtime.artifacts.metadata import Metadata, PhotoSpec
from edge_fm_runtime.errors import ExportError

_MODES = ("fit", "crop", "stretch")
"""Photo modes that the page computes; see page/photo/canvas.js."""


def build_fp32(context: BuildContext, folder: Path) -> Built:
    """Build the fp32 artifact's `model.onnx`, as the ONNX format does."""
    runtime = require_runtime(context.web_runtime)
    return _described(onnx_format.build_fp32(context, folder), context, runtime, webgpu=True)


def build_fp16(context: BuildContext, folder: Path) -> Built:
    """Build the fp16 artifact's `model.onnx`, as the ONNX format does."""
    runtime = require_runtime(context.web_runtime)
    return _described(onnx_format.build_fp16(context, folder), context, runtime, webgpu=True)


def build_int8(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact's `model.onnx`, as the ONNX format does."""
    runtime = require_runtime(context.web_runtime)
    return _described(onnx_int8.build(context, folder), context, runtime, webgpu=False)


def embed(payload: Path, text: str, metadata: Metadata) -> None:
    """Write `text` into the model's `metadata_props` under the one key."""
    onnx_format.embed(payload, text, metadata)


def finish(context: BuildContext, folder: Path, metadata: Metadata) -> None:
    """Write the page beside the model, its card and its golden predictions."""
    write_page(folder, metadata, require_runtime(context.web_runtime))


def require_runtime(runtime: WebRuntime | None) -> WebRuntime:
    """ONNX Runtime Web's files.

    Raises:
        ExportError: there are none.
    """
    if runtime is None:
        raise ExportError(f"The web format needs the npm package {PACKAGE}, which was not given.", hint=HOW_TO_SUPPLY)
    return runtime


def page_notes(photo: PhotoSpec, channels: int, runtime: WebRuntime, *, webgpu: bool) -> tuple[str, ...]:
    """What a person should know of a page, one sentence each."""
    size = page_bytes(runtime, webgpu=webgpu) / 1e6
    notes = [f"The page and {PACKAGE} {runtime.version} add {size:.1f} MB to the model."]
    if channels not in (1, 3):
        notes.append(f"The page classifies no photos: the model takes {channels} channels.")
    elif photo.mode not in _MODES:
        notes.append(
            f"The page takes images of exactly the model's size alone: photo mode {photo.mode} is not computed in a "
            "browser. For photos of any size, export with --photo fit, crop or stretch."
        )
    return tuple(notes)


def _described(built: Built, context: BuildContext, runtime: WebRuntime, *, webgpu: bool) -> Built:
    notes = page_notes(context.source.photo, context.source.input.channels, runtime, webgpu=webgpu)
    return replace(built, notes=(*built.notes, *notes))
