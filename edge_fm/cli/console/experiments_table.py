"""The table of `edgefm experiments`: reported beside achieved, and what each difference may mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import print_line, print_table

if TYPE_CHECKING:
    from edge_fm.api.experiments import ClassPairs
    from edge_fm.experiments import Study


def print_rows(rows: Sequence[Mapping[str, Any]], studies: Sequence[Study]) -> None:
    """Print the rows, what is known of their reports, the notes, and what the studies found."""
    cells = []
    notes: dict[str, int] = {}
    for row in rows:
        marks = str(notes.setdefault(row["note"], len(notes) + 1)) if row["note"] else ""
        achieved, spread = row["achieved_accuracy"], row["spread_points"]
        name = f"  {row['name']}" if row["variant_of"] else row["name"]
        difference = "-" if row["difference_points"] is None else f"{row['difference_points']:+.2f}"
        cells.append(
            [
                name,
                row["report"]["letter"],
                row["model"],
                "ours" if row["reported_accuracy"] is None else f"{100 * row['reported_accuracy']:.2f}",
                row["status"] if achieved is None else f"{100 * achieved:.2f}",
                f"{difference} ~" if row["within_spread"] else difference,
                "-" if spread is None else f"{spread:.2f} of {len(row['seeds'])}",
                "-" if achieved is None else f"{row['seconds']:.0f}",
                marks,
            ]
        )
    columns = ["experiment", "report", "model", "reported %", "achieved %", "difference", "spread", "s", "note"]
    print_table(
        "Published reports on Fashion-MNIST, rerun",
        columns,
        cells,
        right=(3, 4, 5, 6, 7),
        optional=["report", "s", "model", "spread"],
    )
    if any(row["spread_points"] is not None for row in rows):
        click.echo(
            "Achieved is the median of the seeds, spread their highest less their lowest, in points; "
            "~ marks a difference that is no larger than the spread."
        )
    click.echo("Reports, by what is known of them:")
    for letter, name in {row["report"]["letter"]: row["report"]["name"] for row in rows}.items():
        click.echo(f"  {letter}  {name}")
    if notes:
        click.echo("Notes:")
    for note, number in notes.items():
        print_line(f"{number:>3}  {note}")
    if studies:
        click.echo("Studies:")
    for study in studies:
        print_line(f"  {study.name}: {study.finding}")


def print_pairs(pairs: ClassPairs) -> None:
    """Print which classes a model confuses most and least, in pairs."""
    labels = pairs.labels
    rows = [
        [kind, ", ".join(f"{labels[a]} + {labels[b]}" for a, b in pairing.pairs), str(pairing.confused)]
        for kind, pairing in pairs.pairings.items()
    ]
    title = f"Pairs of classes by how {pairs.run} confuses them on {pairs.images:,} validation images"
    print_table(title, ["confused", "pairs", "images"], rows, right=(2,), wraps=["pairs"])
