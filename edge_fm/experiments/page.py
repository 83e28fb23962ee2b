"""One self-contained page about the experiments: every report's table, the studies as plots, what each run did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.evaluation import page
from edge_fm.evaluation import report_parts as parts
from edge_fm.experiments.longer_runs import run_folder_of
from edge_fm.experiments.page_plots import curves_plot, study_plot
from edge_fm.experiments.results import Result
from edge_fm.experiments.rows import results_of
from edge_fm.experiments.run import read_history
from edge_fm.experiments.table import find_experiment
from edge_fm.models.run_files import MODEL_FILE
from edge_fm.training import Recipe
from edge_fm_runtime.system.atomic_write import replacing, write_utf8

if TYPE_CHECKING:
    from markupsafe import Markup

    from edge_fm.experiments.studies import Study

FILE = "experiments.html"
_COLUMNS = ("row", "reported %", "achieved %", "difference", "spread", "seeds", "seconds", "model")
_TEXT = (0, 7)
_LEGEND = (
    "Achieved is the median of the seeds, spread their highest less their lowest, in points; ~ marks a difference that "
    "is no larger than the spread."
)
_USES = ("train on", "validate on", "test on")


def write_page(
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    studies: Sequence[Study],
    results: Sequence[Result],
    *,
    runs: Path,
) -> Path:
    """Write `<folder>/experiments.html`.

    Args:
        folder: made where it is missing.
        rows: as from `experiment_rows`; all of them.
        studies: as from `studies_of`.
        results: as from `stored_results`: confusion matrices and curves are taken from them.
        runs: folder of the runs, for curves of results that were stored without.

    Raises:
        MissingDependencyError: Jinja2 or Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    text = _page(rows, studies, results, runs)
    with replacing(file) as temporary:
        write_utf8(temporary, text)
    return file


def _page(rows: Sequence[Mapping[str, Any]], studies: Sequence[Study], results: Sequence[Result], runs: Path) -> str:
    published = [row for row in rows if row["reported_accuracy"] is not None]
    run = [row for row in published if row["achieved_accuracy"] is not None]
    sections = {f"Report {letter}": _report(of) for letter, of in _by_report(rows).items()}
    sections["Studies"] = _studies(studies)
    sections["Runs"] = page.together(*(_run(row, results, runs) for row in rows if row["status"] == "run"))
    return page.document(
        "Published reports on Fashion-MNIST, rerun",
        page.heading("Published reports on Fashion-MNIST, rerun", 1),
        page.paragraph(_lead(published, run), kind="lead"),
        page.tiles(
            {
                "published rows": str(len(published)),
                "rerun in full": str(len(run)),
                "within a point of the report": str(sum(abs(row["difference_points"]) <= 1 for row in run)),
                "rows of ours beside them": str(len(rows) - len(published)),
            }
        ),
        page.paragraph(_LEGEND, kind="dim"),
        page.part("contents", {parts.anchor(title): title for title in sections}),
        *(parts.section(title, body) for title, body in sections.items()),
        page.paragraph("Written by edgefm experiments --report. All of this page is inside this file.", kind="dim"),
    )


def _lead(published: Sequence[Mapping[str, Any]], run: Sequence[Mapping[str, Any]]) -> str:
    left = [row for row in published if row["achieved_accuracy"] is None]
    sentences = [f"{len(run)} of {len(published)} published rows were rerun in full."]
    if run:
        far = max(run, key=lambda row: abs(row["difference_points"]))
        above = sum(row["difference_points"] >= 0 for row in run)
        sentences.append(
            f"{above} of them reach the report's accuracy or more; farthest from its report is {far['name']}, by "
            f"{far['difference_points']:+.2f} points."
        )
    if left:
        counts = {
            status: sum(row["status"] == status for row in left) for status in ("not run", "tried", "out of date")
        }
        others = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        sentences.append(f"The others have no accuracy here: {others}.")
    return " ".join(sentences)


def _by_report(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["report"]["letter"]):
        found.setdefault(row["report"]["letter"], []).append(row)
    return found


def _report(rows: Sequence[Mapping[str, Any]]) -> Markup:
    shared = _shared_note(rows)
    cells = [
        [
            row["name"] if row["variant_of"] is None else f"{row['name']} (ours)",
            "-" if row["reported_accuracy"] is None else f"{100 * row['reported_accuracy']:.2f}",
            row["status"] if row["achieved_accuracy"] is None else f"{100 * row['achieved_accuracy']:.2f}",
            _difference(row),
            "-" if row["spread_points"] is None else f"{row['spread_points']:.2f}",
            ", ".join(str(one["seed"]) for one in row["seeds"]) or "-",
            f"{row['seconds']:,.0f}" if row["seeds"] else "-",
            row["model"],
        ]
        for row in rows
    ]
    return page.together(
        page.paragraph(rows[0]["report"]["name"], kind="dim"),
        page.paragraph(shared) if shared else None,
        page.table(_COLUMNS, cells, text=_TEXT),
        page.paragraph("What differs, and why:"),
        page.listing([f"{', '.join(names)}: {why}" for why, names in _reasons(rows, shared).items()]),
    )


def _difference(row: Mapping[str, Any]) -> str:
    if row["difference_points"] is None:
        return "-"
    return f"{'~ ' if row['within_spread'] else ''}{row['difference_points']:+.2f}"


def _reasons(rows: Sequence[Mapping[str, Any]], shared: str) -> dict[str, list[str]]:
    """What differs and why -> the rows that it applies to."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(_why(row, shared), []).append(row["name"])
    return found


def _shared_note(rows: Sequence[Mapping[str, Any]]) -> str:
    """What all notes of the published rows of a report begin with, shown once above the table."""
    notes = [find_experiment(row["name"]).note for row in rows if row["variant_of"] is None]
    shortest = min(notes, key=len)
    return shortest if len(notes) > 1 and all(note.startswith(shortest) for note in notes) else ""


def _why(row: Mapping[str, Any], shared: str) -> str:
    """What differs and why, in a sentence or two."""
    difference, spread = row["difference_points"], row["spread_points"]
    sentences = []
    if difference is not None and spread is None:
        sentences.append("One seed: how far chance goes is not known.")
    elif difference is not None:
        sentences.append(
            f"No farther than the seeds are from each other ({spread:.2f} points): chance may explain it."
            if row["within_spread"]
            else f"Farther than the seeds are from each other ({spread:.2f} points): chance alone does not explain it."
        )
    elif row["status"] == "not run":
        sentences.append("Not run here.")
    sentences.append(row["note"].removeprefix(shared).strip())
    return " ".join(text for text in sentences if text)


def _studies(studies: Sequence[Study]) -> Markup:
    return page.together(
        page.paragraph(
            "Rows of report A that differ in one setting alone; bars are the range of the seeds.", kind="dim"
        ),
        page.figures(*(study_plot(study) for study in studies)),
    )


def _run(row: Mapping[str, Any], results: Sequence[Result], runs: Path) -> Markup:
    experiment = find_experiment(row["name"])
    counted = results_of(row["name"], experiment.recipe, results)
    result = next(one for one in counted if one.seed == row["seed"])
    if result.name != row["name"]:
        return page.together(
            page.heading(row["name"], 3), page.paragraph(f"The same recipe as {result.name}: one result.", kind="dim")
        )
    history = result.history or _history_at_hand(experiment.recipe, result.seed, runs)
    images = ", ".join(f"{count:,} to {use}" for count, use in zip(result.images.values(), _USES, strict=True))
    shown = [
        page.paragraph(
            f"{result.params:,} parameters; {images}; {_epochs(result)}; "
            f"{result.seconds:,.0f} s on {result.machine}, seed {result.seed}, {result.date[:10]}, "
            f"recipe {result.recipe_hash[:12]}.",
            kind="dim",
        ),
        curves_plot(row["name"], history) if history else None,
    ]
    if result.confusion:
        matrix = parts.confusion_table(result.confusion, result.labels)
        shown.append(page.folded("Confusion matrix on test images", matrix))
    absent = [
        what for what, there in (("learning curves", history), ("confusion matrix", result.confusion)) if not there
    ]
    if absent:
        shown.append(page.paragraph(f"Stored without {' and '.join(absent)}.", kind="dim"))
    return page.together(page.heading(row["name"], 3), *shown)


def _history_at_hand(recipe: Recipe, seed: int, runs: Path) -> Mapping[str, Sequence[float]]:
    """The curves of the run itself, where it is still there; else nothing."""
    run = run_folder_of(replace(recipe, seed=seed), runs)
    return read_history(run) if (run / MODEL_FILE).is_file() else {}


def _epochs(result: Result) -> str:
    return "1 epoch" if result.epochs == 1 else f"{result.epochs} epochs, the best of them {result.best_epoch}"
