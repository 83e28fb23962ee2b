"""The tables of `edgefm search`, `sweep`, `crossval` and `train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_fm.cli.console.console import print_table

if TYPE_CHECKING:
    from edge_fm.api.studies.search import SearchReport
    from edge_fm.api.studies.sweep import SweepResult
    from edge_fm.training import RunResult
    from edge_fm.training.search.crossval import CrossValidation


def print_folds(result: CrossValidation) -> None:
    """Print mean and standard deviation, and each fold."""
    rows = [
        [
            *(str(s.fold), f"{100 * s.accuracy:.2f}", _percent(s.balanced_accuracy), _percent(s.macro_f1)),
            *(f"{s.loss:.4f}", f"{s.train_images:,}", f"{s.held_out:,}", s.run),
        ]
        for s in result.scores
    ]
    title = (
        f"{result.recipe} on {result.data}: {100 * result.mean:.2f}% ± {100 * result.std:.2f} "
        f"(mean and standard deviation of {len(result.scores)} folds)"
    )
    columns = ["fold", "accuracy %", "balanced %", "macro F1 %", "loss", "trained on", "evaluated on", "run"]
    print_table(title, columns, rows, right=range(1, 7), optional=["trained on", "evaluated on", "loss"])


def print_trials(report: SearchReport) -> None:
    """Print each trial of a search with its values."""
    result, keys = report.result, report.dimensions
    rows = [
        [
            f"{trial['number']}{' *' if result.best and trial['number'] == result.best['number'] else ''}",
            trial["state"],
            *(_short(trial["values"].get(key, "-")) for key in keys),
            "-" if trial["val_accuracy"] is None else f"{100 * trial['val_accuracy']:.2f}",
            str(trial["epochs"]),
            "-" if trial["seconds"] is None else f"{trial['seconds']:.0f}",
        ]
        for trial in result.trials
    ]
    columns = ["trial", "state", *keys, "validation %", "epochs", "s"]
    title = f"Search of {result.recipe} in {report.out} (* best)"
    print_table(title, columns, rows, right=range(len(keys) + 2, len(columns)), optional=["s", "epochs"])


def print_sweep(result: SweepResult) -> None:
    """Print each combination of a sweep with its figures."""
    keys = list(result.rows[0].values) if result.rows else []
    tested = ["test % (selects nothing)"] if result.test else []
    columns = [*keys, "validation %", "balanced %", "macro F1 %", "loss", "best epoch", "s", *tested]
    cells = []
    for row in result.rows:
        figures = ["diverged", "-", "-", "-", "-", "-"]
        if row.val_accuracy is not None:
            mark = " *" if row is result.best else ""
            figures = [f"{100 * row.val_accuracy:.2f}{mark}", _percent(row.val_balanced_accuracy)]
            figures += [_percent(row.val_macro_f1), f"{row.val_loss:.4f}"]
            figures += [str(row.best_epoch), f"{row.seconds:.0f}"]
        if tested:
            figures.append("-" if row.test_accuracy is None else f"{100 * row.test_accuracy:.2f}")
        cells.append([*map(str, row.values.values()), *figures])
    title = f"Sweep of {result.recipe.name} in {result.out} (* best on validation)"
    right = range(len(keys), len(columns))
    print_table(title, columns, cells, right=right, optional=["s", "best epoch", "loss", "macro F1 %", "balanced %"])


def print_run(result: RunResult) -> None:
    """Print the figures of a training run and where its files are."""
    metrics: dict[str, Any] = result.metrics
    test, validation = (
        f"{100 * metrics[f'{short}_accuracy']:.2f}%{{}}{', too good: see above' if metrics[f'{name}_leaks'] else ''}"
        for short, name in (("test", "test"), ("val", "validation"))
    )
    several = "task" in metrics
    confusion = "" if several else " confusion.png"
    rows = [
        ["model", f"{metrics['model']}, {metrics['params']:,} parameters"],
        ["test accuracy", test.format("")],
        ["validation accuracy", validation.format(f" (epoch {metrics['best_epoch']})")],
        ["mAP", _both(metrics, "map")] if several else ["balanced accuracy", _both(metrics, "balanced_accuracy")],
        ["macro F1", _both(metrics, "macro_f1")],
        ["training accuracy", f"{100 * metrics['train_accuracy']:.2f}%"],
        ["time", f"{metrics['seconds']:.0f} s, {metrics['epochs']} epoch{'s' * (metrics['epochs'] != 1)}"],
        ["files", f"{result.run_dir}/ model.keras recipe.toml history.csv metrics.json curves.png{confusion}"],
    ]
    print_table(f"Run {result.run_dir}", ["what", "value"], rows, wraps=["value"])


def format_values(values: Mapping[str, Any]) -> str:
    """Keys of a recipe and their values, in one line."""
    return "  ".join(f"{key}={_short(value)}" for key, value in values.items())


def _both(metrics: Mapping[str, Any], name: str) -> str:
    """A figure on the test and on the validation images; "-" where there is none."""
    shown = [_percent(metrics.get(f"{split}_{name}")) for split in ("test", "val")]
    return f"{shown[0]}% test, {shown[1]}% validation"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
