"""The MLPerf side of `edgefm benchmark`: `--scenario` and what belongs to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edge_fm.cli.common import Talk, artifact_word, print_json, print_table
from edge_fm_runtime.disk import writing
from edge_fm_runtime.scratch import scratch_folder

if TYPE_CHECKING:
    from edge_fm.evaluation.mlperf import Plan, ScenarioResult, Subject
    from edge_fm_runtime.artifact import Artifact

SCENARIO_NAMES = ("single-stream", "multi-stream", "server", "offline")
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
    from edge_fm.cli.benchmark import newest_exports
    from edge_fm.evaluation.benchmark import environment
    from edge_fm.evaluation.mlperf import SCENARIOS, Plan, loadgen_version, run_scenarios
    from edge_fm_runtime.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions
    from edge_fm_runtime.errors import GateError

    chosen = [s for s in SCENARIOS if s in scenarios or "all" in scenarios]
    if "server" not in chosen and (target_qps is not None or target_latency_ms is not None):
        raise click.UsageError("--target-qps and --target-latency-ms belong to --scenario server.")
    if len(batches) > 1:
        raise click.UsageError("LoadGen's offline scenario has one batch size; give --batch once.")
    version = loadgen_version()
    talk = Talk(quiet)
    opened = [load_artifact(a) for a in artifacts or newest_exports(talk)]
    options = EngineOptions(device, threads)
    plan = Plan(None if official else duration, target_qps, target_latency_ms, batches[0] if batches else None)
    subjects = [_subject(a, engine, options, source, talk) for a in opened]
    with _log_folder(out, talk) as folder, talk.progress() as progress:
        results = run_scenarios(_distinct(subjects), chosen, plan, folder, progress=progress)
    rows = [r.to_json() | ({} if out is not None else {"logs": None}) for r in results]
    report = {"environment": environment() | {"loadgen": version}, "rows": rows}
    if out is not None:
        with writing(out / "mlperf.json"):
            (out / "mlperf.json").write_text(json.dumps(report, indent=2) + "\n")
        talk.note(f"Wrote {out / 'mlperf.json'} and LoadGen's logs in {out / 'mlperf'}")
    if as_json:
        print_json(report)
    else:
        _print(results, version, plan)
    invalid = [r for r in results if not r.verdict.valid]
    if invalid:
        gate = GateError(
            f"LoadGen judges {len(invalid)} of {len(results)} runs INVALID.",
            [f"{r.subject}, {r.scenario}: {'; '.join(r.verdict.reasons)}" for r in invalid],
            hint="Run on an idle machine, or lower --target-qps, or allow more --target-latency-ms.",
        )
        if strict:
            raise gate
        talk.note(str(gate))
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(opened[0].path)}")


@contextmanager
def _log_folder(out: Path | None, talk: Talk) -> Iterator[Path]:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out / "mlperf"
        return
    talk.note("LoadGen's log files are not kept; keep them with --out DIR.")
    with scratch_folder("edgefm-mlperf-") as folder:
        yield folder


def _subject(artifact: Artifact, engine: str, options: Any, source: str | None, talk: Talk) -> Subject:
    """The artifact with the images that `edgefm evaluate` would ask, or, where it names none, its golden inputs."""
    from edge_fm.api.inputs import own_data
    from edge_fm.api.labelled import choose_images, load_labelled
    from edge_fm.evaluation.mlperf import Subject

    metadata = artifact.metadata
    shape = metadata.input.shape
    name = source or own_data(artifact.path, metadata.training)
    if name is None:
        talk.note(f"{metadata.name} does not name its data: LoadGen asks its golden inputs, unscored. Give --data.")
        images, labels = _golden(artifact), None
    else:
        with talk.progress() as progress:
            dataset = load_labelled(name, shape, metadata.photo, metadata.training, progress=progress, note=talk.note)
        chosen_images = choose_images(dataset, "test", metadata.labels, shape)
        images, labels = chosen_images.images, chosen_images.labels
    chosen = "savedmodel" if metadata.format == "savedmodel" else engine
    return Subject(metadata.name, str(artifact.path.resolve()), chosen, options, images, labels)


def _golden(artifact: Artifact) -> Any:
    import numpy as np

    from edge_fm_runtime.golden import GOLDEN_FILE, load_golden

    if not artifact.bare and GOLDEN_FILE in artifact.metadata.files:
        return load_golden(artifact.path / GOLDEN_FILE).images
    return np.random.default_rng(0).integers(0, 256, (32, *artifact.metadata.input.shape), dtype=np.uint8)


def _distinct(subjects: list[Subject]) -> list[Subject]:
    """Give artifacts of one name a number, so that their logs do not overwrite each other."""
    seen: dict[str, int] = {}
    out = []
    for subject in subjects:
        seen[subject.name] = seen.get(subject.name, 0) + 1
        number = seen[subject.name]
        out.append(subject if number == 1 else replace(subject, name=f"{subject.name}-{number}"))
    return out


def _print(results: list[ScenarioResult], version: str, plan: Plan) -> None:
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
