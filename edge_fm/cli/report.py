"""`edgefm report`: the page of a measurement that was kept, without measuring again."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.api.places import RUNS
from edge_fm.cli.common import Talk, output_options, print_json, say
from edge_fm_runtime.disk import writing


@click.command("report")
@click.argument("benchmark", required=False, type=click.Path(path_type=Path), metavar="[DIR|benchmark.json]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page to write. Default: benchmark.html beside the JSON.",
)
@output_options
def command(benchmark: Path | None, out: Path | None, as_json: bool, quiet: bool) -> None:
    """Write the page of a stored benchmark: one HTML file that needs no network, and one sentence of advice.

    Takes what `edgefm benchmark --out DIR` left. Without DIR, the newest such file under runs/.
    """
    from edge_fm.evaluation.benchmark_page import HTML_FILE, JSON_FILE, benchmark_page, read_benchmark
    from edge_fm.evaluation.page import require_pages
    from edge_fm.evaluation.recommendation import recommend
    from edge_fm_runtime.errors import DataError

    talk = Talk(quiet)
    require_pages()
    if benchmark is None:
        found = sorted(RUNS.glob(f"**/{JSON_FILE}"), key=lambda p: p.stat().st_mtime_ns)
        if not found:
            raise DataError(
                f"No benchmark was given, and there is no {JSON_FILE} under {RUNS}/ here.",
                hint="Measure first: edgefm benchmark --out runs/latest/benchmark",
            )
        benchmark = found[-1]
        talk.note(f"Benchmark: {benchmark} (the newest under {RUNS}/)")
    report = read_benchmark(benchmark)
    page = out or (benchmark if benchmark.is_dir() else benchmark.parent) / HTML_FILE
    page.parent.mkdir(parents=True, exist_ok=True)
    with writing(page):
        page.write_text(benchmark_page(report), encoding="utf-8")
    advice = recommend(report)
    if as_json:
        print_json(
            {
                "page": str(page),
                "verdict": report["verdict"],
                "recommended": advice.model,
                "engine": advice.engine,
                "sentence": advice.sentence,
            }
        )
    else:
        say(f"{report['verdict']}: {advice.sentence}")
        say(str(page))
    talk.next(f"open {page} in a browser")
