"""The published rows: name, report, accuracy, and the recipe that reruns each."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources

from edge_fm.training import Recipe, load_recipe
from edge_fm_runtime.errors import RecipeError


@dataclass(frozen=True)
class Report:
    """A published report, by what is known of it.

    Attributes:
        letter: ours, which the names of its rows begin with: "A" of report-a-cnn3.
        about: the setting that it describes.
        title: None where it is not known.
        year: likewise.
    """

    letter: str
    about: str
    title: str | None = None
    year: int | None = None

    @property
    def name(self) -> str:
        """Title and year where they are known, else the setting.

        Example:
            >>> Report("A", "report A, 5 classes, 50 epochs").name
            '5 classes, 50 epochs (title and year not known)'
            >>> Report("A", "report A, 5 classes", "Clothes and networks", 2019).name
            'Clothes and networks (2019)'
        """
        if self.title is not None:
            return f"{self.title} ({'year not known' if self.year is None else self.year})"
        unknown = "title and year not known" if self.year is None else f"{self.year}, title not known"
        return f"{self.about.removeprefix(f'report {self.letter}, ')} ({unknown})"


@dataclass(frozen=True)
class Experiment:
    """A published row, or a variant that stands beside one.

    Attributes:
        name: of the experiment and of its recipe.
        source: the report, as far as it is known.
        reported: its accuracy on test images, a fraction; None for a variant, which no report has.
        note: what the report leaves open and what was decided here, or why a result differs.
        variant_of: name of the row that it stands beside, or None.
        report: the report that the row, or the row beside it, is from.
    """

    name: str
    source: str
    reported: float | None
    note: str
    variant_of: str | None
    report: Report

    @property
    def recipe(self) -> Recipe:
        """What reruns it."""
        return load_recipe(self.name)


@functools.cache
def load_experiments() -> tuple[Experiment, ...]:
    """Every row, in the order of the reports.

    Example:
        >>> from edge_fm.experiments import load_experiments
        >>> load_experiments()[0].name
        'report-b-cnn2-dense'
    """
    table = tomllib.loads(resources.files("edge_fm.experiments").joinpath("published.toml").read_text("utf-8"))
    rows = []
    for row in table["row"]:
        report = table["report"][row["report"]]
        about = "" if "variant_of" in row else report.get("note", "")
        note = " ".join(text for text in (about, row.get("note", "")) if text)
        known = Report(row["report"], report["about"], report.get("title"), report.get("year"))
        rows.append(Experiment(row["name"], report["about"], row.get("accuracy"), note, row.get("variant_of"), known))
    return tuple(rows)


def find_experiment(name: str) -> Experiment:
    """Look an experiment up.

    Raises:
        RecipeError: there is none of that name; the hint names the nearest.
    """
    rows = {row.name: row for row in load_experiments()}
    if name not in rows:
        near = get_close_matches(name, rows, n=1, cutoff=0.4)
        raise RecipeError(
            f"There is no experiment {name!r}.",
            hint=f"Did you mean {near[0]!r}?" if near else "`edgefm experiments` lists them.",
        )
    return rows[name]
