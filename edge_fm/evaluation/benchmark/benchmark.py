"""What artifacts cost beside the original: every case in one interleaved run, every start in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.evaluation.benchmark.cases import (
    OPEN_REFERENCE,
    Case,
    artifact_case,
    bare_case,
    null_case,
    open_reference,
    reference_cases,
)
from edge_fm.evaluation.benchmark.conditions import Conditions, Watch
from edge_fm.evaluation.benchmark.statistics import (
    Estimate,
    Rules,
    Verdict,
    all_of,
    judge,
    median_estimate,
    median_ratio,
)
from edge_fm.evaluation.benchmark.throughput import Throughput, measure_throughput
from edge_fm_runtime.engines import Engine
from edge_fm_runtime.measurement.latency import PERCENTILES, Latency, measure
from edge_fm_runtime.measurement.probe import StartCost, measure_start
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.machine import describe_machine, usable_cpus
from edge_fm_runtime.system.package_versions import package_version

__all__ = [
    "OPEN_REFERENCE",
    "BenchmarkReport",
    "Case",
    "Row",
    "artifact_case",
    "bare_case",
    "environment",
    "null_case",
    "open_reference",
    "reference_cases",
    "run_benchmark",
]

_LIBRARIES = ("edge-fm", "numpy", "onnxruntime", "openvino", "ai-edge-litert", "tensorflow", "keras", "pillow")
_MAX_WARM_UP_S = 3.0
_QUANTILES = (*range(0, 100, 2), 99, 99.5, 99.9, 100)


@dataclass(frozen=True, eq=False)
class Row:
    """One case at one batch size; latencies are of a whole batch, throughput in images a second.

    Attributes:
        case: what ran.
        batch: images in a call.
        latency: the model alone, one call after another.
        start: loading and first inference, in a process of its own; None where it was not measured.
        verdict: of `latency`.
        streams: throughput with several batches at once; None where it was not measured.
        photo: from a photo's file to its class; None where it was not measured.
    """

    case: Case
    batch: int
    latency: Latency
    start: StartCost | None
    verdict: Verdict
    streams: Throughput | None = None
    photo: Latency | None = None

    def to_json(self) -> dict[str, Any]:
        """The row that `edgefm benchmark --json` prints."""
        engine, latency = self.case.engine, self.latency
        photo = dict.fromkeys(("photo_p50_ms", "photo_p90_ms", "photo_p99_ms"))
        if self.photo is not None:
            photo = {name: self.photo.percentile_ms(name[6:-3]) for name in photo}
        start = self.start or StartCost(None, None, None, 0)
        return {
            "model": self.case.model,
            "kind": self.case.kind,
            "engine": engine.name,
            "device": engine.device,
            "precision": engine.precision,
            "batch": self.batch,
            "threads": engine.threads,
            "n": latency.n,
            **{f"{p}_ms": latency.percentile_ms(p) for p in PERCENTILES},
            "p50_ci95_ms": median_estimate(latency).to_json(),
            "mean_ms": latency.mean_ms,
            "throughput_ips": 1000.0 * self.batch / latency.mean_ms,
            "load_ms": start.load_ms,
            "first_ms": start.first_ms,
            "peak_rss_mib": start.peak_rss_mib,
            "starts": start.starts,
            **(Throughput.NONE if self.streams is None else self.streams.to_json()),
            **photo,
            "counted_s": latency.counted_s,
            "warm_up_calls": latency.warm_up_calls,
            "warm_up_steady": latency.steady,
            **self.verdict.to_json(),
            **self.case.facts,
            "quantiles_ms": [[q, float(v)] for q, v in zip(_QUANTILES, _quantiles(latency), strict=True)],
        }


@dataclass(frozen=True, eq=False)
class BenchmarkReport:
    """Rows in the order of the cases, and the machine they were measured on.

    Attributes:
        environment: machine, versions, time and command.
        rows: one for each case and batch size.
        rules: that the figures were judged by.
        conditions: what the machine did, by stage, such as "timing batch 1".
        profiles: where the time goes, see `profile`.
        scaling: how it grows, see `scaling`; None where it was not measured.
    """

    environment: Mapping[str, Any]
    rows: tuple[Row, ...]
    rules: Rules
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    profiles: tuple[Mapping[str, Any], ...] = ()
    scaling: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """VALID where every row is, and the machine was this measurement's own all the time."""
        found = [(stage, conditions.verdict()) for stage, conditions in self.conditions.items()]
        for row in self.rows:
            found.append((f"{row.case.model}, batch {row.batch}", row.verdict))
        if self.scaling is not None:
            found.append(("scaling", Verdict(tuple(self.scaling["conditions"]["reasons"]))))
        return all_of(found)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm benchmark --json` prints."""
        null = next((row.latency.p50_ms for row in self.rows if row.case.kind == "null"), None)
        return {
            **self.verdict.to_json(),
            "environment": dict(self.environment),
            "rules": vars(self.rules),
            "conditions": {stage: conditions.to_json() for stage, conditions in self.conditions.items()},
            "harness_us": None if null is None else 1000.0 * null,
            "rows": [row.to_json() for row in self.rows],
            "ratios": self.ratios(),
            "overheads": self.overheads(),
            "profiles": list(self.profiles),
            "scaling": self.scaling,
        }

    def ratios(self) -> list[dict[str, Any]]:
        """Median latency of each reference over that of each artifact, at the same batch size."""
        return [
            {
                "of": of.case.model,
                "to": to.case.model,
                "batch": of.batch,
                "p50_ratio": (ratio := _ratio(of, to)).value,
                "p50_ratio_ci95": ratio.to_json(),
            }
            for of in self._of_kind("reference")
            for to in self._of_kind("artifact")
            if of.batch == to.batch
        ]

    def overheads(self) -> list[dict[str, Any]]:
        """Median latency of each artifact on our engine over that of the library alone: 1.00 is no overhead."""
        return [
            {
                "model": ours.case.model,
                "engine": ours.case.engine.name,
                "over": bare.case.engine.name,
                "batch": ours.batch,
                "p50_ratio": (ratio := _ratio(ours, bare)).value,
                "p50_ratio_ci95": ratio.to_json(),
            }
            for ours in self._of_kind("artifact")
            for bare in self._of_kind("bare")
            if (bare.case.facts["of"], bare.case.facts["of_engine"]) == (ours.case.model, ours.case.engine.name)
            and ours.batch == bare.batch
        ]

    def _of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.case.kind == kind]


def run_benchmark(
    cases: Sequence[Case],
    *,
    batches: Sequence[int] = (1,),
    duration_s: float = 1.0,
    min_samples: int = 20,
    rules: Rules | None = None,
    starts: int = 1,
    streams: bool = False,
    photo: Path | None = None,
    progress: ProgressFn = silent,
) -> BenchmarkReport:
    """Measure every case at every batch size.

    The cases of one batch size are interleaved in one run; the starts are measured before, each in its own process.

    Args:
        cases: what to measure.
        batches: batch sizes; a case of a fixed batch is measured at that one alone.
        duration_s: counted seconds for each case and batch size; half of it for photos and for streams.
        min_samples: least number of counted calls for each case and batch size.
        rules: what a figure must keep to be VALID.
        starts: how often an artifact is started, for medians; a reference, which takes seconds, once. 0: none.
        streams: measure throughput with several batches at once, too.
        photo: measure from this photo's file to its class, too.
        progress: called as work goes on.
    """
    rules = rules or Rules()
    costs: list[StartCost | None] = []
    for done, case in enumerate(cases):
        if starts:
            progress("measuring starts", done, len(cases))
        costs.append(_start(case, starts))
    rows: list[Row] = []
    conditions: dict[str, Conditions] = {}
    for size in sorted({*batches, *(c.fixed_batch for c in cases if c.fixed_batch)}):
        chosen = [i for i, c in enumerate(cases) if size in (batches if c.fixed_batch is None else (c.fixed_batch,))]
        with _Opened([cases[i] for i in chosen], size) as engines:
            calls = {str(i): partial(e.infer, cases[i].batch(size)) for i, e in zip(chosen, engines, strict=True)}
            stage = f"timing batch {size}"
            timed, conditions[stage] = _watched(stage, calls, duration_s, min_samples, progress)
        through: dict[int, Throughput] = {}
        if streams:
            stage = f"streaming batch {size}"
            wanted = [i for i in chosen if cases[i].kind in ("artifact", "reference")]
            with _Opened([cases[i] for i in wanted], size, hint="throughput") as engines:
                work = {str(i): (e, cases[i].batch(size)) for i, e in zip(wanted, engines, strict=True)}
                watch = Watch()
                rates = measure_throughput(work, duration_s=duration_s / 2, on_round=_looking(watch, stage, progress))
                conditions[stage] = watch.stop()
            through = {i: rates[str(i)] for i in wanted}
        rows += [
            Row(cases[i], size, timed[str(i)], costs[i], judge(timed[str(i)], rules), through.get(i)) for i in chosen
        ]
    if photo is not None:
        answers: dict[str, Callable[[], object]] = {
            str(i): partial(answer, str(photo)) for i, c in enumerate(cases) if (answer := c.answer_photo) is not None
        }
        stage = "timing photos"
        timed, conditions[stage] = _watched(stage, answers, duration_s / 2, min_samples, progress)
        least = {i: min(row.batch for row in rows if row.case is case) for i, case in enumerate(cases)}
        for place, row in enumerate(rows):
            i = next(i for i, case in enumerate(cases) if case is row.case)
            if str(i) in timed and row.batch == least[i]:
                rows[place] = replace(row, photo=timed[str(i)])
    order = {id(case): i for i, case in enumerate(cases)}
    rows.sort(key=lambda row: (row.batch, order[id(row.case)]))
    return BenchmarkReport(environment(), tuple(rows), rules, conditions)


def environment() -> dict[str, Any]:
    """Machine, versions and time of a measurement."""
    return {
        "machine": describe_machine(),
        "versions": {name: v for name in _LIBRARIES if (v := package_version(name)) is not None},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": usable_cpus(),
        "command": sys.argv[1:],
    }


class _Opened:
    """Engines of cases at one batch size; those that were opened for it are closed at the end."""

    def __init__(self, cases: Sequence[Case], size: int, *, hint: str = "latency") -> None:
        self._own: list[Engine] = []
        self._engines = []
        for case in cases:
            engine = case.engine
            options = replace(case.options, batch=case.fixed_batch or size, hint=hint)  # type: ignore[arg-type]
            if case.reopen is not None and (hint != "latency" or (size != 1 and case.fixed_batch is None)):
                engine = case.reopen(options)
                self._own.append(engine)
            self._engines.append(engine)

    def __enter__(self) -> list[Engine]:
        return self._engines

    def __exit__(self, *_: object) -> None:
        for engine in self._own:
            engine.close()


def _watched(
    stage: str, calls: Mapping[str, Callable[[], object]], duration_s: float, min_samples: int, progress: ProgressFn
) -> tuple[dict[str, Latency], Conditions]:
    watch = Watch()
    timed = measure(
        calls,
        duration_s=duration_s,
        min_samples=min_samples,
        max_warm_up_s=min(_MAX_WARM_UP_S, duration_s),
        on_round=_looking(watch, stage, progress),
    )
    return timed, watch.stop()


def _looking(watch: Watch, stage: str, progress: ProgressFn) -> Callable[[int, int], None]:
    def on_round(done: int, total: int) -> None:
        watch.look()
        progress(stage, done, total)

    return on_round


def _start(case: Case, starts: int) -> StartCost | None:
    if not starts:
        return None
    times = 1 if case.kind in ("reference", "null") else starts
    batch = case.fixed_batch or 1
    return measure_start(case.opener, case.path, case.engine_name, case.options, batch=batch, starts=times)


def _ratio(over: Row, under: Row) -> Estimate:
    return median_ratio(over.latency, under.latency)


def _quantiles(latency: Latency) -> Any:
    return np.percentile(latency.samples_ms, _QUANTILES)
