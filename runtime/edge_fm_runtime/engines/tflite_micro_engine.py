"""TensorFlow Lite Micro's interpreter on this machine: what a microcontroller computes, by the reference kernels.

Its times say nothing of a microcontroller.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines.base import Engine, EngineOptions, cannot_run
from edge_fm_runtime.errors import DeviceError, EngineError, MissingDependencyError
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.captured_log import known_log_lines_hidden

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_LINES = re.compile(rb"(?!)")
_REEXPORT = "Update the library, pip install -U tflite-micro, or export the model again: edgefm export"
_USUAL_ARENA_BYTES = 8 * 1024 * 1024
_MIN_ARENA_BYTES = 1024
_MAX_ARENA_BYTES = 64 * 1024 * 1024


class TfliteMicroEngine(Engine):
    """Runs a TFLM artifact, one image after the other, in an arena of the size that its metadata records.

    Args:
        artifact: of format "tflm".
        options: `device` must be "CPU".

    Raises:
        EngineError: another format, or a model that TFLM cannot load in its arena.
        DeviceError: any other device.
        MissingDependencyError: tflite-micro is not installed.
    """

    name = "tflite-micro"
    device = "CPU"
    precision = "int8"
    formats = ("tflm",)

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        if options.device != self.device:
            raise DeviceError(
                f"The tflite-micro engine has no device {options.device!r} here; it has: {self.device}.",
                hint=f"Ask for it: --device {self.device}",
            )
        self._payload = artifact.payload
        self._shape, self._classes = artifact.metadata.input.shape, len(artifact.metadata.labels)
        self._interpreter: Any = _load(artifact)
        given, result = self._interpreter.get_input_details(0), self._interpreter.get_output_details(0)
        _check(artifact, given, result)
        parameters = result["quantization_parameters"]
        scale, zero = float(parameters["scales"][0]), int(parameters["zero_points"][0])
        # One probability for each of the 256 values, by its bits.
        values = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32)
        self._probabilities: NDArray[np.float32] = ((values - zero) * np.float32(scale)).astype(np.float32)
        self._one_at_a_time = threading.Lock()

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls, self._one_at_a_time:
            if batch.dtype != np.uint8 or batch.shape[1:] != self._shape:
                raise EngineError(
                    f"The model takes uint8 {['N', *self._shape]}; got {batch.dtype} {list(batch.shape)}.",
                    hint="Give it what the artifact's metadata says under input.",
                )
            results = np.empty((len(batch), self._classes), np.int8)
            try:
                # pixel - 128, by the highest bit
                for row, image in enumerate((batch ^ np.uint8(0x80)).view(np.int8)):
                    self._interpreter.set_input(image[np.newaxis], 0)
                    self._interpreter.invoke()
                    results[row] = self._interpreter.get_output(0)[0]
            except (RuntimeError, ValueError) as error:
                raise cannot_run("TensorFlow Lite Micro", self._payload, batch, error) from error
            return self._probabilities[results.view(np.uint8)]

    def close(self) -> None:
        """Release the interpreter, once the call in flight has ended."""
        if self._calls.close():
            self._interpreter = None


def _load(artifact: Artifact) -> Any:
    try:
        from tflite_micro import runtime
    except ImportError as error:
        raise MissingDependencyError.for_extra("tflite-micro", "tflm", "The tflite-micro engine") from error
    content = artifact.loadable()
    if isinstance(content, str):
        content = artifact.payload.read_bytes()
    recorded = (artifact.metadata.graph or {}).get("arena_bytes") or _USUAL_ARENA_BYTES
    if not _MIN_ARENA_BYTES <= recorded <= _MAX_ARENA_BYTES:  # in a smaller one TFLM ends the process
        raise EngineError(
            f"{artifact.path} records an arena of {recorded} bytes; it can have {_MIN_ARENA_BYTES} to "
            f"{_MAX_ARENA_BYTES}.",
            hint=_REEXPORT,
        )
    try:
        with known_log_lines_hidden(_NO_LINES):
            return runtime.Interpreter.from_bytes(content, arena_size=recorded)
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            f"TensorFlow Lite Micro cannot load {artifact.payload} in an arena of {recorded} bytes: {brief(error)}",
            hint=_REEXPORT,
        ) from error


def _check(artifact: Artifact, given: dict[str, Any], result: dict[str, Any]) -> None:
    """Compare the input and the output of the file with its metadata."""
    shape, classes = [1, *artifact.metadata.input.shape], len(artifact.metadata.labels)
    fits = (
        given["dtype"] is np.int8
        and given["shape"].tolist() == shape
        and result["dtype"] is np.int8
        and result["shape"].tolist() == [1, classes]
        and len(result["quantization_parameters"]["scales"]) == 1
    )
    if not fits:
        raise EngineError(
            f"{artifact.payload} takes {np.dtype(given['dtype'])} {given['shape'].tolist()} and returns "
            f"{np.dtype(result['dtype'])} {result['shape'].tolist()}; its metadata says int8 {shape} and "
            f"int8 {[1, classes]}.",
            hint="Export the model again: edgefm export",
        )
