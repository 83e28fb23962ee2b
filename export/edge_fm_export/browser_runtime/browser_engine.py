"""A web artifact in headless Chromium: its own page's module, with ONNX Runtime Web."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt

from edge_fm_export.browser_runtime.chromium import START_S, Chromium
from edge_fm_export.browser_runtime.static_server import StaticServer
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.engines.base import Engine, EngineOptions, cannot_run
from edge_fm_runtime.engines.outputs import Outputs
from edge_fm_runtime.errors import DeviceError, EngineError
from edge_fm_runtime.system.machine import usable_cpus
from edge_fm_runtime.system.scratch import scratch_folder

_LOAD_S = 120.0
_RUN_S = 600.0
_BACKENDS = {"CPU": "wasm", "GPU": "webgpu"}
_TO_BASE64 = """
globalThis.edgefmBase64 = (values) => {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
};
"""


class BrowserEngine(Engine):
    """Runs a web artifact in headless Chromium, through the module that its page loads.

    A call's time has the way into the browser and back in it, about a millisecond and more for large batches.

    Args:
        artifact: of format "web", its whole folder.
        options: `device` is "CPU" (WebAssembly) or "GPU" (WebGPU).

    Raises:
        EngineError: another format, a page that cannot load its model, or a browser that does not start.
        DeviceError: there is no such device, or no WebGPU adapter on which the golden predictions pass.
        MissingDependencyError: Chromium is not installed.
    """

    name = "web"
    formats = ("web",)

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        super().__init__(artifact, options)
        if artifact.bare:
            raise EngineError(
                f"{artifact.path} is a bare model; the web engine runs the page beside it.", hint="Give its folder."
            )
        if options.device not in _BACKENDS:
            raise DeviceError(
                f"The web engine has no device {options.device!r}; it has CPU (WebAssembly) and GPU (WebGPU).",
                hint="Ask for one of them: --device CPU",
            )
        gpu = options.device == "GPU"
        self._artifact = artifact
        self._names = [PROBABILITIES, *(output.name for output in artifact.metadata.extra_outputs)]
        self._shapes = {output.name: output.shape for output in artifact.metadata.extra_outputs}
        self._lock = threading.Lock()
        with ExitStack() as opened:
            server = StaticServer(artifact)
            opened.callback(server.close)
            profile = opened.enter_context(scratch_folder("edgefm-chromium-"))
            self._browser = Chromium(profile, gpu=gpu)
            opened.callback(self._browser.close)
            self._open(server.address, options.threads or usable_cpus(), _BACKENDS[options.device])
            self._opened = opened.pop_all()
        self.device = options.device
        # On WebAssembly half-precision weights are widened, as on x86 CPUs.
        widened = artifact.metadata.precision == "fp16" and not gpu
        self.precision = "fp32" if widened else artifact.metadata.precision

    def _open(self, address: str, threads: int, backend: str) -> None:
        # A page of the same host, so that modules load; it loads no model of its own.
        self._browser.call("Page.navigate", START_S, url=f"{address}edgefm.json")
        self._browser.evaluate(
            f"new Promise((done) => {{ const look = () => location.href.startsWith({json.dumps(address)}) && "
            "document.readyState === 'complete' ? done() : setTimeout(look, 10); look(); })",
            START_S,
        )
        options = json.dumps({"backend": backend, **({"threads": threads} if backend == "wasm" else {})})
        script = f"""{_TO_BASE64}
import("{address}edgefm.js").then((module) => module.load({options})).then((classifier) => {{
  globalThis.edgefmClassifier = classifier;
  return classifier.threads;
}})"""
        try:
            self.threads = int(self._browser.evaluate(script, _LOAD_S))
        except EngineError as error:
            kind = DeviceError if backend == "webgpu" else EngineError
            raise kind(
                f"The page of {self._artifact.path} does not load its model: {error.message}",
                hint="Ask for --device CPU." if backend == "webgpu" else "Export it again: edgefm export --format web",
            ) from error

    def infer(self, batch: Pixels, /) -> Probabilities:
        return self._run(batch, [])[PROBABILITIES]

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        return self._run(batch, self._names[1:])

    def _run(self, batch: Pixels, outputs: list[str]) -> dict[str, npt.NDArray[np.float32]]:
        shape = self._artifact.metadata.input.shape
        pixels = base64.b64encode(np.ascontiguousarray(batch).data).decode()
        script = f"""
edgefmClassifier.run(Uint8Array.from(atob("{pixels}"), (one) => one.charCodeAt(0)), {json.dumps(outputs)}).then(
  (found) => Object.fromEntries(Object.entries(found).map(([name, values]) => [name, edgefmBase64(values)])))"""
        with self._calls, self._lock:
            try:
                if batch.dtype != np.uint8 or batch.shape[1:] != shape:
                    raise EngineError(f"it takes uint8 [N, {', '.join(map(str, shape))}]")
                found = self._browser.evaluate(script, _RUN_S)
            except EngineError as error:
                raise cannot_run("The browser", self._artifact.payload, batch, error) from error
        values = {name: np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32) for name, text in found.items()}
        return {name: array.reshape(len(batch), *self._shapes.get(name, (-1,))) for name, array in values.items()}

    def close(self) -> None:
        """End the browser, once the calls in flight have ended."""
        if self._calls.close():
            self._opened.close()
