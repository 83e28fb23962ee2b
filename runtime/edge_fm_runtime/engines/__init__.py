"""Engines: things that turn a uint8 batch into probabilities. A registry of names, imported on use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.errors import EngineError
from edge_fm_runtime.system.machine import thread_limit

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.artifact import Artifact

Arithmetic: TypeAlias = Literal["exact", "fast"]
"""exact: floats at the artifact's own precision; fast: as the library likes (bf16 on CPUs that have it)."""
Hint: TypeAlias = Literal["latency", "throughput"]
"""latency: all threads work on one batch; throughput: several batches at once, a few threads each."""


@dataclass(frozen=True)
class EngineOptions:
    """What is asked of an engine.

    Attributes:
        device: "CPU", "GPU", "NPU" or a name of the library's own such as "GPU.1".
        threads: compute threads, at most `machine.thread_limit`; None for what the process may really use
            (`machine.usable_cpus`).
        arithmetic: see `Arithmetic`.
        one_shot: the process answers once and ends, so threads need not spin while they wait.
        batch: a batch size to compile for, where the library gains from it, beside a model for any batch; None for
            single images, 0 for none: one model for all.
        hint: what to be fast at, see `Hint`; `streaming.infer_many` makes use of "throughput".
    """

    device: str = "CPU"
    threads: int | None = None
    arithmetic: Arithmetic = "exact"
    one_shot: bool = False
    batch: int | None = None
    hint: Hint = "latency"

    def __post_init__(self) -> None:
        """Refuse more threads than the machine can make use of: starting them takes minutes, or all memory."""
        limit = thread_limit()
        if self.threads is not None and not 1 <= self.threads <= limit:
            raise EngineError(
                f"{self.threads} threads were asked for; this machine takes 1 to {limit}.",
                hint="Leave --threads out for as many as this process may use.",
            )


class Engine(Protocol):
    """Turns a uint8 batch `[N,H,W,C]` into float32 probabilities `[N,classes]`.

    Attributes:
        name: as in the registry, such as "onnxruntime".
        device: the device that really runs, read back from the library.
        precision: the arithmetic that really runs, such as "fp32", "bf16" or "int8".
        threads: compute threads in use.
    """

    @property
    def name(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def threads(self) -> int: ...
    def infer(self, batch: Pixels, /) -> Probabilities: ...
    def close(self) -> None: ...


Registry: TypeAlias = Mapping[str, str]

ENGINES: Registry = {
    "onnxruntime": "edge_fm_runtime.engines.onnxruntime_engine:OnnxRuntimeEngine",
    "openvino": "edge_fm_runtime.engines.openvino_engine:OpenVinoEngine",
    "litert": "edge_fm_runtime.engines.litert_engine:LiteRtEngine",
    "null": "edge_fm_runtime.engines.null_engine:NullEngine",
}
"""Engine name -> "module:Class". Each class is built as `Class(artifact, options)`."""

DEFAULT_ENGINE: Mapping[str, str] = {"onnx": "onnxruntime", "openvino": "openvino", "litert": "litert"}
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
    chosen = name
    if name == "auto":
        chosen = DEFAULT_ENGINE.get(artifact.metadata.format, artifact.metadata.format)
    if chosen not in registry:
        raise EngineError(
            f"There is no engine {chosen!r} here for a {artifact.metadata.format} artifact; "
            f"there are: {', '.join(sorted(registry))}.",
            hint="Export to a format that a device engine runs: edgefm export --format onnx",
        )
    module, _, attribute = registry[chosen].partition(":")
    factory = cast("Callable[[Any, EngineOptions], Engine]", getattr(import_module(module), attribute))
    return factory(artifact, options or EngineOptions())
