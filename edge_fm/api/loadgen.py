"""`benchmark_scenarios`: MLPerf's LoadGen measures artifacts and gives verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.benchmark import DURATION_S, newest_exports
from edge_fm.api.common.engines import select_engine
from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.scratch import scratch_folder

if TYPE_CHECKING:
    from edge_fm.mlperf import Plan, ScenarioResult, Subject
    from edge_fm_runtime.artifacts.artifact import Artifact
    from edge_fm_runtime.engines import EngineOptions

SCENARIO_NAMES = ("single-stream", "multi-stream", "server", "offline")
OFFICIAL_DURATION_S = 600
OFFICIAL_LATENCY_MS = 10


@dataclass(frozen=True, eq=False)
class ScenariosResult:
    """What LoadGen measured.

    Attributes:
        results: one for each artifact and scenario.
        version: LoadGen's.
        plan: durations and targets.
        environment: the machine and the versions.
        artifacts: what was measured.
        logs_stored: whether LoadGen's logs were stored.
    """

    results: tuple[ScenarioResult, ...]
    version: str
    plan: Plan
    environment: Mapping[str, Any]
    artifacts: tuple[Path, ...]
    logs_stored: bool

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm benchmark --scenario NAME --json` prints."""
        rows = [result.to_json() | ({} if self.logs_stored else {"logs": None}) for result in self.results]
        return {"environment": {**self.environment, "loadgen": self.version}, "rows": rows}

    def require_valid(self) -> None:
        """Raise an error if LoadGen finds a run INVALID.

        Raises:
            GateError: with every reason.
        """
        from edge_fm_runtime.errors import GateError

        invalid = [result for result in self.results if not result.verdict.valid]
        if invalid:
            raise GateError(
                f"LoadGen finds {len(invalid)} of {len(self.results)} runs INVALID.",
                [f"{r.subject}, {r.scenario}: {'; '.join(r.verdict.reasons)}" for r in invalid],
                hint="Run on an idle machine, or lower --target-qps, or allow more --target-latency-ms.",
            )


def benchmark_scenarios(
    artifacts: Sequence[str | Path] = (),
    scenarios: Sequence[str] = SCENARIO_NAMES,
    *,
    target_qps: float | None = None,
    target_latency_ms: float | None = None,
    official: bool = False,
    data: str | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    batch: int | None = None,
    duration_s: float = DURATION_S,
    out: str | Path | None = None,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> ScenariosResult:
    """Let MLPerf's LoadGen measure artifacts in its scenarios, one by one.

    Args:
        artifacts: what to measure; none for those that `benchmark` would measure.
        scenarios: of `SCENARIO_NAMES`, or "all".
        target_qps: queries a second in the server scenario; None for what short trials find that the latency holds at.
        target_latency_ms: bound of the 99th percentile in the server scenario; None for MLPerf's 10 ms.
        official: run by MLPerf's durations and counts (600 s a scenario) instead of `duration_s`.
        data: source of the images; None for what the model was trained on.
        skip_unreadable: share of a folder's images that may be left out; None for what the run's training left out.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the run's training said of the same source.
        label_column: column of a manifest that holds the labels; None for what it said, else to tell by the names.
        batch: images at once offline; None for the size that a short trial finds fastest.
        duration_s: least seconds of a performance run.
        out: folder for mlperf.json and LoadGen's logs; None writes nothing.
        engine: as for `benchmark`.
        device: likewise.
        threads: likewise.
        progress: likewise.
        note: likewise.

    Returns:
        The figures; call `require_valid()` to insist on valid runs.

    Raises:
        EdgeFMError: an artifact or its images cannot be read or run, or LoadGen is not installed.
        ValueError: `scenarios` has an unknown name.
    """
    from edge_fm.evaluation.benchmark.benchmark import environment
    from edge_fm.mlperf import SCENARIOS, Plan, loadgen_version, run_scenarios
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions

    if unknown := {*scenarios} - {*SCENARIO_NAMES, "all"}:
        raise ValueError(f"Unknown scenarios: {', '.join(sorted(unknown))}; known: {', '.join(SCENARIO_NAMES)}, all.")
    selected = [s for s in SCENARIOS if s in scenarios or "all" in scenarios]
    version = loadgen_version()
    opened = [load_artifact(a) for a in artifacts or newest_exports(note)]
    options = EngineOptions(device, threads)
    plan = Plan(None if official else duration_s, target_qps, target_latency_ms, batch)
    reading = Reading(skip_unreadable, group, label_column)
    engines = [select_engine(a, engine, beside=opened) for a in opened]
    subjects = [_subject(a, e, options, data, reading, progress, note) for a, e in zip(opened, engines, strict=True)]
    folder = None if out is None else Path(out)
    with _log_folder(folder, note) as logs:
        results = run_scenarios(_distinct(subjects), selected, plan, logs, progress=progress)
    paths = tuple(artifact.path for artifact in opened)
    found = ScenariosResult(tuple(results), version, plan, environment(), paths, folder is not None)
    if folder is not None:
        with replacing(folder / "mlperf.json") as temporary:
            temporary.write_text(json.dumps(found.to_json(), indent=2) + "\n")
        note(f"Wrote {folder / 'mlperf.json'} and LoadGen's logs in {folder / 'mlperf'}")
    return found


@contextmanager
def _log_folder(out: Path | None, note: MessageFn) -> Iterator[Path]:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out / "mlperf"
        return
    note("LoadGen's log files are not stored; store them with --out DIR.")
    with scratch_folder("edgefm-mlperf-") as folder:
        yield folder


def _subject(
    artifact: Artifact,
    engine: str,
    options: EngineOptions,
    data: str | None,
    reading: Reading,
    progress: ProgressFn,
    note: MessageFn,
) -> Subject:
    """The artifact with the images that `edgefm evaluate` would ask, or, where it names none, its golden inputs."""
    from edge_fm.api.common.labelled import load_labelled, require_unchanged, select_images
    from edge_fm.api.common.original import own_data
    from edge_fm.evaluation.benchmark.cases import example_images
    from edge_fm.mlperf import Subject

    metadata = artifact.metadata
    if metadata.task is not None:
        raise DataError(
            f"{metadata.name} is multi-label; MLPerf's image classification is for one class of many.",
            hint="Measure it without scenarios: edgefm benchmark ARTIFACT",
        )
    shape = metadata.input.shape
    name = data or own_data(artifact.path, metadata.training)
    if name is None:
        note(f"{metadata.name} does not name its data: LoadGen asks its golden inputs, unscored. Give --data.")
        images, labels = example_images(artifact), None
    else:
        dataset = load_labelled(name, shape, metadata.photo, metadata.training, reading, progress=progress, note=note)
        if data is None:
            require_unchanged(name, dataset, metadata.training)
        selected = select_images(dataset, "test", metadata.labels, shape)
        images, labels = selected.images, selected.labels
    path = str(artifact.path.resolve())
    return Subject(metadata.name, path, engine, options, images, labels)


def _distinct(subjects: list[Subject]) -> list[Subject]:
    """Give artifacts of one name a number, so that their logs do not overwrite each other."""
    seen: dict[str, int] = {}
    out = []
    for subject in subjects:
        seen[subject.name] = seen.get(subject.name, 0) + 1
        number = seen[subject.name]
        out.append(subject if number == 1 else replace(subject, name=f"{subject.name}-{number}"))
    return out
