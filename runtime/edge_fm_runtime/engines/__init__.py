"""Engines turn a uint8 batch into probabilities: a registry of names, each imported when it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from edge_fm_runtime.engines.base import Engine, EngineOptions, SupportsInfer, as_engine
from edge_fm_runtime.errors import EngineError

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.artifact import Artifact

__all__ = ["DEFAULT_ENGINE", "ENGINES", "Engine", "EngineOptions", "Registry", "create_engine"]

Registry: TypeAlias = Mapping[str, str]

ENGINES: Registry = {
    "onnxruntime": "edge_fm_runtime.engines.onnxruntime_engine:OnnxRuntimeEngine",
    "openvino": "edge_fm_runtime.engines.openvino_engine:OpenVinoEngine",
    "litert": "edge_fm_runtime.engines.litert_engine:LiteRtEngine",
    "tflite-micro": "edge_fm_runtime.engines.tflite_micro_engine:TfliteMicroEngine",
    "null": "edge_fm_runtime.engines.null_engine:NullEngine",
}
"""Engine name -> "module:Class". Each class is built as `Class(artifact, options)`; it is an `Engine`, or
has at least `infer` and `close`."""

DEFAULT_ENGINE: Mapping[str, str] = {
    "onnx": "onnxruntime",
    "openvino": "openvino",
    "litert": "litert",
    "web": "onnxruntime",
    "tflm": "tflite-micro",
}
"""The engine that `auto` means for each format."""


def create_engine(
    artifact: Artifact,
    name: str = "auto",
    *,
    options: EngineOptions | None = None,
    registry: Registry = ENGINES,
) -> Engine:
    """Build the engine `name` for `artifact`.

    Args:
        artifact: what to run.
        name: a key of `registry`, or "auto" for the format's own.
        options: what is asked of it.
        registry: the engines known; layers above add their references.

    Raises:
        EngineError: no such engine, or it cannot run this format.
        DeviceError: the device does not exist.
        MissingDependencyError: the engine's package is not installed.
    """
    if name == "auto":
        name = DEFAULT_ENGINE.get(artifact.metadata.format, artifact.metadata.format)
    if name not in registry:
        raise EngineError(
            f"There is no engine {name!r} here for a {artifact.metadata.format} artifact; "
            f"there are: {', '.join(sorted(registry))}.",
            hint="Export to a format that a device engine runs: edgefm export --format onnx",
        )
    module, _, attribute = registry[name].partition(":")
    factory = cast("Callable[[Any, EngineOptions], Engine | SupportsInfer]", getattr(import_module(module), attribute))
    return as_engine(factory(artifact, options or EngineOptions()), fixed_batch=artifact.metadata.input.batch)
