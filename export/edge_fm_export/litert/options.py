"""Options that a precision of LiteRT cannot have; they are refused before images are read."""

from __future__ import annotations

from edge_fm_export.context import BuildContext
from edge_fm_runtime.artifacts.metadata import Precision
from edge_fm_runtime.errors import ExportError


def preflight(context: BuildContext, precision: Precision) -> None:
    """Refuse what the builder of a precision would refuse.

    Raises:
        ExportError: layers in float are to stay or to be selected where that cannot be.
    """
    if precision == "w8a16":
        refuse_float_layers(context, what="ai-edge-quantizer")
    elif precision == "int8":
        refuse_accuracy_control(context)


def refuse_float_layers(context: BuildContext, *, what: str) -> None:
    """Refuse options that leave layers in float.

    Args:
        context: of the export.
        what: cannot do so, for the message.

    Raises:
        ExportError: such an option was given.
    """
    for option, given in (
        ("--accuracy-control", context.quantize.accuracy_control),
        ("--keep-float", context.quantize.keep_float),
    ):
        if given:
            raise ExportError(
                f"{what} cannot leave layers in float; int8 for litert (--keep-float), onnx and openvino can.",
                hint=f"Leave out {option} here, or use --format onnx --precision int8.",
            )


def refuse_accuracy_control(context: BuildContext) -> None:
    """Refuse to select the layers that stay in float.

    Raises:
        ExportError: it was requested.
    """
    if context.quantize.accuracy_control:
        raise ExportError(
            "LiteRT's int8 has no accuracy control; that of the onnx and openvino formats has.",
            hint="Use --explain in its place, then the --keep-float options that it advises; or use --format onnx.",
        )
