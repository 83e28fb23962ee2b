"""What artifacts cost beside the original: every case in one interleaved run, every start in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from edge_fm.evaluation.benchmark.cases import Case
from edge_fm.evaluation.benchmark.conditions import Conditions, Watch
from edge_fm.evaluation.benchmark.report import BenchmarkReport, Row
from edge_fm.evaluation.benchmark.statistics import Rules, check_latency
from edge_fm.evaluation.benchmark.throughput import Throughput, measure_throughput
from edge_fm_runtime.engines import Engine
from edge_fm_runtime.measurement.latency import MIN_SAMPLES, Latency, measure
from edge_fm_runtime.measurement.probe import StartCost, measure_start
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.machine import describe_machine, usable_cpus
from edge_fm_runtime.system.package_versions import package_versions

_LIBRARIES = ("edge-fm", "numpy", "onnxruntime", "openvino", "ai-edge-litert", "tensorflow", "keras", "pillow")
_MAX_WARM_UP_S = 3.0


def run_benchmark(
    cases: Sequence[Case],
    *,
    batches: Sequence[int] = (1,),
    duration_s: float = 1.0,
    min_samples: int = MIN_SAMPLES,
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
        selected = [i for i, c in enumerate(cases) if size in (batches if c.fixed_batch is None else (c.fixed_batch,))]
        with _OpenedEngines([cases[i] for i in selected], size) as engines:
            calls = {str(i): partial(e.infer, cases[i].batch(size)) for i, e in zip(selected, engines, strict=True)}
            stage = f"timing batch {size}"
            timed, conditions[stage] = _watched(stage, calls, duration_s, min_samples, progress)
        through: dict[int, Throughput] = {}
        if streams:
            stage = f"streaming batch {size}"
            wanted = [i for i in selected if cases[i].kind in ("artifact", "reference")]
            with _OpenedEngines([cases[i] for i in wanted], size, hint="throughput") as engines:
                work = {str(i): (e, cases[i].batch(size)) for i, e in zip(wanted, engines, strict=True)}
                watch = Watch()
                rates = measure_throughput(work, duration_s=duration_s / 2, on_round=_on_round(watch, stage, progress))
                conditions[stage] = watch.stop()
            through = {i: rates[str(i)] for i in wanted}
        rows += [
            Row(cases[i], size, timed[str(i)], costs[i], check_latency(timed[str(i)], rules), through.get(i))
            for i in selected
        ]
    if photo is not None:
        photo_calls: dict[str, Callable[[], object]] = {
            str(i): partial(call, str(photo)) for i, c in enumerate(cases) if (call := c.classify_photo) is not None
        }
        stage = "timing photos"
        timed, conditions[stage] = _watched(stage, photo_calls, duration_s / 2, min_samples, progress)
        smallest = {i: min(row.batch for row in rows if row.case is case) for i, case in enumerate(cases)}
        for place, row in enumerate(rows):
            i = next(i for i, case in enumerate(cases) if case is row.case)
            if str(i) in timed and row.batch == smallest[i]:
                rows[place] = replace(row, photo=timed[str(i)])
    order = {id(case): i for i, case in enumerate(cases)}
    rows.sort(key=lambda row: (row.batch, order[id(row.case)]))
    return BenchmarkReport(environment(), tuple(rows), rules, conditions)


def environment() -> dict[str, Any]:
    """Machine, versions and time of a measurement."""
    return {
        "machine": describe_machine(),
        "versions": package_versions(_LIBRARIES),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": usable_cpus(),
        "command": sys.argv[1:],
    }


class _OpenedEngines:
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
        on_round=_on_round(watch, stage, progress),
    )
    return timed, watch.stop()


def _on_round(watch: Watch, stage: str, progress: ProgressFn) -> Callable[[int, int], None]:
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
