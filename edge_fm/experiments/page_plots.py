"""The drawings of the experiments' page: what one setting does, and how a run learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edge_fm.evaluation.page import COLOURS, drawn, figure
from edge_fm.evaluation.plots import draw_curves

if TYPE_CHECKING:
    from markupsafe import Markup

    from edge_fm.experiments.studies import Study


def study_plot(study: Study) -> Markup:
    """Accuracy against one setting: the report's line, and ours with the range of the seeds; the finding below."""
    with drawn() as (drawing, axes):
        places = range(len(study.points))
        line = "" if study.name == "optimizer" else "-"  # nothing lies between two optimizers
        reported = [100 * point.reported for point in study.points]
        axes.plot(places, reported, f"o{line}", color=COLOURS[1], label="reported", ms=5)
        run = [(place, point) for place, point in zip(places, study.points, strict=True) if point.achieved is not None]
        if run:
            middle = [100 * (point.achieved or 0.0) for _, point in run]
            low = [m - 100 * (point.lowest or 0.0) for m, (_, point) in zip(middle, run, strict=True)]
            high = [100 * (point.highest or 0.0) - m for m, (_, point) in zip(middle, run, strict=True)]
            axes.errorbar(
                [place for place, _ in run], middle, yerr=[low, high], fmt=f"s{line}", capsize=4, color=COLOURS[0],
                label="achieved here", ms=5,
            )  # fmt: skip
        axes.set_xticks(list(places), [point.setting for point in study.points])
        axes.margins(x=0.15, y=0.2)
        axes.set(xlabel=study.name, ylabel="accuracy, %")
        axes.legend()
        return figure(drawing, f"Accuracy by {study.name}. {study.finding}")


def curves_plot(name: str, history: Mapping[str, Sequence[float]]) -> Markup:
    """Loss and accuracy over the epochs, on training and on validation images."""
    epochs = len(next(iter(history.values())))
    rows = [{key: values[epoch] for key, values in history.items()} for epoch in range(epochs)]
    with drawn(3.2, 8.4) as (drawing, _):
        drawing.clear()
        draw_curves(drawing, rows)
        return figure(drawing, f"{name}: loss and accuracy over {epochs} epochs", kind="wide-plot", shown=False)
