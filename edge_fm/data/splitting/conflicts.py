"""Copies of an image that have another label: one of the labels is wrong, and which one only a person can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_fm.data.dataset import Split
from edge_fm_export.gate.fingerprints import fingerprints

_SHOWN = 5


@dataclass(frozen=True)
class LabelConflict:
    """Images that are equal, pixel for pixel, and whose labels differ.

    Attributes:
        files: the file of each, or its split and position where it has none.
        labels: the label of each, in the same order.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return " = ".join(f"{file} ({label})" for file, label in zip(self.files, self.labels, strict=True))


def label_conflicts(
    splits: Mapping[str, Split], label_names: Sequence[str], *, keys: Mapping[str, Sequence[bytes]] | None = None
) -> list[LabelConflict]:
    """Find copies with different labels, in one split or in several.

    Args:
        splits: of one dataset, by name.
        label_names: of its classes.
        keys: the fingerprints of each split, where they are known.

    Returns:
        One for each image that has several labels, in the order of the first copies.
    """
    keys = keys or {name: fingerprints(split.images) for name, split in splits.items()}
    first: dict[bytes, int] = {}
    several: set[bytes] = set()
    for name, split in splits.items():
        for key, label in zip(keys[name], split.labels.tolist(), strict=True):
            if first.setdefault(key, label) != label:
                several.add(key)
    # Only these are named: of a hundred thousand images, names would take more memory than a batch.
    found: dict[bytes, list[tuple[str, str]]] = {}
    for name, split in splits.items() if several else ():
        for index, key in enumerate(keys[name]):
            if key in several:
                file = split.files[index] if split.files else f"{name} image {index:,}"
                found.setdefault(key, []).append((file, label_names[split.labels[index]] or "no label"))
    return [LabelConflict(*zip(*those, strict=True)) for those in found.values()]


def conflicts_in_words(conflicts: Sequence[LabelConflict]) -> str:
    """What the conflicts are, as one sentence for a person; the first few by name."""
    shown = ", ".join(map(str, conflicts[:_SHOWN])) + (", ..." if len(conflicts) > _SHOWN else "")
    n = len(conflicts)
    return f"{n:,} image{' has' if n == 1 else 's have'} copies with another label: {shown}."
