"""ONNX Runtime: the engine of `.onnx` artifacts, and the only one that the base install needs."""

from __future__ import annotations

import platform
import warnings
from typing import TYPE_CHECKING

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines.base import Engine, EngineOptions, cannot_run
from edge_fm_runtime.errors import DeviceError, EngineError, MissingDependencyError, PrecisionWarning
from edge_fm_runtime.system.machine import X86, byte_products, usable_cpus

if TYPE_CHECKING:
    import onnxruntime

    from edge_fm_runtime.engines.outputs import Outputs

_PROVIDERS = {"CPU": "CPUExecutionProvider", "GPU": "CUDAExecutionProvider", "OPENVINO": "OpenVINOExecutionProvider"}
_PACKAGES = {"GPU": "onnxruntime-gpu", "OPENVINO": "onnxruntime-openvino"}
_LOG_NOTHING_BUT_FATAL = 4  # errors are raised; native code would log them again, over many lines


class OnnxRuntimeEngine(Engine):
    """Runs an ONNX artifact; thread-safe: `streams` callers at once are served best.

    Args:
        artifact: of format "onnx" or "web", whose model is the same.
        options: `device` is "CPU", "GPU" (CUDA), or OpenVINO's provider as "OPENVINO" (its CPU) or with a device of its
            own, such as "OPENVINO:GPU". Every node runs there: a model that would run in part on the CPU is refused.

    Raises:
        EngineError: another format, or a model that ONNX Runtime cannot load.
        DeviceError: the device has no execution provider here.

    On an x86 CPU without VNNI, where sums of 8-bit products saturate, an artifact with weights of all 8 bits is
    computed in fp32: its predictions are those that the gate compared, and it is slower.

    Warns:
        PrecisionWarning: this is such a CPU, or may be one.
    """

    name = "onnxruntime"
    formats = ("onnx", "web")

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise MissingDependencyError(
                "The onnxruntime engine needs onnxruntime, which is not installed.", hint="pip install onnxruntime"
            ) from error
        ort.set_default_logger_severity(_LOG_NOTHING_BUT_FATAL)
        provider = _provider(options.device, ort.get_available_providers())
        self.threads = options.threads or usable_cpus()
        self.streams = self.threads if options.hint == "throughput" else 1
        # With several callers each computes in its own thread, which wastes none on waiting for another.
        exact = provider != _PROVIDERS["CPU"] or not _may_saturate(artifact)
        self._session = _load(ort, artifact, provider, options, self.threads // self.streams, in_float=not exact)
        ran = self._session.get_providers()[0]
        if ran != provider:
            raise DeviceError(
                f"{options.device} was asked for, but ONNX Runtime would run {ran}.",
                hint="Repair the device's driver, or ask for --device CPU.",
            )
        self.device = options.device
        # On x86 CPUs ONNX Runtime has no half-precision kernels: it casts the weights and computes in fp32.
        widened = artifact.metadata.precision == "fp16" and provider == "CPUExecutionProvider" and _is_x86()
        self.precision = "fp32" if widened or not exact else artifact.metadata.precision
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        classes = outputs[0].shape[-1] if outputs else None
        if [i.name for i in inputs] != [artifact.metadata.input.name] or classes != len(artifact.metadata.labels):
            raise EngineError(
                f"{artifact.payload} takes {[i.name for i in inputs]} and returns {classes} classes; its metadata says "
                f"{artifact.metadata.input.name!r} and {len(artifact.metadata.labels)} labels.",
                hint="Export the model again: edgefm export",
            )
        if artifact.metadata.extra_outputs:
            from edge_fm_runtime.engines.outputs import check_outputs

            check_outputs(artifact, [(output.name, output.shape[1:]) for output in outputs])
        if not exact:
            _warn_of_fp32(artifact)
        self._payload = artifact.payload
        self._input = inputs[0].name
        self._outputs = [outputs[0].name]
        self._every_output = [output.name for output in outputs]

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls:
            try:
                probabilities: Probabilities = self._session.run(self._outputs, {self._input: batch})[0]
                return probabilities
            except Exception as error:  # its own classes have no common root but this one
                raise cannot_run("ONNX Runtime", self._payload, batch, error) from error

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        with self._calls:
            try:
                values = self._session.run(self._every_output, {self._input: batch})
            except Exception as error:  # as above
                raise cannot_run("ONNX Runtime", self._payload, batch, error) from error
        return dict(zip(self._every_output, values, strict=True))

    def close(self) -> None:
        """Release the session, once the calls in flight have ended."""
        if self._calls.close():
            del self._session


def _provider(device: str, available: list[str]) -> str:
    kind, _, inner = device.partition(":")
    provider = None if inner and kind != "OPENVINO" else _PROVIDERS.get(kind)
    if provider is None or provider not in available:
        present = [d for d, p in _PROVIDERS.items() if p in available]
        raise DeviceError(
            f"ONNX Runtime has no device {device!r} here; it has: {', '.join(present)}.",
            hint="Ask for one of them: --device CPU"
            + (f"; for {device}, in place of onnxruntime: pip install {_PACKAGES[kind]}" if kind in _PACKAGES else ""),
        )
    return provider


def _load(
    ort: type[onnxruntime], artifact: Artifact, provider: str, asked: EngineOptions, threads: int, *, in_float: bool
) -> onnxruntime.InferenceSession:
    settings: dict[str, str] = {}
    if provider == _PROVIDERS["OPENVINO"]:
        settings = {"device_type": asked.device.partition(":")[2] or "CPU", "num_of_threads": str(threads)}
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_NOTHING_BUT_FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if asked.one_shot else "1")
    if in_float:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if provider != _PROVIDERS["CPU"]:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        # Its fallback would print to stdout, and run on another device.
        session = ort.InferenceSession(
            artifact.loadable(), options, providers=[(provider, settings)], enable_fallback=0
        )
    except Exception as error:
        if provider != _PROVIDERS["CPU"]:
            raise DeviceError(
                f"{artifact.payload} cannot run on {asked.device} alone: {error}",
                hint="Repair the device's driver, or ask for --device CPU.",
            ) from error
        from edge_fm_runtime.system.brief_errors import brief

        raise EngineError(
            f"ONNX Runtime cannot load {artifact.payload}: {brief(error)}",
            hint="Update the library, pip install -U onnxruntime, or export the model again: edgefm export",
        ) from error
    return session


def _may_saturate(artifact: Artifact) -> bool:
    """Whether 8-bit weights meet a CPU that adds their products in 16 bits, or may."""
    quantization = artifact.metadata.quantization or {}
    all_bits = artifact.metadata.precision == "int8" and quantization.get("reduce_range") is False
    return all_bits and byte_products() != "exact"


def _warn_of_fp32(artifact: Artifact) -> None:
    cpu = "has neither VNNI nor AMX" if byte_products() == "saturating" else "may have neither VNNI nor AMX"
    safe_for = (artifact.metadata.quantization or {}).get("safe_for", "another CPU")
    warnings.warn(
        f"{artifact.path} was quantized for {safe_for}. This CPU {cpu}: sums of 8-bit products would saturate, so it "
        "is computed in fp32, which is slower. For int8 on every CPU: edgefm export --precision int8 --any-cpu",
        PrecisionWarning,
        stacklevel=3,
    )


def _is_x86() -> bool:
    return platform.machine().lower() in X86
