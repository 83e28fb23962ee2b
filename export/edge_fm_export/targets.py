"""What can be exported: one entry for each pair of format and precision, and what each format needs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from edge_fm_export.browser_runtime.package import find_package
from edge_fm_export.context import BuildContext, Built
from edge_fm_runtime.artifacts.metadata import FORMATS, PRECISIONS, Format, Metadata, Precision
from edge_fm_runtime.errors import ExportError


@dataclass(frozen=True)
class Target:
    """A format at a precision."""

    format: Format
    precision: Precision

    def __str__(self) -> str:
        return f"{self.format} {self.precision}"


@dataclass(frozen=True)
class FormatEntry:
    """What a format needs, whatever its precision.

    Attributes:
        embed: "module:function", called as `embed(payload, text, metadata)`.
        engine: the engine that its gate runs, a key of the runtime's or of the reference engines.
        packages: import names of what exporting it and running its gate needs.
        finish: "module:function", called as `finish(context, folder, metadata)` once all but `edgefm.json` is written;
            None for nothing.
        preflight: "module:function", called as `preflight(context)` before any image is run through the model; raises
            ExportError where the format cannot have it. None for nothing to find out.
        batch: the batch size that its artifacts always have; None for the one that is requested, or any.
        optional: the extra that its packages are in, where `--format all` leaves it out without them.
    """

    embed: str
    engine: str
    packages: tuple[str, ...]
    finish: str | None = None
    preflight: str | None = None
    batch: int | None = None
    optional: str | None = None


_BASE = ("tensorflow", "keras")

FORMAT_ENTRIES: Mapping[Format, FormatEntry] = {
    "savedmodel": FormatEntry("edge_fm_export.savedmodel.savedmodel_format:embed", "savedmodel", _BASE),
    "onnx": FormatEntry(
        "edge_fm_export.onnx.onnx_format:embed", "onnxruntime", (*_BASE, "tf2onnx", "onnx", "onnxslim", "onnxruntime")
    ),
    "openvino": FormatEntry(
        "edge_fm_export.openvino.openvino_format:embed", "openvino", (*_BASE, "tf2onnx", "onnx", "onnxslim", "openvino")
    ),
    "litert": FormatEntry("edge_fm_export.litert.litert_format:embed", "litert", (*_BASE, "ai_edge_litert")),
    "web": FormatEntry(
        "edge_fm_export.web.web_format:embed",
        "onnxruntime",
        (*_BASE, "tf2onnx", "onnx", "onnxslim", "onnxruntime"),
        "edge_fm_export.web.web_format:finish",
    ),
    "tflm": FormatEntry(
        "edge_fm_export.tflm.tflm_format:embed",
        "tflite-micro",
        (*_BASE, "ai_edge_litert", "tflite_micro"),
        preflight="edge_fm_export.tflm.preflight:preflight",
        finish="edge_fm_export.tflm.tflm_format:finish",
        batch=1,
        optional="tflm",
    ),
}

BUILDERS: Mapping[Target, str] = {
    Target("savedmodel", "fp32"): "edge_fm_export.savedmodel.savedmodel_format:build",
    Target("onnx", "fp32"): "edge_fm_export.onnx.onnx_format:build_fp32",
    Target("onnx", "fp16"): "edge_fm_export.onnx.onnx_format:build_fp16",
    Target("onnx", "int8"): "edge_fm_export.onnx.onnx_int8:build",
    Target("openvino", "fp32"): "edge_fm_export.openvino.openvino_format:build_fp32",
    Target("openvino", "fp16"): "edge_fm_export.openvino.openvino_format:build_fp16",
    Target("openvino", "int8"): "edge_fm_export.openvino.openvino_int8:build",
    Target("litert", "fp32"): "edge_fm_export.litert.litert_format:build_fp32",
    Target("litert", "fp16"): "edge_fm_export.litert.litert_format:build_fp16",
    Target("litert", "int8"): "edge_fm_export.litert.litert_format:build_int8",
    Target("litert", "w8a16"): "edge_fm_export.litert.litert_w8a16:build",
    Target("web", "fp32"): "edge_fm_export.web.web_format:build_fp32",
    Target("web", "fp16"): "edge_fm_export.web.web_format:build_fp16",
    Target("web", "int8"): "edge_fm_export.web.web_format:build_int8",
    Target("tflm", "int8"): "edge_fm_export.tflm.tflm_format:build_int8",
}
"""Target -> "module:function" of its builder, called as `build(context, folder) -> Built`."""

_EXTRA_PACKAGES: Mapping[Target, tuple[str, ...]] = {
    Target("openvino", "int8"): ("nncf",),
    Target("onnx", "int8"): ("sympy",),
    Target("web", "int8"): ("sympy",),
    Target("litert", "w8a16"): ("ai_edge_quantizer",),
}

ALL = "all"
USUAL_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
"""What `--precision all` means; w8a16 is for models that lose too much at int8, and is built where it is named."""
CALIBRATED: tuple[Precision, ...] = ("int8", "w8a16")
"""Precisions that need calibration images."""


def parse_targets(formats: str | Iterable[str], precisions: str | Iterable[str] | None = None) -> tuple[Target, ...]:
    """Parse formats and precisions into targets, in the table's order, each once.

    Args:
        formats: one or more of `FORMATS`, or "all"; commas separate too. "web" is part of "all" where the package that
            it needs is on this machine.
        precisions: one or more of `PRECISIONS`, or "all", which is fp32, fp16 and int8; None for the first that each
            format has: int8 for tflm, fp32 for the others. With "all" on either side the pairs that do not exist are
            left out; a pair that is named must exist.

    Raises:
        ExportError: an unknown name, or a pair that does not exist; the message lists what does.

    Example:
        >>> [str(t) for t in parse_targets("savedmodel,onnx", "all")]
        ['savedmodel fp32', 'onnx fp32', 'onnx fp16', 'onnx int8']
    """
    wanted_formats, any_format = _names(formats, FORMATS, "format")
    if any_format and "web" not in _given(formats) and find_package() is None:
        wanted_formats = tuple(name for name in wanted_formats if name != "web")
    if precisions is None:
        return tuple(t for t in BUILDERS if t.format in wanted_formats and t.precision == _first(t.format))
    wanted_precisions, any_precision = _names(precisions, PRECISIONS, "precision")
    if any_precision:
        wanted_precisions = tuple(p for p in PRECISIONS if p in USUAL_PRECISIONS or p in _given(precisions))
    pairs = [Target(cast(Format, f), cast(Precision, p)) for f in wanted_formats for p in wanted_precisions]
    absent = [t for t in pairs if t not in BUILDERS]
    if absent and not (any_format or any_precision):
        raise ExportError(
            f"There is no {' and no '.join(str(t) for t in absent)}; what exists: {describe_targets()}.",
            hint=f"Such as: edgefm export {_nearest(absent[0])}",
        )
    return tuple(t for t in BUILDERS if t in pairs)


def describe_targets() -> str:
    """Every pair that exists, such as "savedmodel fp32; onnx fp32, fp16, int8"."""
    return "; ".join(f"{f} {', '.join(p for p in PRECISIONS if Target(f, p) in BUILDERS)}" for f in FORMATS)


def target_packages(target: Target) -> tuple[str, ...]:
    """Import names of the packages that exporting `target` needs."""
    return (*FORMAT_ENTRIES[target.format].packages, *_EXTRA_PACKAGES.get(target, ()))


def find_builder(target: Target) -> Callable[[BuildContext, Path], Built]:
    """Import the builder of `target`."""
    return cast("Callable[[BuildContext, Path], Built]", _load(BUILDERS[target]))


def find_embed(format: Format) -> Callable[[Path, str, Metadata], None]:
    """Import the function that embeds metadata into a payload of `format`."""
    return cast("Callable[[Path, str, Metadata], None]", _load(FORMAT_ENTRIES[format].embed))


def find_finish(format: Format) -> Callable[[BuildContext, Path, Metadata], None] | None:
    """Import the function that completes an artifact of `format`; None where nothing is missing."""
    finish = FORMAT_ENTRIES[format].finish
    return None if finish is None else cast("Callable[[BuildContext, Path, Metadata], None]", _load(finish))


def find_preflight(format: Format) -> Callable[[BuildContext], None] | None:
    """Import the function that finds out whether `format` can have a model; None where there is nothing to find out."""
    spec = FORMAT_ENTRIES[format].preflight
    return None if spec is None else cast("Callable[[BuildContext], None]", _load(spec))


def _load(spec: str) -> object:
    module, _, attribute = spec.partition(":")
    return getattr(import_module(module), attribute)


def _given(names: str | Iterable[str]) -> list[str]:
    parts = [names] if isinstance(names, str) else list(names)
    return [name.strip().lower() for part in parts for name in part.split(",") if name.strip()]


def _nearest(absent: Target) -> str:
    """The options for the precision at the formats that have it, or for the format at its first precision."""
    having = [target.format for target in BUILDERS if target.precision == absent.precision]
    own = f"--format {absent.format} --precision {_first(absent.format)}"
    return own if len(having) > 1 else f"--format {having[0]} --precision {absent.precision}, or {own}"


def _first(format: Format) -> Precision:
    """The precision of a format where none is named."""
    return next(target.precision for target in BUILDERS if target.format == format)


def _names(given: str | Iterable[str], known: tuple[str, ...], what: str) -> tuple[tuple[str, ...], bool]:
    names = _given(given)
    if not names:
        raise ExportError(f"No {what} was named; supported: {', '.join(known)}, {ALL}.")
    for name in names:
        if name != ALL and name not in known:
            near = difflib.get_close_matches(name, (*known, ALL), n=1)
            raise ExportError(
                f"There is no {what} {name!r}; supported: {', '.join(known)}, {ALL}.",
                hint=f"Did you mean --{what} {near[0]}?" if near else None,
            )
    if ALL in names:
        return known, True
    return tuple(dict.fromkeys(names)), False
