"""Measure every way in which artifacts of one model can run here, and find the fastest that keeps its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.defaults import MAX_DROP_POINTS
from edge_fm_runtime.engines import Engine, EngineOptions, create_engine
from edge_fm_runtime.errors import ArtifactError, EngineError, GateError, MissingDependencyError
from edge_fm_runtime.measurement.device_profile import ENGINES_OF, Choice, library_version
from edge_fm_runtime.measurement.latency import measure
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.machine import cpu_name, usable_cpus

DURATION_S = 0.3
"""Counted seconds of each way to run in the first round."""
_FINALISTS = 4
_FINAL_LONGER = 4.0


@dataclass(frozen=True, eq=False)
class Candidate:
    """One artifact on one engine in one setting.

    Attributes:
        artifact: what runs.
        engine: name of the engine.
        threads: compute threads.
        batch: as `EngineOptions.batch`: None for a model compiled for single images, 0 for one that takes any batch.
        p50_ms: median milliseconds of a call with one image (or the artifact's fixed batch).
        n: number of counted calls.
        drop_points: recorded accuracy drop, or what agreement alone allows it to be at most; None where unknown.
    """

    artifact: Artifact
    engine: str
    threads: int
    batch: int | None
    p50_ms: float
    n: int
    drop_points: float | None

    def choice(self) -> Choice:
        """As the device profile stores it."""
        version = library_version(self.engine)
        return Choice(self.engine, self.threads, self.batch, self.p50_ms, cpu_name(), usable_cpus(), version)


@dataclass(frozen=True, eq=False)
class Tuning:
    """The result of autotuning.

    Attributes:
        candidates: all that were measured: first the finalists, by their second and longer measurement, then the
            others, by their only one; the fastest first in both.
        best: the fastest whose drop is within the limit.
        skipped: what could not be measured, and why.
        finalists: how many of the candidates were measured twice.
    """

    candidates: tuple[Candidate, ...]
    best: Candidate
    skipped: tuple[str, ...]
    finalists: int = 1


def autotune(
    artifacts: Sequence[Artifact],
    *,
    max_drop_points: float = MAX_DROP_POINTS,
    duration_s: float = DURATION_S,
    progress: ProgressFn = silent,
) -> Tuning:
    """Measure engines, thread counts and static or dynamic batch of `artifacts`, interleaved, twice.

    All ways are measured in turn; the few fastest then again for longer, so that chance does not decide among them.

    Args:
        artifacts: formats and precisions of one model.
        max_drop_points: how much accuracy a choice may have lost at export, in percentage points.
        duration_s: counted seconds of each way in the first round.
        progress: called as rounds end.

    Raises:
        ArtifactError: they are not of one model.
        EngineError: nothing can run here.
        GateError: all that runs has lost more accuracy.
    """
    _require_one_model(artifacts)
    engines, skipped = _open_all(artifacts)
    if not engines:
        raise EngineError("Nothing can run here: " + "; ".join(skipped), hint="Export it: edgefm export --format onnx")
    try:
        found = _measure(engines, duration_s, partial(progress, "measuring"))
        accurate = [c for c in found if c.drop_points is not None and c.drop_points <= max_drop_points]
        if not accurate:
            lines = [f"{c.artifact.metadata.name}: drop {c.drop_points} points" for c in found]
            raise GateError(
                f"None has a recorded accuracy drop of at most {max_drop_points:g} points.",
                sorted(set(lines)),
                hint="Allow more with --max-drop, or give the fp32 artifact too.",
            )
        finalists = [way for way in engines if _key(way[0], way[1]) in {_of(c) for c in accurate[:_FINALISTS]}]
        again = _measure(finalists, duration_s * _FINAL_LONGER, partial(progress, "measuring the fastest again"))
    finally:
        for _, _, engine in engines:
            engine.close()
    rest = [c for c in found if _of(c) not in {_of(a) for a in again}]
    # Figures of two moments do not go into one order: on a busy machine a loser would stand above the winner.
    return Tuning((*again, *rest), again[0], tuple(skipped), len(again))


def _key(artifact: Artifact, options: tuple[str, int, int | None]) -> tuple[str, str, int, int | None]:
    return (str(artifact.path), *options)


def _of(candidate: Candidate) -> tuple[str, str, int, int | None]:
    return _key(candidate.artifact, (candidate.engine, candidate.threads, candidate.batch))


_Way = tuple[Artifact, tuple[str, int, int | None], Engine]


def _open_all(artifacts: Sequence[Artifact]) -> tuple[list[_Way], list[str]]:
    opened: list[_Way] = []
    skipped = []
    for artifact in artifacts:
        names = ENGINES_OF.get(artifact.metadata.format, ())
        if not names:
            skipped.append(f"{artifact.metadata.name}: no device engine runs {artifact.metadata.format}")
        for name in names:
            # OpenVINO alone compiles for a shape; the others take what comes.
            batches = (None, 0) if name == "openvino" and artifact.metadata.input.batch is None else (None,)
            for options in ((name, threads, batch) for threads in _thread_counts() for batch in batches):
                asked = EngineOptions(threads=options[1], batch=options[2])
                try:
                    opened.append((artifact, options, create_engine(artifact, name, options=asked)))
                except MissingDependencyError as error:
                    skipped.append(f"{artifact.metadata.name} on {name}: {error.message} {error.hint}")
                    break
                except EngineError as error:
                    skipped.append(f"{artifact.metadata.name} on {name}: {error.message}")
                    break
    return opened, skipped


def _thread_counts() -> list[int]:
    """1, its doublings, and all."""
    most = usable_cpus()
    return sorted({most, *(1 << n for n in range(most.bit_length()) if 1 << n <= most)})


def _measure(ways: Sequence[_Way], duration_s: float, progress: partial[None]) -> list[Candidate]:
    cases = {}
    rng = np.random.default_rng(0)
    for number, (artifact, _, engine) in enumerate(ways):
        spec = artifact.metadata.input
        pixels = rng.integers(0, 256, (spec.batch or 1, *spec.shape), dtype=np.uint8)
        cases[str(number)] = partial(engine.infer, pixels)
    taken = measure(cases, duration_s=duration_s, on_round=progress)
    found = []
    for number, (artifact, (name, threads, batch), _) in enumerate(ways):
        latency = taken[str(number)]
        found.append(Candidate(artifact, name, threads, batch, latency.p50_ms, latency.n, recorded_drop(artifact)))
    return sorted(found, key=lambda c: c.p50_ms)


def recorded_drop(artifact: Artifact) -> float | None:
    """The accuracy drop that the export recorded, in points; without labels, all that agreement leaves open."""
    parity = artifact.metadata.parity or {}
    agreement = parity.get("top1_agreement", parity.get("label_agreement"))
    for value, points in ((parity.get("drop_points"), 1.0), (agreement, None)):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value) if points else 100.0 * (1.0 - float(value))
    return None


def _require_one_model(artifacts: Sequence[Artifact]) -> None:
    first = artifacts[0].metadata
    for other in (artifact.metadata for artifact in artifacts[1:]):
        ours, theirs = ((m.source or {}).get("sha256") for m in (first, other))
        same = first.labels == other.labels and first.input.shape == other.input.shape
        if not same or (ours is not None and theirs is not None and ours != theirs):
            raise ArtifactError(
                f"{first.name} and {other.name} are not of one model, so the faster is not a choice between them.",
                hint="Give the formats and precisions of one export.",
            )
