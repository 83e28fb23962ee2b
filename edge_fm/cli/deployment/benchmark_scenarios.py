"""The MLPerf side of `edgefm benchmark`: `--scenario` and what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edge_fm.api.loadgen import SCENARIO_NAMES, benchmark_scenarios
from edge_fm.cli.console.common import Talk, artifact_word, print_json, print_table

if TYPE_CHECKING:
    from edge_fm.mlperf import Plan, ScenarioResult

_SHARED = {"artifacts", "batches", "duration", "strict", "out", "engine", "device", "threads", "as_json", "quiet"}
_OWN = {"scenarios", "target_qps", "target_latency_ms", "official", "source"}


def scenario_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--scenario` and its options to `edgefm benchmark`; with them LoadGen measures, without them the command."""

    @wraps(command)
    def either(**given: Any) -> None:
        own = {name: given.pop(name) for name in _OWN}
        _check_usage(bool(own["scenarios"]))
        if own["scenarios"]:
            _run(**own, **{name: given[name] for name in _SHARED})
        else:
            command(**given)

    for option in reversed(_OPTIONS):
        either = option(either)
    return either


_OPTIONS = (
    click.option(
        "--scenario",
        "scenarios",
        multiple=True,
        type=click.Choice([*SCENARIO_NAMES, "all"]),
        help="Let MLPerf's LoadGen measure, and judge, in this scenario; may be repeated.",
    ),
    click.option(
        "--target-qps",
        type=click.FloatRange(0, min_open=True),
        help="Server: queries a second. Default: what short trials find that the latency holds at.",
    ),
    click.option(
        "--target-latency-ms",
        type=click.FloatRange(0, min_open=True),
        help="Server: bound of the 99th percentile. Default: MLPerf's 10 ms.",
    ),
    click.option(
        "--official",
        is_flag=True,
        help="LoadGen runs by MLPerf's durations and counts (600 s a scenario) instead of --duration.",
    ),
    click.option(
        "--data", "source", metavar="SOURCE", help="Images for LoadGen. Default: what the model was trained on."
    ),
)


def _check_usage(chosen: bool) -> None:
    context = click.get_current_context()
    sources = {
        p.name: p.opts[0]
        for p in context.command.params
        if p.name and context.get_parameter_source(p.name) is ParameterSource.COMMANDLINE
    }
    if not chosen:
        lone = [option for name, option in sources.items() if name in _OWN]
        if lone:
            raise click.UsageError(f"{lone[0]} belongs to --scenario, which was not given.")
        return
    foreign = [option for name, option in sources.items() if name not in _OWN | _SHARED]
    if foreign:
        raise click.UsageError(f"{foreign[0]} has no meaning with --scenario: LoadGen measures artifacts, one by one.")
    if "official" in sources and "duration" in sources:
        raise click.UsageError("--official and --duration contradict each other: MLPerf's rules say 600 s.")


def _run(
    *,
    scenarios: tuple[str, ...],
    target_qps: float | None,
    target_latency_ms: float | None,
    official: bool,
    source: str | None,
    artifacts: tuple[str, ...],
    batches: tuple[int, ...],
    duration: float,
    strict: bool,
    out: Path | None,
    engine: str,
    device: str,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    from edge_fm_runtime.errors import GateError

    server = "server" in scenarios or "all" in scenarios
    if not server and (target_qps is not None or target_latency_ms is not None):
        raise click.UsageError("--target-qps and --target-latency-ms belong to --scenario server.")
    if len(batches) > 1:
        raise click.UsageError("LoadGen's offline scenario has one batch size; give --batch once.")
    talk = Talk(quiet)
    with talk.progress() as progress:
        result = benchmark_scenarios(
            artifacts,
            scenarios,
            target_qps=target_qps,
            target_latency_ms=target_latency_ms,
            official=official,
            data=source,
            batch=batches[0] if batches else None,
            duration_s=duration,
            out=out,
            engine=engine,
            device=device,
            threads=threads,
            progress=progress,
            note=talk.note,
        )
    if as_json:
        print_json(result.to_json())
    else:
        _print(result.results, result.version, result.plan)
    try:
        result.require_valid()
    except GateError as gate:
        if strict:
            raise
        talk.note(str(gate))
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(result.artifacts[0])}")


def _print(results: Sequence[ScenarioResult], version: str, plan: Plan) -> None:
    rows = []
    for result in results:
        row = result.to_json()
        name, value, unit = result.metric
        rows.append(
            [
                *(row[key] for key in ("model", "engine", "precision", "scenario", "verdict")),
                f"{name} {value:.3f} {unit}" if unit == "ms" else f"{name} {value:.0f} {unit}",
                "-" if row["target_qps"] is None else f"{row['target_qps']:.0f}/s, {row['target_latency_ms']:g} ms",
                *(f"{row[key]:.3f}" for key in ("p50_ms", "p99_ms")),
                *(str(row[key]) for key in ("queries", "runs")),
                "-" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f}",
            ]
        )
    settings = (
        "MLPerf's durations and counts"
        if plan.official
        else f"at least {plan.min_duration_s:g} s each, MLPerf's rules otherwise (--official for its 600 s)"
    )
    columns = ["model", "engine", "runs at", "scenario", "LoadGen", "result", "target"]
    columns += ["p50 ms", "p99 ms", "queries", "runs", "accuracy %"]
    print_table(
        f"MLPerf LoadGen {version}, {settings}",
        columns,
        rows,
        right=range(7, len(columns)),
        lesser=["runs", "queries", "target", "p50 ms", "p99 ms", "runs at", "accuracy %"],
    )
