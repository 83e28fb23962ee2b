"""`edgefm report`: the page of a measurement that was kept, without measuring again."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.cli.console.common import Talk, output_options, print_json, say


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
    from edge_fm.api.report import benchmark_report

    talk = Talk(quiet)
    report = benchmark_report(benchmark, out, note=talk.note)
    if as_json:
        print_json(report.to_json())
    else:
        say(f"{report.verdict}: {report.sentence}")
        say(str(report.page))
    talk.next(f"open {report.page} in a browser")
