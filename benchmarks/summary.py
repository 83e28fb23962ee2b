"""One Markdown and one HTML page of what `make bench` measured.

    python -m benchmarks.summary FOLDER

FOLDER holds benchmarks.json (pytest-benchmark) and peers.json (`python -m benchmarks.peers`); summary.md and
summary.html are written beside them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers import report as peers_report
from benchmarks.results_file import Measured, ResultsError, read_results
from edge_fm.evaluation.page import document, drawn, figure, heading, listing, paragraph, table

if TYPE_CHECKING:
    from markupsafe import Markup

COLUMNS = ("benchmark", "median ms", "images/s", "ours / bare", "95% interval", "bare is")
_EVEN = 1.0


def cells(row: Measured) -> list[str]:
    """The cells of a row, for `COLUMNS`."""
    rate = row.info.get("images_per_second")
    compared = row.against
    return [
        row.name.removeprefix("test_"),
        f"{row.p50_ms:.3f}" if row.p50_ms < 100 else f"{row.p50_ms:.0f}",
        "-" if rate is None else f"{rate:.0f}",
        "-" if compared is None else f"{compared['ratio']:.3f}",
        "-" if compared is None else "{:.3f} to {:.3f}".format(*compared["ci95"]),
        "-" if compared is None else compared["what"],
    ]


def grouped(rows: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Rows by group, in the order of their first row, the fastest first."""
    groups: dict[str, list[Measured]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return {name: sorted(group, key=lambda r: r.p50_ms) for name, group in groups.items()}


def markdown(environment: dict[str, Any], rows: Sequence[Measured], peers: dict[str, Any]) -> str:
    """The Markdown page."""
    machine = environment["machine"]
    lines = ["# What EdgeFM costs", "", f"{machine['cpu']}, {machine['threads']} threads, {environment['time']}."]
    lines += ["", "## Peers", "", peers_report.markdown(peers)]
    for name, group in grouped(rows).items():
        lines += [f"## {name[0].upper()}{name[1:]}", "", "| " + " | ".join(COLUMNS) + " |"]
        lines += ["|---|---:|---:|---:|---|---|"]
        lines += ["| " + " | ".join(c.replace("|", "\\|") for c in cells(row)) + " |" for row in group]
        lines += [""]
    return "\n".join(lines)


def page(environment: dict[str, Any], rows: Sequence[Measured], peers: dict[str, Any]) -> str:
    """The HTML page, self-contained."""
    machine = environment["machine"]
    groups = grouped(rows)
    parts: list[Markup | None] = [
        heading("What EdgeFM costs", 1),
        paragraph(f"{machine['cpu']}, {machine['threads']} threads, {environment['time']}.", kind="dim"),
        heading("Peers"),
        paragraph(peers_report.headline(peers), kind="lead"),
        paragraph(
            "EdgeFM's time divided by the peer's (throughput: the peer's divided by EdgeFM's): below 1, EdgeFM is "
            "faster.",
            kind="dim",
        ),
        _peers_plot(peers),
        table(peers_report.COLUMNS, [peers_report.cells(r) for r in peers["rows"]], text=(0, 1, 3, 8)),
        listing([f"{line}." for line in peers_report.notes(peers)]),
    ]
    parts += [heading("Ours over the bare libraries"), _ratio_plot(rows)]
    for name, group in groups.items():
        parts += [
            heading(name[0].upper() + name[1:]),
            _bars(name, group),
            table(COLUMNS, [cells(r) for r in group], text=(0, 4, 5)),
        ]
    versions = ", ".join(f"{k} {v}" for k, v in environment["versions"].items())
    parts += [heading("Environment"), paragraph(f"{versions}; {machine['system']}; {machine['threads_reason']}.")]
    return document("What EdgeFM costs", *parts)


def _bars(name: str, rows: Sequence[Measured]) -> Markup:
    with drawn(0.9 + 0.26 * len(rows), 9.0) as (drawing, axes):
        places = range(len(rows))
        axes.barh(places, [r.p50_ms for r in rows], height=0.62)
        axes.set_yticks(places, [r.name.removeprefix("test_") for r in rows], fontsize=8)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        if len(rows) > 1 and rows[-1].p50_ms > 20 * rows[0].p50_ms:
            axes.set_xscale("log")
        axes.set(xlabel="median, ms")
        return figure(drawing, f"{name[0].upper()}{name[1:]}: medians.")


def _ratio_plot(rows: Sequence[Measured]) -> Markup:
    compared = [(r.name.removeprefix("test_"), r.against["ratio"], r.against["ci95"]) for r in rows if r.against]
    return _dots(compared, "ours / bare library", "Ours over the bare library in the same run, with 95% intervals.")


def _peers_plot(peers: dict[str, Any]) -> Markup:
    compared = [
        (f"{r['model']}, {r['peer']}, batch {r['batch']}", r["ratio"], r["ci95"])
        for r in peers["rows"]
        if r["ratio"] is not None
    ]
    return _dots(compared, "ours / theirs (log)", "Ours over each peer in the same run, with 95% intervals.", log=True)


def _dots(
    points: Sequence[tuple[str, float, Sequence[float]]], label: str, caption: str, *, log: bool = False
) -> Markup:
    with drawn(0.9 + 0.22 * len(points), 9.0) as (drawing, axes):
        for place, (_, ratio, (low, high)) in enumerate(points):
            axes.plot([low, high], [place, place], linewidth=1.4, color="C0")
            axes.plot([ratio], [place], marker="o", markersize=4, color="C1" if low > _EVEN else "C0")
        axes.axvline(_EVEN, linewidth=1, linestyle="--", color="C2")
        if log:
            axes.set_xscale("log")
        axes.set_yticks(range(len(points)), [name for name, _, _ in points], fontsize=8)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set(xlabel=label)
        return figure(drawing, caption)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        environment, rows = read_results(folder / "benchmarks.json")
        peers = json.loads((folder / "peers.json").read_text())
    except (ResultsError, OSError, ValueError) as error:
        sys.exit(f"Error: {error}\nMeasure first: make bench")
    for name, text in (
        ("summary.md", markdown(environment, rows, peers)),
        ("summary.html", page(environment, rows, peers)),
    ):
        (folder / name).write_text(text, encoding="utf-8")
        print(f"Wrote {folder / name}")


if __name__ == "__main__":
    main()
