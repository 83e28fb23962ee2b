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


def label_conflicts(splits: Mapping[str, Split], label_names: Sequence[str]) -> list[LabelConflict]:
    """Find copies with different labels, in one split or in several.

    Args:
        splits: of one dataset, by name; labels are int64 `[N]`, or `[N,classes]` of 0 and 1.
        label_names: of its classes.

    Returns:
        One for each image that has several labels, in the order of the first copies.
    """
    found: dict[bytes, list[tuple[str, str]]] = {}
    for name, split in splits.items():
        for index, (key, label) in enumerate(zip(fingerprints(split.images), split.labels.tolist(), strict=True)):
            known = [n for n, here in zip(label_names, label, strict=True) if here] if isinstance(label, list) else None
            said = label_names[label] if known is None else " + ".join(known) or "no label"
            file = split.files[index] if split.files else f"{name} image {index:,}"
            found.setdefault(key, []).append((file, said))
    copies = [those for those in found.values() if len({label for _, label in those}) > 1]
    return [LabelConflict(*zip(*those, strict=True)) for those in copies]


def conflicts_in_words(conflicts: Sequence[LabelConflict]) -> str:
    """What the conflicts are, as one sentence for a person; the first few by name."""
    shown = ", ".join(map(str, conflicts[:_SHOWN])) + (", ..." if len(conflicts) > _SHOWN else "")
    n = len(conflicts)
    return f"{n:,} image{' has' if n == 1 else 's have'} copies with another label: {shown}."
