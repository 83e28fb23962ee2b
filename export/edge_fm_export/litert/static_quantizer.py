"""Quantize a float `.tflite` file with ai-edge-quantizer: 8-bit weights, calibrated activations of 8 or 16 bits.

Weights are symmetric, with a scale for each channel; activations have one scale each, symmetric at 16 bits. Their
ranges are those of all calibration images, as TensorFlow's own converter takes them; ai-edge-quantizer's own calibrator
takes a moving average of each image's range, which cuts off what few images reach.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.ai_edge_quantizer_progress import progress_bars_hidden
from edge_fm_export.compat.tensorflow_setup import quiet
from edge_fm_export.litert.fitting_biases import fit_biases
from edge_fm_export.litert.model_file import consumers, operator_name, read_model, write_model
from edge_fm_export.litert.runner import inner_runs
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.captured_log import known_log_lines_hidden
from edge_fm_runtime.system.machine import usable_cpus

Ranges: TypeAlias = dict[str, dict[str, npt.NDArray[np.float32]]]
"""Name of a tensor -> "min" and "max", each with one element and as many sides as the tensor has."""

RECIPES: dict[int, str] = {8: "static_wi8_ai8", 16: "static_wi8_ai16"}
"""Bits of the activations -> the name of ai-edge-quantizer's recipe."""
_KNOWN_LOG_LINES = re.compile(rb"INFO: (Created TensorFlow Lite XNNPACK delegate|Initialized TensorFlow Lite runtime)")
_TASK = "calibrating litert"


def quantize_static(model: bytes, ranges: Ranges, *, activation_bits: Literal[8, 16]) -> bytes:
    """Quantize a float model; its input stays uint8 pixels and its outputs stay float32.

    Operators that ai-edge-quantizer cannot quantize stay in float: `kept_float.float_operators` lists them.

    Args:
        model: the float `.tflite` file of one graph, as `converter_process.convert` makes it.
        ranges: of its activations, as from `activation_ranges`.
        activation_bits: 8 or 16.

    Returns:
        the quantized `.tflite` file.

    Raises:
        ExportError: ai-edge-quantizer cannot quantize the model.
    """
    from ai_edge_quantizer import quantizer, recipe

    floats = [
        {"regex": ".*", "operation": operation, "algorithm_key": quantizer.AlgorithmName.NO_QUANTIZE, "op_config": {}}
        for operation in ("INPUT", "OUTPUT")
    ]
    settings = [*getattr(recipe, RECIPES[activation_bits])(), *floats]
    with quiet(), progress_bars_hidden(), _silent_interpreter():
        try:
            made = quantizer.Quantizer(bytearray(model), settings).quantize(
                ranges, enable_progress_bar=False, enable_progress_report=False
            )
        except Exception as error:
            raise ExportError(
                f"ai-edge-quantizer cannot quantize the model: {brief(error)}",
                hint="Use --precision fp16, or another --format.",
            ) from error
    content = read_model(bytes(made.quantized_model or b""))
    fit_biases(content, read_model(model))
    _read_shapes_of_integers(content)
    if activation_bits == 16:
        _allow_any_scale(content)
    return write_model(content)


def activation_ranges(model: bytes, images: Iterator[Pixels], *, count: int, progress: ProgressFn = silent) -> Ranges:
    """The smallest and the largest value of each float activation over all images.

    One batch is in memory at a time, with the activations of all layers.

    Args:
        model: a float `.tflite` file.
        images: batches of uint8 `[N,H,W,C]`.
        count: how many images there are, for the progress.
        progress: called after each batch.

    Raises:
        ExportError: the model has control flow.
    """
    if len(read_model(model).subgraphs) > 1:
        raise ExportError(
            "The model has control flow (a recurrent layer that is not unrolled), whose activations ai-edge-quantizer "
            "cannot calibrate.",
            hint="Build the recurrent layers with unroll=True, or use --precision fp16; or use "
            "--format onnx --precision fp32.",
        )
    computed = _computed_tensors(model)
    least: dict[str, float] = {}
    most: dict[str, float] = {}
    done = 0
    for batch, runner in inner_runs(model, images, num_threads=usable_cpus()):
        if not done:
            entries = [entry for entry in runner.get_tensor_details() if entry["index"] in computed]
            tensors = [entry for entry in entries if entry["dtype"] is np.float32]
        for entry in tensors:
            name, values = entry["name"], runner.get_tensor(entry["index"])
            values = values[np.isfinite(values)]  # masks have infinite values, which no scale can have
            if values.size:
                least[name] = min(least.get(name, np.inf), float(values.min()))
                most[name] = max(most.get(name, -np.inf), float(values.max()))
        done += len(batch)
        progress(_TASK, min(done, count), count)
    ranks = {entry["name"]: (1,) * len(entry["shape"]) for entry in tensors}
    return {
        name: {
            "min": np.full(ranks[name], least[name], np.float32),
            "max": np.full(ranks[name], most[name], np.float32),
        }
        for name in least
    }


def _computed_tensors(model: bytes) -> frozenset[int]:
    graph = read_model(model).subgraphs[0]
    return frozenset(int(i) for operator in graph.operators for i in operator.outputs)


def _read_shapes_of_integers(model: Any) -> None:
    """Let operators that read a shape alone read that of the integers, not of floats that are made for nothing else."""
    for graph in model.subgraphs:
        source = {int(o.outputs[0]): o for o in graph.operators if operator_name(model, o) == "DEQUANTIZE"}
        for operator in graph.operators:
            if operator_name(model, operator) == "SHAPE" and (made := source.get(int(operator.inputs[0]))):
                operator.inputs = [int(made.inputs[0])]
        results = {int(i) for i in graph.outputs}
        graph.operators = [
            o
            for o in graph.operators
            if o not in source.values() or int(o.outputs[0]) in results or consumers(graph, int(o.outputs[0]))
        ]


def _allow_any_scale(model: Any) -> None:
    """Let additions and subtractions of 16 bits have any scale.

    The file format's default is powers of two (schema.fbs, `pot_scale_int16`); with other scales LiteRT then loads a
    model not at all, or computes something else. TensorFlow's converter sets it likewise; ai-edge-quantizer 0.10 leaves
    the default.
    """
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator_name(model, operator) in ("ADD", "SUB"):
                operator.builtinOptions.potScaleInt16 = False


@contextmanager
def _silent_interpreter() -> Iterator[None]:
    """Hold back what ai-edge-quantizer's own interpreter logs, and its warning of the memory that it takes."""
    with known_log_lines_hidden(_KNOWN_LOG_LINES), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Warning: Enabling `experimental_preserve_all_tensors`")
        # Of biases that do not fit: `fit_biases` makes them anew.
        warnings.filterwarnings("ignore", message="invalid value encountered in cast", category=RuntimeWarning)
        yield
