"""Run a graph to which outputs were added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.brief_errors import brief


def run_extended(
    model: Any, outputs: Sequence[str], batches: Iterator[Pixels], dtype: type[Any] = np.float64
) -> Iterator[tuple[int, list[npt.NDArray[Any]]]]:
    """Yield for each batch of images `[N,H,W,C]` its size, and the values of `outputs` of the `ModelProto` as `dtype`.

    Raises:
        ExportError: ONNX Runtime cannot run the model.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors are raised
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        for batch in batches:
            yield len(batch), [np.asarray(value, dtype) for value in session.run(list(outputs), {name: batch})]
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot measure the model's layers: {brief(error)}") from error
