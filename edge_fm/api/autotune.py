"""`autotune`: how a model runs fastest on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm_runtime.defaults import MAX_DROP_POINTS
from edge_fm_runtime.measurement.autotune import DURATION_S
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.evaluation.benchmark.statistics import Verdict
    from edge_fm_runtime.measurement.autotune import Candidate, Tuning


@dataclass(frozen=True, eq=False)
class AutotuneResult:
    """What was measured, and what was stored.

    Attributes:
        tuning: every way to run, those first that were measured twice, and the best within the limit.
        verdict: whether the measurement is valid, and why not.
        profile: the device profile that the result was written to; None where an invalid measurement was not stored.
    """

    tuning: Tuning
    verdict: Verdict
    profile: Path | None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm autotune --json` prints."""
        return {
            "best": _row(self.tuning.best),
            "candidates": [_row(candidate) for candidate in self.tuning.candidates],
            "finalists": self.tuning.finalists,
            "skipped": list(self.tuning.skipped),
            "profile": None if self.profile is None else str(self.profile),
            **self.verdict.to_json(),
        }

    def require_stored(self) -> Path:
        """Return the device profile that the result was written to.

        Raises:
            GateError: the measurement is invalid, and was not stored; with every reason.
        """
        from edge_fm_runtime.errors import GateError

        if self.profile is None:
            raise GateError(
                "The measurement is INVALID, so the device profile was left as it was.",
                list(self.verdict.reasons),
                hint="Measure again while this machine does nothing else, or store what was measured: --allow-load",
            )
        return self.profile


def autotune(
    artifacts: Sequence[str | Path],
    *,
    max_drop: float = MAX_DROP_POINTS,
    duration_s: float = DURATION_S,
    allow_load: bool = False,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> AutotuneResult:
    """Measure engines, threads and static or dynamic batch, and store each artifact's fastest in the device profile.

    Args:
        artifacts: formats and precisions of one model.
        max_drop: accuracy that the selected artifact may have lost at export, in points.
        duration_s: counted seconds of each way to run.
        allow_load: store the result even if other programs used the CPU meanwhile.
        progress: called as work goes on.
        note: called with what could not be measured.

    Returns:
        The figures; call `require_stored()` to insist that they were stored.

    Raises:
        EdgeFMError: an artifact cannot be read or run, or the profile cannot be written.
    """
    from edge_fm.evaluation.benchmark.conditions import Watch
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.measurement.autotune import autotune as measure
    from edge_fm_runtime.measurement.device_profile import place_for_profile, save_choices

    place_for_profile()  # before the measurement, which would be lost
    opened = [load_artifact(Path(path)) for path in artifacts]
    watch = Watch()

    def watched(stage: str, done: int, total: int | None) -> None:
        watch.look()
        progress(stage, done, total)

    tuning = measure(opened, max_drop_points=max_drop, duration_s=duration_s, progress=watched)
    verdict = watch.stop().verdict()
    for line in tuning.skipped:
        note(f"Skipped: {line}")
    choices = {}
    for candidate in reversed(tuning.candidates):  # the fastest of each artifact is written last
        if (digest := candidate.artifact.payload_hash()) is not None:
            choices[digest] = candidate.choice()
    if (digest := tuning.best.artifact.payload_hash()) is not None:
        choices[digest] = tuning.best.choice()
    return AutotuneResult(tuning, verdict, save_choices(choices) if verdict.valid or allow_load else None)


def describe_batch(candidate: Candidate) -> str:
    """Whether the batch is free, or which size it is fixed to."""
    fixed = candidate.artifact.metadata.input.batch
    if candidate.engine == "openvino":
        return "dynamic" if candidate.batch == 0 else f"static {fixed or 1}"
    return "dynamic" if fixed is None else f"static {fixed}"


def _row(candidate: Candidate) -> dict[str, Any]:
    return {
        "artifact": str(candidate.artifact.path),
        "engine": candidate.engine,
        "threads": candidate.threads,
        "batch": describe_batch(candidate),
        "p50_ms": candidate.p50_ms,
        "n": candidate.n,
        "drop_points": candidate.drop_points,
    }
