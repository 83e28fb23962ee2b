"""Options that a format or a precision cannot have: known from the options alone, before a model is opened."""

from __future__ import annotations

from dataclasses import dataclass

from edge_fm_export.context import BuildContext, QuantizeOptions
from edge_fm_runtime.artifacts.metadata import Format, Precision
from edge_fm_runtime.errors import ExportError


@dataclass(frozen=True)
class Requested:
    """The options of an export that some formats cannot have.

    Attributes:
        static_batch: the fixed batch size; None for batches of any size.
        outputs: what is returned beside the probabilities.
        quantize: how to quantize.
    """

    static_batch: int | None
    outputs: tuple[str, ...]
    quantize: QuantizeOptions

    @classmethod
    def of(cls, context: BuildContext) -> Requested:
        """What was requested of a builder."""
        outputs = () if context.source.extra is None else tuple(context.source.output_names[1:])
        return cls(context.static_batch, outputs, context.quantize)


def impossible(format: Format, precision: Precision, requested: Requested) -> ExportError | None:
    """Why a format at a precision cannot have these options; None where it can."""
    quantize = requested.quantize
    if format == "litert" and precision == "int8" and quantize.accuracy_control:
        return ExportError(
            "LiteRT's int8 has no accuracy control; that of the onnx and openvino formats has.",
            hint="Use --explain in its place, then the --keep-float options that it advises; or use --format onnx "
            "--precision int8.",
        )
    if format == "litert" and precision == "w8a16":
        return _floats_stay(quantize, "ai-edge-quantizer")
    if format == "tflm":
        return _impossible_for_tflm(requested) or _floats_stay(quantize, "A model for microcontrollers")
    return None


def require_possible(format: Format, precision: Precision, requested: Requested) -> None:
    """Raise where `impossible` has a reason.

    Raises:
        ExportError: the reason.
    """
    error = impossible(format, precision, requested)
    if error is not None:
        raise error


def _floats_stay(quantize: QuantizeOptions, what: str) -> ExportError | None:
    """An error where options leave layers in float, and `what` computes in integers throughout."""
    given = [("--accuracy-control", quantize.accuracy_control), ("--keep-float", bool(quantize.keep_float))]
    options = [option for option, is_given in given if is_given]
    if not options:
        return None
    return ExportError(
        f"{what} cannot leave layers in float; int8 for litert (--keep-float), onnx and openvino can.",
        hint=f"Leave out {' and '.join(options)} here, or use --format onnx --precision int8.",
    )


def _impossible_for_tflm(requested: Requested) -> ExportError | None:
    if requested.static_batch not in (None, 1):
        return ExportError(
            f"Batches of {requested.static_batch} were requested; TensorFlow Lite Micro plans its memory for a fixed "
            "shape, here one image.",
            hint="Leave --static-batch out, or give 1.",
        )
    if requested.outputs:
        return ExportError(
            "A model for TensorFlow Lite Micro returns its probabilities alone; --outputs "
            f"{','.join(requested.outputs)} was requested.",
            hint="Leave --outputs out for tflm; the other formats have it.",
        )
    return None
