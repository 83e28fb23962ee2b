"""Plots of a run: learning curves, confusion matrix, images with their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation.plain_figure import plain_figure
from edge_fm.evaluation.plot_labels import label_width, short_label
from edge_fm_export.compat.library_folders import use_own_matplotlib_folder
from edge_fm_runtime.errors import DataError, MissingDependencyError
from edge_fm_runtime.system.atomic_write import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TRAIN, _VALIDATION = "#4477aa", "#cc6677"  # Paul Tol's colour-blind safe blue and rose

_LABEL_WIDTH, _LETTERS_IN_SIDE = 32, 12
"""How many letters of a label a confusion matrix shows, and for how many it has room without getting larger."""
_LETTER = 0.085  # inches, at the usual size of tick labels


def new_figure(width: float, height: float) -> Figure:
    """A figure of its own, in inches: no global state, no display, no text read as a formula.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    use_own_matplotlib_folder()
    try:
        figure = plain_figure()
    except ImportError as error:
        raise MissingDependencyError.for_extra("matplotlib", "train", "A plot") from error
    return figure(figsize=(width, height), dpi=120, layout="constrained")


def plot_curves(history: Sequence[Mapping[str, float]], path: Path, *, kept: int | None = None) -> Path:
    """Draw loss and accuracy over the epochs.

    Args:
        history: one row for each epoch: epoch, loss, accuracy, val_loss, val_accuracy; what is missing is left out.
        path: the PNG to write.
        kept: the epoch whose weights the model has, from 1; None where that is not known.

    Raises:
        DataError: there is no epoch.
    """
    figure = new_figure(9, 3.6)
    draw_curves(figure, history, kept=kept)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def draw_curves(
    figure: Figure,
    history: Sequence[Mapping[str, float]],
    *,
    keys: Sequence[str] = ("loss", "accuracy"),
    kept: int | None = None,
) -> None:
    """Draw what `plot_curves` draws; `keys` beside each other.

    A line marks the epoch whose weights were kept, which need not be the best one (the recipe's `keep`); where it is
    not known, the best one.
    """
    if not history:
        raise DataError("There is no epoch to draw curves of.")
    epochs = [row.get("epoch", i + 1) for i, row in enumerate(history)]
    best = _best_epoch(history)
    marked, meaning = (kept, "epoch kept") if kept else (None if best is None else epochs[best], "best epoch")
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        factor = 100.0 if key == "accuracy" else 1.0
        for name, colour, label in ((key, _TRAIN, "training"), (f"val_{key}", _VALIDATION, "validation")):
            if all(name in row for row in history):
                values = [factor * row[name] for row in history]
                marker = "o" if len(epochs) < 30 else None
                axes.plot(epochs, values, color=colour, label=label, marker=marker, markersize=3)
        if marked is not None:
            axes.axvline(marked, color="#999999", linestyle=":", linewidth=1, zorder=0, label=meaning)
        axes.set(title=key.capitalize(), xlabel="epoch", ylabel="%" if key == "accuracy" else "cross-entropy")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)


def _best_epoch(history: Sequence[Mapping[str, float]]) -> int | None:
    """Position of the row with the highest validation accuracy, of equals the lowest loss; None where there is none."""
    if not all("val_accuracy" in row for row in history):
        return None
    return max(range(len(history)), key=lambda i: (history[i]["val_accuracy"], -history[i].get("val_loss", 0.0)))


def plot_confusion(confusion: npt.ArrayLike, label_names: Sequence[str], path: Path) -> Path:
    """Draw a confusion matrix; colours are shares of the true class, numbers are counts.

    Args:
        confusion: `[classes,classes]`, rows true, columns predicted.
        label_names: one for each class.
        path: the PNG to write.
    """
    side = confusion_side(len(label_names))
    names = [short_label(name, _LABEL_WIDTH) for name in label_names]
    longer = _LETTER * max(0, max(map(label_width, names), default=0) - _LETTERS_IN_SIDE)
    figure = new_figure(side + 0.6 + longer, side + 0.7 * longer)
    draw_confusion(figure, confusion, names)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def confusion_side(classes: int) -> float:
    """Height in inches of a confusion matrix that can be read."""
    return max(4.5, 0.55 * min(classes, 60) + 1.8)


def draw_confusion(figure: Figure, confusion: npt.ArrayLike, label_names: Sequence[str]) -> None:
    """Draw what `plot_confusion` draws."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(label_names)
    from matplotlib.colors import PowerNorm

    axes = figure.subplots()
    axes.grid(visible=False)
    # A square-root scale: a few percent of mistakes, which is what one looks for, are visible beside 95% of hits.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    figure.colorbar(image, ax=axes, shrink=0.75, label="share of the true class")
    if n <= 40:
        axes.set_xticks(range(n), label_names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(n), label_names)
    axes.set(xlabel="predicted", ylabel="true")
    if n <= 20:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.3 else "#333333"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)


def plot_reliability(bins: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw a reliability diagram (accuracy over confidence), and under it how many predictions had which confidence.

    Args:
        bins: as `Evaluation.calibration` in JSON: low, high, count, confidence, accuracy.
        path: the PNG or SVG to write.
    """
    figure = new_figure(5.2, 5.2)
    draw_reliability(figure, bins)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path


def draw_reliability(figure: Figure, bins: Sequence[Mapping[str, Any]]) -> None:
    """Draw what `plot_reliability` draws."""
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    full = [one for one in bins if one["count"]]
    axes.plot([0, 100], [0, 100], color="#999999", linestyle=":", linewidth=1, label="as sure as right")
    axes.bar(
        [50 * (one["low"] + one["high"]) for one in full],
        [100 * one["accuracy"] for one in full],
        width=[100 * (one["high"] - one["low"]) * 0.94 for one in full],
        color=_TRAIN,
        alpha=0.35,
        label="right",
    )
    axes.plot(
        [100 * one["confidence"] for one in full],
        [100 * one["accuracy"] for one in full],
        color=_TRAIN,
        marker="o",
        markersize=4,
        linewidth=1,
    )
    axes.set(xlim=(0, 100), ylim=(0, 100), ylabel="predictions that are right, %")
    axes.legend(frameon=False, loc="upper left")
    total = sum(one["count"] for one in bins)
    below.bar(
        [50 * (one["low"] + one["high"]) for one in full],
        [100 * one["count"] / total for one in full],
        width=[100 * (one["high"] - one["low"]) * 0.94 for one in full],
        color="#888888",
    )
    below.set(xlabel="confidence of the prediction, %", ylabel="of predictions, %")
    for part in (axes, below):
        part.grid(alpha=0.25)
        part.spines[["top", "right"]].set_visible(False)


def plot_samples(
    images: npt.NDArray[np.uint8], titles: Sequence[str], path: Path, *, columns: int = 5, right: Sequence[bool] = ()
) -> Path:
    """Draw images with a title each.

    Args:
        images: uint8 `[N,H,W,C]` with C of 1 or 3.
        titles: one for each image.
        path: the PNG to write.
        columns: images in a row.
        right: whether each prediction is right; colours the titles.
    """
    rows = max(1, -(-len(images) // columns))
    figure = new_figure(1.7 * columns, 1.95 * rows)
    grid: Any = figure.subplots(rows, columns, squeeze=False)
    for i, axes in enumerate(grid.flat):
        axes.axis("off")
        if i < len(images):
            pixels = images[i][..., 0] if images.shape[-1] == 1 else images[i]
            axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            colour = "#333333" if i >= len(right) else "#117733" if right[i] else "#aa3344"
            axes.set_title(titles[i], fontsize=8, color=colour)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
