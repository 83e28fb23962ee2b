"""`edgefm report`: the page of a stored measurement, without measuring again."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.cli.console.console import Console, print_line
from edge_fm.cli.options import PATH, console_options


@click.command("report")
@click.argument("benchmark", required=False, type=PATH, metavar="[DIR|benchmark.json]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The page to write. Default: benchmark.html beside the JSON.",
)
@console_options
def command(console: Console, benchmark: Path | None, out: Path | None) -> None:
    """Write the page of a stored benchmark: one HTML file that needs no network, and one sentence of advice.

    Takes what `edgefm benchmark --out DIR` left. Without DIR, the newest such file under runs/.
    """
    from edge_fm.api.report import benchmark_report

    report = benchmark_report(benchmark, out, note=console.note)
    console.show(report, print_line, f"{report.verdict}: {report.sentence}\n{report.page}")
    console.next(f"open {report.page} in a browser")
