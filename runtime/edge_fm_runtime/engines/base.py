"""What is asked of an engine, and the base class of all engines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias, cast

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.engines.calls import Calls
from edge_fm_runtime.errors import EngineError
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.machine import thread_limit

if TYPE_CHECKING:
    from pathlib import Path

    from edge_fm_runtime.artifacts.artifact import Artifact
    from edge_fm_runtime.artifacts.metadata import Format
    from edge_fm_runtime.engines.outputs import Outputs

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
        one_shot: the process classifies once and ends, so threads need not spin while they wait.
        batch: a batch size to compile for, where the library gains from it, beside a model for any batch; None for
            single images, 0 for none: one model for all.
        hint: what to be fast at, see `Hint`; `Engine.infer_many` makes use of "throughput".
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


class SupportsInfer(Protocol):
    """The least that a third-party object must have to serve as an engine; see `as_engine`."""

    def infer(self, batch: Pixels, /) -> Probabilities: ...
    def close(self) -> None: ...


class Engine(ABC):
    """Turns a uint8 batch `[N,H,W,C]` into float32 probabilities `[N,classes]`.

    An engine of a registry is built as `Class(artifact, options)`. A subclass needs `infer` and `close` alone; a
    third-party object that has these two is taken wherever an engine is given, without being a subclass.

    Attributes:
        name: as in the registry, such as "onnxruntime".
        device: the device that really runs, read back from the library.
        precision: the arithmetic that really runs, such as "fp32", "bf16" or "int8".
        threads: compute threads in use.
        streams: how many batches it works on at once; 1 unless it was made with `EngineOptions(hint="throughput")`.
        fixed_batch: the only batch size that `infer` takes; None for any.
        formats: the formats that it runs; empty for all of them.
    """

    name: str = "engine"
    device: str = "CPU"
    precision: str = "unknown"
    threads: int = 1
    streams: int = 1
    fixed_batch: int | None = None
    formats: ClassVar[tuple[Format, ...]] = ()

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        """Take over what the artifact decides.

        Raises:
            EngineError: the engine does not run the artifact's format.
        """
        if self.formats and artifact.metadata.format not in self.formats:
            raise EngineError(
                f"The {self.name} engine runs {' and '.join(self.formats)} artifacts; {artifact.path} is "
                f"{artifact.metadata.format}.",
                hint=f"Use --engine auto, or export its model: edgefm export RUN --format {self.formats[0]}",
            )
        self.fixed_batch = artifact.metadata.input.batch
        self._calls = Calls(f"The {self.name} engine")

    @abstractmethod
    def infer(self, batch: Pixels, /) -> Probabilities:
        """Compute the probabilities of one batch; float32 `[N,classes]`."""

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        """Compute everything that the model returns for one batch, by the names of the outputs.

        `probabilities` is always there; what else is, the artifact's metadata records (`Metadata.extra_outputs`).
        """
        return {PROBABILITIES: self.infer(batch)}

    @abstractmethod
    def close(self) -> None:
        """Release what the engine holds, once the calls in flight have ended."""

    def predict_all(
        self,
        images: Pixels,
        *,
        batch: int | None = None,
        stage: str = "inferring",
        progress: ProgressFn = silent,
    ) -> Probabilities:
        """Compute the probabilities of any number of images.

        Args:
            images: uint8 `[N,H,W,C]`.
            batch: images at once; None for all. An engine of a fixed batch size takes that size, the last batch
                filled up.
            stage: what `progress` is called with.
            progress: called before each batch and in the end.

        Returns:
            float32 `[N,classes]`.
        """
        if batch is None and self.fixed_batch in (None, len(images)) and progress is silent:
            return self.infer(images)
        from edge_fm_runtime.engines.batches import run_in_batches

        return run_in_batches(
            self.infer, images, batch=batch, fixed_batch=self.fixed_batch, stage=stage, progress=progress
        )

    def predict_outputs(self, images: Pixels, *, batch: int | None = None) -> Outputs:
        """Compute everything that the model returns for any number of images, by the names of the outputs.

        Args:
            images: uint8 `[N,H,W,C]`, at least one.
            batch: images at once; as for `predict_all`.

        Returns:
            float32 `[N, ...]` each.
        """
        from edge_fm_runtime.engines.batches import run_outputs_in_batches

        return run_outputs_in_batches(self.infer_outputs, images, batch=batch, fixed_batch=self.fixed_batch)

    def infer_many(self, batches: Iterable[Pixels], /) -> Iterator[Probabilities]:
        """Run batches in their order, as many at once as the engine has `streams`.

        Batches are drawn as there is room for them, a few ahead of the results.

        Args:
            batches: uint8 `[N,H,W,C]` each.

        Yields:
            float32 `[N,classes]` for each batch.

        Raises:
            ClosedError: the engine was closed before the last batch.

        Example:
            >>> from edge_fm_runtime.engines import EngineOptions, create_engine
            >>> engine = create_engine(artifact, options=EngineOptions(hint="throughput"))  # doctest: +SKIP
            >>> for probabilities in engine.infer_many(batches):  # doctest: +SKIP
            ...     print(probabilities.argmax(axis=1))
        """
        if self.streams == 1:
            yield from map(self.infer, batches)
            return
        from edge_fm_runtime.engines.streaming import infer_on_threads

        yield from infer_on_threads(self.infer, batches, self.streams)


def as_engine(engine: Engine | SupportsInfer, *, fixed_batch: int | None = None) -> Engine:
    """Return `engine`, or an `Engine` around a third-party object that is none; used wherever an engine comes in.

    Args:
        engine: has `infer` and `close`; its `name`, `device`, `precision`, `threads` and `streams` are taken over where
            it has them.
        fixed_batch: the only batch size that the model takes; an `Engine` knows its own.
    """
    return engine if isinstance(engine, Engine) else _Adapted(engine, fixed_batch)


def cannot_run(library: str, payload: Path, batch: Pixels, error: Exception) -> EngineError:
    """The error for a model that was loaded and does not compute: damaged, or given another shape than it takes."""
    from edge_fm_runtime.system.brief_errors import brief

    return EngineError(
        f"{library} cannot run {payload} on {batch.dtype} {list(batch.shape)}: {brief(error)}",
        hint="Give it what the artifact's metadata says under input; if that is so, export the model again: "
        "edgefm export",
    )


class _Adapted(Engine):
    def __init__(self, engine: SupportsInfer, fixed_batch: int | None) -> None:
        self._engine = engine
        self._calls = Calls("The engine")
        self.fixed_batch = fixed_batch
        self.name = type(engine).__name__
        for name in ("name", "device", "precision", "threads", "streams"):
            if hasattr(engine, name):
                setattr(self, name, getattr(engine, name))

    def infer(self, batch: Pixels, /) -> Probabilities:
        with self._calls:
            return self._engine.infer(batch)

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        own = getattr(self._engine, "infer_outputs", None)
        if own is None:
            return super().infer_outputs(batch)
        with self._calls:
            return cast("Outputs", own(batch))

    def close(self) -> None:
        if self._calls.close():
            self._engine.close()
