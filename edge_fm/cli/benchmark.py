"""`edgefm benchmark`: what artifacts cost, beside the original."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_fm.cli.common import (
    EXPORTS,
    Talk,
    engine_options,
    is_run,
    latest_export,
    output_options,
    print_json,
    print_table,
    word,
)

if TYPE_CHECKING:
    from edge_fm.evaluation.benchmark import BenchmarkReport


@click.command("benchmark")
@click.argument("artifacts", nargs=-1, metavar="[ARTIFACT]...")
@click.option(
    "--against",
    metavar="RUN|MODEL.keras|none",
    help="The original to measure beside them. Default: the run that an artifact lies in; none: artifacts alone.",
)
@click.option(
    "--batch", "batches", multiple=True, type=click.IntRange(1), help="Batch size; may be repeated. Default: 1."
)
@click.option(
    "--duration",
    type=click.FloatRange(0.05),
    default=1.0,
    show_default=True,
    help="Counted seconds of each case and batch.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Write benchmark.json there too.")
@engine_options
@output_options
def command(
    artifacts: tuple[str, ...],
    against: str | None,
    batches: tuple[int, ...],
    duration: float,
    out: Path | None,
    engine: str,
    device: str,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Time artifacts, the Keras original (called and through predict) and its SavedModel, interleaved in one run.

    Without ARTIFACT, all artifacts of the newest export are measured. Load time, first inference and peak memory come
    from a fresh process for each. A percentile that the number of samples does not support is left out.
    """
    from edge_fm.cli.registry import ALL_ENGINES
    from edge_fm.evaluation.benchmark import Case, artifact_case, reference_cases, run_benchmark
    from edge_fm_runtime.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions

    talk = Talk(quiet)
    paths = [Path(a) for a in artifacts] or _newest_exports(talk)
    original = _original(against, paths, talk)
    options = EngineOptions(device, threads)
    opened = [load_artifact(p) for p in paths]
    cases: list[Case] = []
    for artifact in opened:
        chosen = "savedmodel" if artifact.metadata.format == "savedmodel" else engine
        cases.append(artifact_case(artifact, chosen, options, registry=ALL_ENGINES))
    if original is not None:
        with talk.progress() as progress:
            progress("loading the original", 0, None)
            cases += reference_cases(original, options, cases[0].images)
        sibling = _savedmodel_beside(paths[0])
        if sibling is not None and all(a.metadata.format != "savedmodel" for a in opened):
            cases.append(artifact_case(load_artifact(sibling), "savedmodel", options, registry=ALL_ENGINES))
    with talk.progress() as progress:
        report = run_benchmark(cases, batches=batches or (1,), duration_s=duration, progress=progress)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "benchmark.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
        talk.note(f"Wrote {out / 'benchmark.json'}")
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)
    talk.next(f"edgefm infer photo.jpg --model {word(paths[0])}")


def _newest_exports(talk: Talk) -> list[Path]:
    from edge_fm_runtime.errors import ArtifactError

    newest = latest_export()
    if newest is None:
        raise ArtifactError(
            "No ARTIFACT was given, and nothing is exported under runs/ here.",
            hint="Make some: edgefm export --format all",
        )
    found = sorted(p.parent for p in newest.parent.glob("*/edgefm.json"))
    talk.note(f"Artifacts: all {len(found)} in {newest.parent}")
    return found


def _original(against: str | None, paths: list[Path], talk: Talk) -> Path | None:
    if against == "none":
        return None
    if against is not None:
        return Path(against)
    run = paths[0].resolve().parents[1]
    if paths[0].resolve().parent.name == EXPORTS and is_run(run):
        talk.note(f"Original: {run} (leave it out with --against none)")
        return run
    return None


def _savedmodel_beside(path: Path) -> Path | None:
    found = sorted(path.resolve().parent.glob("*-savedmodel-fp32/edgefm.json"))
    return found[0].parent if found else None


def print_report(report: BenchmarkReport) -> None:
    """Print rows and ratios as tables on stdout."""

    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}" if value < 100 else f"{value:.0f}"

    rows = []
    for r in (row.to_json() for row in report.rows):
        rows.append(
            [r["model"], r["engine"], r["precision"], str(r["batch"]), str(r["threads"]), str(r["n"])]
            + [ms(r[k]) for k in ("p50_ms", "p90_ms", "p99_ms")]
            + [f"{r['throughput_ips']:.0f}", ms(r["load_ms"]), ms(r["first_ms"])]
            + ["-" if r["peak_rss_mib"] is None else f"{r['peak_rss_mib']:.0f}"]
        )
    columns = ["model", "engine", "runs at", "batch", "threads", "n", "p50 ms", "p90 ms", "p99 ms", "images/s"]
    columns += ["load ms", "first ms", "peak MiB"]
    machine = report.environment["machine"]
    print_table(f"{machine['cpu']}, {machine['threads']} threads", columns, rows, right=range(3, len(columns)))
    ratios = report.ratios()
    if ratios:
        cells = [[r["of"], r["to"], str(r["batch"]), f"{r['p50_ratio']:.1f}x"] for r in ratios]
        print_table("How many times faster (ratio of medians)", ["than", "is", "batch", "faster"], cells, right=(2, 3))
