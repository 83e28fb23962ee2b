"""What can be known of a model for TensorFlow Lite Micro before any image is run through it."""

from __future__ import annotations

from dataclasses import replace

from edge_fm_export.context import BuildContext
from edge_fm_export.litert.converter_process import convert
from edge_fm_export.litert.model_file import constant, read_model
from edge_fm_export.quantization.impossible_options import Requested, require_possible
from edge_fm_export.tflm.boards import find_board, require_fit
from edge_fm_export.tflm.micro_model import largest_step_bytes
from edge_fm_export.tflm.operators import require_operators


def check_options(context: BuildContext) -> None:
    """Refuse options that an artifact for TFLM cannot have.

    Raises:
        ExportError: another batch size than 1, outputs beside the probabilities, layers in float, or no such board.
    """
    require_possible("tflm", "int8", Requested.of(context))
    if context.board is not None:
        find_board(context.board)


def preflight(context: BuildContext) -> None:
    """Refuse a model that TFLM cannot run or that no quantization makes fit the board.

    The model is converted in float, which takes no images; the int8 model has the same operators, and a byte for each
    weight.

    Raises:
        ExportError: see `check_options`; or an operator that TFLM lacks, with the layer that needs it; or weights or
            activations that are larger than the board's memory.
    """
    check_options(context)
    board = None if context.board is None else find_board(context.board)
    if board is not None:
        # Before the conversion: weights alone may be too many.
        require_fit(board, model_bytes=int(context.source.model.count_params()), arena_bytes=0, at_least=True)
    model = read_model(convert(_one_image(context), "fp32"))
    require_operators(model, context.source.model)
    if board is not None:
        weights = sum(values.size for t in model.subgraphs[0].tensors if (values := constant(model, t)) is not None)
        arena = largest_step_bytes(model, element_bytes=1)
        require_fit(board, model_bytes=weights, arena_bytes=arena, at_least=True)


def _one_image(context: BuildContext) -> BuildContext:
    """The context with a batch of one image, and a place of its own for what is built for that."""
    if context.static_batch == 1:
        return context
    scratch = context.scratch / "tflm"
    scratch.mkdir(exist_ok=True)
    return replace(context, scratch=scratch, static_batch=1)
