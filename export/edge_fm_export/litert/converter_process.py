"""TensorFlow's LiteRT converter: called here, or in a separate process where it may crash.

Models with control flow (recurrent layers that are not unrolled) end TensorFlow's int8 calibrator in a segmentation
fault. Such a conversion runs in a child process, and its end is an error like any other. Seen with TensorFlow 2.21, the
newest; the child calls what is public, so this is for every version. `_convert_in_child` and `main` may go when the
calibrator converts these models or raises; the test case of such an LSTM expects the crash (`tests/field`).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm_export.compat.tensorflow_setup import NOISE, quiet, require_tensorflow
from edge_fm_export.context import INPUT, BuildContext
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.savedmodel.resizing import require_usual_resizing
from edge_fm_export.savedmodel.savedmodel_format import graph_operators, saved_model
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.metadata import EXTRA_OUTPUTS, PROBABILITIES
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.progress import ProgressFn
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.captured_log import known_log_lines_hidden
from edge_fm_runtime.system.child_process import child_command

_CONTROL_FLOW = frozenset({"While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase"})
_TASK = "calibrating litert"


def convert(context: BuildContext, precision: str, *, purpose: str | None = None) -> bytes:
    """The `.tflite` file's bytes at `precision`.

    Args:
        context: of the export.
        precision: fp32, fp16 or int8.
        purpose: the precision of the artifact that is made of it, for the error; None for the same.

    Raises:
        ExportError: an operator of the model has no LiteRT kernel, there are no calibration images for int8, or the
            converter crashed.
    """
    require_tensorflow("LiteRT export")
    require_package("ai_edge_litert", "LiteRT export")
    folder = saved_model(context)
    operators = graph_operators(folder)
    require_usual_resizing(operators, "LiteRT")
    control_flow = not _CONTROL_FLOW.isdisjoint(operators)
    images = require_calibration(context).images if precision == "int8" else None
    if images is not None and control_flow:
        return _convert_in_child(context, folder, images)
    calibration = None if images is None else batches(images, static=context.static_batch, size=1)
    try:
        return _convert(folder, precision, calibration, 0 if images is None else len(images), context.progress)
    except Exception as error:
        raise _failure(context, purpose or precision, brief(error), control_flow=control_flow) from error


def _failure(context: BuildContext, precision: str, reason: str, *, control_flow: bool) -> ExportError:
    hint = "Rewrite the layer that it names with usual Keras layers, or use --format onnx."
    if control_flow:
        unroll = "build the recurrent layers with unroll=True"
        fixed = f"fix the batch size: --static-batch {context.static_batch or 1}"
        if precision in ("int8", "w8a16"):  # with a fixed batch size, floats alone convert
            hint = f"For {precision} {unroll}; else {fixed} --precision fp16; or use --format onnx --precision fp32."
        else:
            hint = f"Either {fixed}, or {unroll}; or use --format onnx."
    return ExportError(f"LiteRT's converter cannot convert the model: {reason}", hint=hint)


def _convert(
    folder: Path, precision: str, calibration: Iterable[Any] | None, count: int, progress: ProgressFn
) -> bytes:
    tf, _ = require_tensorflow("LiteRT export")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:

        def representative() -> Iterator[Mapping[str, Any]]:
            for done, batch in enumerate(calibration):
                progress(_TASK, done + 1, count)
                yield {INPUT: batch}

        converter.representative_dataset = representative
        # Integers alone: an operator without an integer form is an error, or stays in float: `kept_float` finds those.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.float32
    with _silent_converter():
        return _in_order(bytes(converter.convert()))


def _in_order(model: bytes) -> bytes:
    """The `.tflite` file with its outputs in the order of the other formats; the converter orders them by name."""
    from ai_edge_litert.tools import flatbuffer_utils

    content = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = content.subgraphs[0]
    if len(graph.outputs) == 1:
        return model
    named = {entry.name.decode(): entry.tensorIndex for entry in content.signatureDefs[0].outputs}
    graph.outputs = [named[name] for name in (PROBABILITIES, *EXTRA_OUTPUTS) if name in named]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def _convert_in_child(context: BuildContext, folder: Path, images: Pixels) -> bytes:
    """Convert to int8 in a child process."""
    given, made = context.scratch / "litert-calibration.npy", context.scratch / "litert-int8.tflite"
    np.save(given, images)
    arguments = {"folder": str(folder), "images": str(given), "batch": context.static_batch, "result": str(made)}
    command = child_command(__name__, json.dumps(arguments))
    reason = ""
    # Its standard error holds a native stack, or repeats its last line on standard output.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        try:
            for line in child.stdout or ():
                reply = json.loads(line)
                if "error" in reply:
                    reason = reply["error"]
                else:
                    context.progress(_TASK, reply["done"], len(images))
        except BaseException:
            child.kill()
            raise
    if child.returncode == 0:
        return made.read_bytes()
    if child.returncode < 0:
        reason = f"it crashed ({signal.Signals(-child.returncode).name})."
    raise _failure(context, "int8", reason or f"it ended with exit status {child.returncode}.", control_flow=True)


def main(arguments: list[str]) -> None:
    """Convert in the child process; its standard output carries one JSON object a line."""
    given = json.loads(arguments[0])
    images = np.load(given["images"], allow_pickle=False)

    def report(_task: str, done: int, _total: int | None) -> None:
        print(json.dumps({"done": done}), flush=True)

    calibration = batches(images, static=given["batch"], size=1)
    try:
        made = _convert(Path(given["folder"]), "int8", calibration, len(images), report)
    except Exception as error:  # noqa: BLE001 - whatever the converter raises, the parent raises
        print(json.dumps({"error": brief(error)}), flush=True)
        sys.exit(1)
    Path(given["result"]).write_bytes(made)


@contextmanager
def _silent_converter() -> Iterator[None]:
    with quiet(), known_log_lines_hidden(NOISE), warnings.catch_warnings():
        # TensorFlow's own calibrator still runs the interpreter that TensorFlow has deprecated for others.
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        yield
