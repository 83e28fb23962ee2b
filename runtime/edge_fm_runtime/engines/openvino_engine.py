"""OpenVINO: runs IR and ONNX artifacts on Intel and ARM CPUs, Intel GPUs and NPUs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.engines.base import Engine, EngineOptions, cannot_run
from edge_fm_runtime.engines.openvino_cache import compiled_file, load_compiled, store_compiled
from edge_fm_runtime.engines.openvino_core import read_model, shared_core
from edge_fm_runtime.errors import DeviceError, EngineError
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.machine import usable_cpus

if TYPE_CHECKING:
    import openvino

    from edge_fm_runtime.engines.outputs import Outputs

_TYPE_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8"}


class OpenVinoEngine(Engine):
    """Runs an IR or ONNX artifact; thread-safe.

    Batches of one (or of `options.batch`) run on a model compiled for just that shape, which is faster;
    any other size runs on a model compiled for every size. Either is compiled when it is first needed, and stored in
    the user's cache folder under the payload's hash and with its own, so that the next process need not compile it.

    Args:
        artifact: of format "openvino" or "onnx".
        options: `device` is a device of OpenVINO's, such as "CPU", "GPU", "NPU" or "AUTO".

    Raises:
        EngineError: another format, or a model that OpenVINO cannot load.
        DeviceError: the device does not exist, or OpenVINO selected another.
    """

    name = "openvino"
    formats = ("openvino", "onnx")

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        self._core = shared_core()
        self._artifact, self._options = artifact, options
        _require_device(options.device, self._core.available_devices)
        self.threads = options.threads or usable_cpus()
        self._lock = threading.Lock()
        self._many_lock = threading.Lock()
        self._request: _Request | None = None
        self._any_size: openvino.InferRequest | None = None
        self._idle: list[_Request] = []
        first = self._compile(self._static_batch)
        self.device = _read_back(first, options.device)
        self._compiled = first
        if artifact.metadata.extra_outputs:
            from edge_fm_runtime.engines.outputs import check_outputs

            check_outputs(artifact, [_describe(port) for port in first.outputs])
        if self._static_batch is not None:
            self._request = _Request(first)
        else:
            self._any_size = first.create_infer_request()

    @property
    def _static_batch(self) -> int | None:
        if self._options.batch == 0:
            return self._artifact.metadata.input.batch
        return self._artifact.metadata.input.batch or self._options.batch or 1

    @cached_property
    def precision(self) -> str:  # type: ignore[override]  # asked of the library when it is read
        """The arithmetic that most layers really run at, from OpenVINO's own account of the compiled model."""
        with self._calls:
            floats = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string())
            ops = self._compiled.get_runtime_model().get_ops() if self._artifact.metadata.precision == "int8" else []
        ran = [str(op.get_rt_info()["runtimePrecision"].value) for op in ops]
        if any(_TYPE_NAMES.get(t.lower()) == "int8" for t in ran):
            return "int8"
        return _TYPE_NAMES.get(floats, floats)

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls, self._lock:
            return np.array(self._run(batch).get_output_tensor(0).data)

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        names = (PROBABILITIES, *(output.name for output in self._artifact.metadata.extra_outputs))
        with self._calls, self._lock:
            request = self._run(batch)
            return {name: np.array(request.get_output_tensor(place).data) for place, name in enumerate(names)}

    def _run(self, batch: Pixels) -> openvino.InferRequest:
        """The request that computed the batch; its results stay until it runs again."""
        if self._request is not None and len(batch) == self._static_batch:
            self._request.fill(batch)
            try:
                self._request.request.infer(share_outputs=True)
            except RuntimeError as error:
                raise cannot_run("OpenVINO", self._artifact.payload, batch, error) from error
            return self._request.request
        if self._any_size is None:
            self._any_size = self._compile(None).create_infer_request()
        try:
            self._any_size.infer([batch], share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            raise cannot_run("OpenVINO", self._artifact.payload, batch, error) from error
        return self._any_size

    @cached_property
    def streams(self) -> int:  # type: ignore[override]  # as above
        """How many batches OpenVINO works on at once."""
        with self._calls:
            return int(self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))

    def infer_many(self, batches: Iterable[Pixels], /) -> Iterator[Probabilities]:
        """Run batches in their order, several at once where they have the size that the engine was compiled for.

        One caller at a time; another waits until the iterator of the first is exhausted or closed.

        Raises:
            ClosedError: the engine was closed before the last batch.
        """
        with self._many_lock:
            if not self._idle and self._static_batch is not None:
                # Twice as many as run at once: one is filled and emptied while another computes.
                count = 2 * self.streams
                with self._calls:
                    self._idle = [_Request(self._compiled) for _ in range(count)]
            idle, busy = list(self._idle), deque[_Request]()
            try:
                for batch in batches:
                    odd = len(batch) != self._static_batch
                    while busy and (odd or not idle):
                        yield self._finish(busy[0])
                        idle.append(busy.popleft())
                    if odd:
                        yield self.infer(batch)
                        continue
                    request = idle.pop()
                    with self._calls:
                        request.fill(batch)
                        request.request.start_async()
                    busy.append(request)
                while busy:
                    yield self._finish(busy[0])
                    busy.popleft()
            finally:
                for request in busy:
                    request.request.wait()

    def _finish(self, request: _Request) -> Probabilities:
        with self._calls:
            return request.wait()

    def close(self) -> None:
        """Release the compiled models, once the calls in flight have ended."""
        if self._calls.close():
            self._idle.clear()
            self._request = self._any_size = None
            del self._compiled

    def _compile(self, batch: int | None) -> openvino.CompiledModel:
        # There is no spinning to switch off: OpenVINO's threads sleep between requests.
        config: dict[str, Any] = {"PERFORMANCE_HINT": self._options.hint.upper()}
        if self._options.device == "CPU":
            config["INFERENCE_NUM_THREADS"] = self.threads
        if self._options.arithmetic == "exact":
            # CPUs widen half-precision weights; only accelerators compute in halves.
            halves = self._artifact.metadata.precision == "fp16" and self._options.device != "CPU"
            config["INFERENCE_PRECISION_HINT"] = "f16" if halves else "f32"
        settings = f"{self._options.device} {batch} {sorted(config.items())}"
        device = self._options.device
        stored = compiled_file(self._core, self._artifact, device, settings)
        if stored is not None and (found := load_compiled(self._core, stored, device, config)) is not None:
            return found
        spec = self._artifact.metadata.input
        try:
            model = self._read()
            if spec.batch is None:
                model.reshape([-1 if batch is None else batch, *spec.shape])
            compiled = self._core.compile_model(model, device, config)
        except RuntimeError as error:
            raise EngineError(
                f"OpenVINO cannot load {self._artifact.payload}: {brief(error)}",
                hint="Update the library, pip install -U openvino, or export the model again: edgefm export",
            ) from error
        if stored is not None:
            store_compiled(compiled, stored)
        return compiled

    def _read(self) -> openvino.Model:
        if self._artifact.contents is None:
            _check_pair(self._artifact.payload)
        return read_model(self._core, self._artifact)


class _Request:
    """A request of a model of a fixed shape, with an input of its own.

    Copying the pixels there is cheaper than handing them over: a new input tensor makes OpenVINO bind the memory of
    the first layers anew, which cost 45 microseconds a call where the model took 165.
    """

    def __init__(self, compiled: openvino.CompiledModel) -> None:
        self.request = compiled.create_infer_request()
        self._input: Pixels = self.request.get_input_tensor(0).data

    def fill(self, batch: Pixels) -> None:
        """Copy the pixels, so that the caller may reuse the batch."""
        if batch.shape != self._input.shape or batch.dtype != self._input.dtype:
            raise EngineError(
                f"The model takes {self._input.dtype} {list(self._input.shape)}; "
                f"got {batch.dtype} {list(batch.shape)}.",
                hint="Use Classifier.classify for photos of any size.",
            )
        self._input[...] = batch

    def wait(self) -> Probabilities:
        """The result, once it is there."""
        self.request.wait()
        return self.result()

    def result(self) -> Probabilities:
        """A copy, which stays when the request goes on."""
        return np.array(self.request.get_output_tensor(0).data)


def _describe(port: openvino.Output) -> tuple[str | None, list[int]]:
    """Name and shape, without the batch, of an output; a side that is not fixed is -1."""
    sides = [side.get_length() if side.is_static else -1 for side in port.get_partial_shape()]
    return min(port.get_names(), default=None), sides[1:]


def _check_pair(payload: Path) -> None:
    if payload.suffix == ".xml" and not payload.with_suffix(".bin").is_file():
        raise EngineError(
            f"{payload.with_suffix('.bin')} is missing; an OpenVINO IR is two files.",
            hint=f"Copy it beside {payload.name}.",
        )


def _require_device(device: str, present: list[str]) -> None:
    kinds = {name.split(".")[0] for name in present}
    if device == "AUTO" or device in present or device in kinds:
        return
    raise DeviceError(
        f"OpenVINO has no device {device!r} here; it has: {', '.join(present)}.",
        hint=f"Ask for one of them: --device {present[0] if present else 'CPU'}",
    )


def _read_back(compiled: openvino.CompiledModel, asked: str) -> str:
    """The device that runs, as OpenVINO reports it."""
    devices = [str(d).strip("()") for d in compiled.get_property("EXECUTION_DEVICES")]
    if asked != "AUTO" and not all(d == asked or d.split(".")[0] == asked for d in devices):
        raise DeviceError(
            f"{asked} was asked for, but OpenVINO would run {', '.join(devices)}.",
            hint="Repair the device's driver, or ask for --device CPU.",
        )
    return ",".join(devices)
