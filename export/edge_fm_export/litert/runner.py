"""Running a `.tflite` file here: its predictions, and what its tensors inside hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.quantization.measures import Predict
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.system.captured_log import known_log_lines_hidden

_KNOWN_LOG_LINES = re.compile(rb"INFO: (Created TensorFlow Lite XNNPACK delegate|Initialized TensorFlow Lite runtime)")


def predictor(model: bytes) -> Predict:
    """A function from pixels `[N,H,W,C]` to probabilities `[N,classes]`: `model` in LiteRT on this CPU."""
    from ai_edge_litert.interpreter import Interpreter

    with known_log_lines_hidden(_KNOWN_LOG_LINES):
        runner = Interpreter(model_content=model)
    (given,), (result, *_) = runner.get_input_details(), runner.get_output_details()
    shape: list[tuple[int, ...]] = []

    def predict(batch: Pixels) -> Probabilities:
        if shape != [batch.shape]:  # planning the memory anew takes longer than a small model
            with known_log_lines_hidden(_KNOWN_LOG_LINES):
                runner.resize_tensor_input(given["index"], batch.shape)
                runner.allocate_tensors()
            shape[:] = [batch.shape]
        runner.set_tensor(given["index"], batch)
        runner.invoke()
        return np.asarray(runner.get_tensor(result["index"]), np.float32)

    return predict


def inner_runs(
    model: bytes, images: Iterable[npt.NDArray[Any]], *, num_threads: int | None = None
) -> Iterator[tuple[npt.NDArray[Any], Any]]:
    """Run a model on each batch, and yield the batch and the interpreter, whose `get_tensor` gives what is inside.

    Args:
        model: a `.tflite` file.
        images: batches of what the model takes, `[N,H,W,C]`.
        num_threads: of the interpreter; None for its own choice.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Without XNNPACK, which would not give the tensors inside.
    runner = Interpreter(
        model_content=model,
        num_threads=num_threads,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    given = runner.get_input_details()[0]["index"]
    shape = None
    for batch in images:
        if batch.shape != shape:
            runner.resize_tensor_input(given, batch.shape)
            runner.allocate_tensors()
            shape = batch.shape
        runner.set_tensor(given, batch)
        runner.invoke()
        yield batch, runner
