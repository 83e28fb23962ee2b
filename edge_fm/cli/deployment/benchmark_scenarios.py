"""The MLPerf side of `edgefm benchmark`: `--scenario` and what belongs to it."""

from __future__ import annotations

from typing import Any

import click

from edge_fm.api.loadgen import OFFICIAL_DURATION_S, OFFICIAL_LATENCY_MS, SCENARIO_NAMES, benchmark_scenarios
from edge_fm.cli.console.benchmark_tables import print_scenarios
from edge_fm.cli.console.console import Console, artifact_name
from edge_fm.cli.options import option_group, source_options, typed_options

_SHARED = {"artifacts", "batches", "duration_s", "strict", "out", "engine", "device", "threads", "as_json", "quiet"}
_OWN = {"scenarios", "target_qps", "target_latency_ms", "official", "data", "skip_unreadable", "group", "label_column"}

scenario_options = option_group(
    click.option(
        "--scenario",
        "scenarios",
        multiple=True,
        type=click.Choice([*SCENARIO_NAMES, "all"]),
        help="Let MLPerf's LoadGen measure in this scenario, with its own verdict; may be repeated.",
    ),
    click.option(
        "--target-qps",
        type=click.FloatRange(0, min_open=True),
        help="Server: queries a second. Default: what short trials find that the latency holds at.",
    ),
    click.option(
        "--target-latency-ms",
        type=click.FloatRange(0, min_open=True),
        help=f"Server: bound of the 99th percentile. Default: MLPerf's {OFFICIAL_LATENCY_MS} ms.",
    ),
    click.option(
        "--official",
        is_flag=True,
        help=f"LoadGen runs by MLPerf's durations and counts ({OFFICIAL_DURATION_S} s a scenario) instead of "
        "--duration.",
    ),
    click.option("--data", metavar="SOURCE", help="Images for LoadGen. Default: what the model was trained on."),
    source_options,
)


def run_scenarios(console: Console, given: dict[str, Any]) -> bool:
    """Let LoadGen measure where `--scenario` is given.

    Args:
        console: of the command.
        given: every option of the command; those of this module are removed.

    Returns:
        Whether LoadGen measured.
    """
    own = {name: given.pop(name) for name in _OWN}
    _check_usage(scenarios_given=bool(own["scenarios"]))
    if not own["scenarios"]:
        return False
    _run(console, **own, **{name: value for name, value in given.items() if name in _SHARED})
    return True


def _check_usage(*, scenarios_given: bool) -> None:
    typed = typed_options()
    if not scenarios_given:
        if lone := [option for name, option in typed.items() if name in _OWN]:
            raise click.UsageError(f"{lone[0]} belongs to --scenario, which was not given.")
    elif other := [option for name, option in typed.items() if name not in _OWN | _SHARED]:
        raise click.UsageError(f"{other[0]} has no meaning with --scenario: LoadGen measures artifacts, one by one.")
    elif "official" in typed and "duration_s" in typed:
        raise click.UsageError(
            f"--official and --duration contradict each other: MLPerf's rules require {OFFICIAL_DURATION_S} s."
        )


def _run(
    console: Console, *, scenarios: tuple[str, ...], batches: tuple[int, ...], strict: bool, **options: Any
) -> None:
    from edge_fm_runtime.errors import GateError

    server = "server" in scenarios or "all" in scenarios
    if not server and (options["target_qps"] is not None or options["target_latency_ms"] is not None):
        raise click.UsageError("--target-qps and --target-latency-ms belong to --scenario server.")
    if len(batches) > 1:
        raise click.UsageError("LoadGen's offline scenario has one batch size; give --batch once.")
    batch = batches[0] if batches else None
    result = console.call(benchmark_scenarios, scenarios=scenarios, batch=batch, **options)
    console.show(result, print_scenarios)
    try:
        result.require_valid()
    except GateError as gate:
        if strict:
            raise
        console.note(str(gate))
    console.next(f"edgefm infer photo.jpg --model {artifact_name(result.artifacts[0])}")
