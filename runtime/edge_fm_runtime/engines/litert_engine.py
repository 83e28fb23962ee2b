"""LiteRT (once TensorFlow Lite): runs `.tflite` artifacts on CPUs, through XNNPACK where it has the kernels."""

from __future__ import annotations

import re
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.engines.base import Engine, EngineOptions, cannot_run
from edge_fm_runtime.engines.outputs import Outputs, check_outputs
from edge_fm_runtime.errors import DeviceError, EngineError, MissingDependencyError
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.captured_log import known_log_lines_hidden
from edge_fm_runtime.system.machine import usable_cpus

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

_KNOWN_LOG_LINES = re.compile(rb"INFO: (Created TensorFlow Lite XNNPACK delegate|Initialized TensorFlow Lite runtime)")
_REEXPORT = "Update the library, pip install -U ai-edge-litert, or export the model again: edgefm export"


class LiteRtEngine(Engine):
    """Runs a LiteRT artifact; calls from several threads wait for each other.

    A batch of another size than the last one makes the interpreter plan its memory anew, which costs about a
    millisecond; batches of one size do not.

    Args:
        artifact: of format "litert".
        options: `device` must be "CPU".

    Raises:
        EngineError: another format, or a model that LiteRT cannot load.
        DeviceError: any other device.
        MissingDependencyError: ai-edge-litert is not installed.
    """

    name = "litert"
    device = "CPU"
    formats = ("litert",)

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        if options.device != self.device:
            raise DeviceError(
                f"The litert engine has no device {options.device!r} here; it has: {self.device}.",
                hint=f"Ask for it: --device {self.device}",
            )
        self.threads = options.threads or usable_cpus()
        self.streams = self.threads if options.hint == "throughput" else 1
        runners = [_Runner(artifact, self.threads // self.streams) for _ in range(self.streams)]
        # Weights of half precision are widened when they are loaded: XNNPACK computes in fp32 on CPUs.
        self.precision = _arithmetic(artifact, runners[0].interpreter)
        self._free: SimpleQueue[_Runner] = SimpleQueue()
        for runner in runners:
            with known_log_lines_hidden(_KNOWN_LOG_LINES):
                runner.resize(artifact.metadata.input.batch or options.batch or 1)
            self._free.put(runner)

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls:
            runner = self._free.get()
            try:
                return runner.infer(batch)
            finally:
                self._free.put(runner)

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        with self._calls:
            runner = self._free.get()
            try:
                return {PROBABILITIES: runner.infer(batch), **runner.extra_outputs()}
            finally:
                self._free.put(runner)

    def close(self) -> None:
        """Release the interpreters, once the calls in flight have ended."""
        if self._calls.close():
            del self._free


class _Runner:
    """One interpreter: it serves one caller at a time."""

    def __init__(self, artifact: Artifact, threads: int) -> None:
        self._spec = artifact.metadata.input
        self._payload = artifact.payload
        self.interpreter = _load(artifact, threads)
        inputs, outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        _check(artifact, inputs, outputs)
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        names = (output.name for output in artifact.metadata.extra_outputs)
        self._extra = {name: output["index"] for name, output in zip(names, outputs[1:], strict=True)}
        self._batch = 0

    def infer(self, batch: Pixels) -> Probabilities:
        if len(batch) != self._batch:
            self.resize(len(batch))
        try:
            self.interpreter.set_tensor(self._input, batch)
            self.interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise cannot_run("LiteRT", self._payload, batch, error) from error
        # get_tensor copies, so the result stays as it is when the interpreter goes on.
        result: Probabilities = self.interpreter.get_tensor(self._output)
        return result

    def extra_outputs(self) -> Outputs:
        """What else the last batch gave."""
        return {name: self.interpreter.get_tensor(index) for name, index in self._extra.items()}

    def resize(self, batch: int) -> None:
        if self._spec.batch not in (None, batch):
            raise EngineError(
                f"The model was exported for batches of {self._spec.batch}; got {batch} images.",
                hint="Export it for any batch: edgefm export --format litert, without --static-batch",
            )
        self._batch = 0
        try:
            if self._spec.batch is None:
                self.interpreter.resize_tensor_input(self._input, [batch, *self._spec.shape], strict=True)
            self.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"LiteRT cannot run a batch of {batch}: {brief(error)}", hint=_REEXPORT) from error
        self._batch = batch


def read_interpreter(artifact: Artifact, threads: int) -> Interpreter:
    """An interpreter of the payload, from its checked bytes where a signature was required; raises what LiteRT does."""
    from ai_edge_litert.interpreter import Interpreter

    model = artifact.loadable()
    if isinstance(model, bytes):
        return Interpreter(model_content=model, num_threads=threads)
    return Interpreter(model, num_threads=threads)


def _load(artifact: Artifact, threads: int) -> Interpreter:
    try:
        import ai_edge_litert.interpreter  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.for_extra("ai-edge-litert", "litert", "The litert engine") from error
    try:
        return read_interpreter(artifact, threads)
    except (RuntimeError, ValueError) as error:
        raise EngineError(f"LiteRT cannot load {artifact.payload}: {brief(error)}", hint=_REEXPORT) from error


def _check(artifact: Artifact, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
    """Compare the inputs and outputs of the file with its metadata."""
    spec, classes = artifact.metadata.input, len(artifact.metadata.labels)
    if artifact.metadata.extra_outputs:
        check_outputs(artifact, [(None, output["shape_signature"][1:].tolist()) for output in outputs])
    fits = len(inputs) == 1 and len(outputs) == 1 + len(artifact.metadata.extra_outputs)
    if fits:
        image, probabilities = inputs[0], outputs[0]
        fits = (
            tuple(image["shape_signature"][1:]) == spec.shape
            and image["dtype"] is np.uint8
            and tuple(probabilities["shape_signature"][1:]) == (classes,)
            and all(output["dtype"] is np.float32 for output in outputs)
        )
    if not fits:

        def describe(tensors: list[dict[str, Any]]) -> str:
            return ", ".join(f"{np.dtype(t['dtype'])} {t['shape_signature'].tolist()}" for t in tensors)

        raise EngineError(
            f"{artifact.payload} takes {describe(inputs)} and returns {describe(outputs)}; its metadata says uint8 "
            f"{[spec.batch or -1, *spec.shape]} and float32 {[spec.batch or -1, classes]}.",
            hint="Export the model again: edgefm export",
        )


def _arithmetic(artifact: Artifact, interpreter: Interpreter) -> str:
    """What a quantized model computes with: the activations' type, of tensors with one scale for all channels."""
    activation = {"int8": np.int8, "w8a16": np.int16}.get(artifact.metadata.precision)
    found = any(
        t["dtype"] is activation and len(t["quantization_parameters"]["scales"]) == 1
        for t in interpreter.get_tensor_details()
    )
    return artifact.metadata.precision if found else "fp32"
