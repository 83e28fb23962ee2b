"""The labels of a model's classes, checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_fm_runtime.errors import ModelError


def labels_or_numbers(labels: Sequence[str] | None, classes: int, where: Path) -> tuple[str, ...]:
    """Return `labels`, checked, or class_0, class_1, ... where there are none."""
    return check_labels([f"class_{i}" for i in range(classes)] if labels is None else labels, classes, where)


def check_labels(labels: Sequence[str] | None, classes: int, where: Path) -> tuple[str, ...]:
    """Return `labels` if there is a different one for each of `classes`.

    Raises:
        ModelError: it names how many are needed and the option that gives them.
    """
    file = f"a text file with {classes} labels, one a line, in the order of the classes: --labels FILE"
    how = f"Give {file}"
    if labels is None:
        raise ModelError(f"{where} predicts {classes} classes and does not name them.", hint=how)
    if len(labels) != classes:
        raise ModelError(
            f"There are {len(labels)} labels, but {where} predicts {classes} classes.",
            # The labels may be those of an artifact that another model is compared with.
            hint=f"Name the model that has these labels, or give edgefm export {file}",
        )
    if not all(label.strip() for label in labels):
        raise ModelError(f"Label {[bool(label.strip()) for label in labels].index(False)} is empty.", hint=how)
    doubled = sorted({label for label in labels if list(labels).count(label) > 1})
    if doubled:
        raise ModelError(f"Labels must differ; doubled: {', '.join(doubled[:5])}.", hint=how)
    return tuple(labels)
