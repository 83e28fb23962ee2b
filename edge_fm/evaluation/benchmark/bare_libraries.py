"""Libraries without us: what the fewest lines around ONNX Runtime, OpenVINO and LiteRT cost for the same payload.

The same file, threads, arithmetic and batch as our engine, called as each library's documentation calls it. The ratio
of ours to these is what EdgeFM's engine costs.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines import Engine, EngineOptions, Registry
from edge_fm_runtime.system.machine import usable_cpus

BARE_OF = {"onnxruntime": "bare-onnxruntime", "openvino": "bare-openvino", "litert": "bare-litert"}
"""Our engine -> the name of the same library, bare."""

BARE_ENGINES: Registry = {
    "bare-onnxruntime": "edge_fm.evaluation.benchmark.bare_libraries:BareOnnxRuntime",
    "bare-openvino": "edge_fm.evaluation.benchmark.bare_libraries:BareOpenVino",
    "bare-litert": "edge_fm.evaluation.benchmark.bare_libraries:BareLiteRt",
}


class _Bare(Engine):
    device = "CPU"

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        self.precision = artifact.metadata.precision
        self.threads = options.threads or usable_cpus()

    def close(self) -> None:
        """Leave it to the collector, as scripts do."""


class BareOnnxRuntime(_Bare):
    """`session.run`."""

    name = "bare-onnxruntime"

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = self.threads
        settings.log_severity_level = 3
        self._session = ort.InferenceSession(artifact.loadable(), settings, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def infer(self, batch: Pixels, /) -> Probabilities:
        return cast(Probabilities, self._session.run(None, {self._input: batch})[0])


class BareOpenVino(_Bare):
    """One infer request of a model that is compiled for the very shape, with the latency hint."""

    name = "bare-openvino"

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        from edge_fm_runtime.engines.openvino_core import read_model, shared_core

        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.threads}
        if options.arithmetic == "exact":
            config["INFERENCE_PRECISION_HINT"] = "f32"
        core, spec = shared_core(), artifact.metadata.input
        model = read_model(core, artifact)
        if spec.batch is None:
            model.reshape([options.batch or 1, *spec.shape])
        self._request = core.compile_model(model, options.device, config).create_infer_request()

    def infer(self, batch: Pixels, /) -> Probabilities:
        return cast(Probabilities, self._request.infer([batch])[0])


class BareLiteRt(_Bare):
    """`set_tensor`, `invoke`, `get_tensor`."""

    name = "bare-litert"

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        from edge_fm_runtime.engines.litert_engine import read_interpreter

        self._interpreter = read_interpreter(artifact, self.threads)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        spec = artifact.metadata.input
        if spec.batch is None:
            self._interpreter.resize_tensor_input(self._input, [options.batch or 1, *spec.shape])
        self._interpreter.allocate_tensors()

    def infer(self, batch: Pixels, /) -> Probabilities:
        self._interpreter.set_tensor(self._input, batch)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))
