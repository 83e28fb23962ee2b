"""Which array is what, by the names that are in use for images and labels of training, validation and test."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edge_fm.data.readers.split_names import ORDER, PART_NAMES, PartName
from edge_fm_runtime.errors import DataError

Kind: TypeAlias = Literal["images", "labels"]
# Best first, where one file has several.
_WORDS: Mapping[Kind, tuple[str, ...]] = {
    "images": ("x", "images", "image", "imgs", "features", "data", "pixels", "inputs", "samples"),
    "labels": ("y", "labels", "label", "targets", "target"),
}
CLASS_NAMES: tuple[str, ...] = ("label_names", "class_names", "target_names", "classes")
"""Names of an array of label names."""
SUPPORTED = "x_train, y_train, x_val, y_val, x_test, y_test; train_images, train_labels, ...; images, labels; x, y"
"""The usual names, for messages; upper and lower case and `_` do not matter."""
_WITHOUT_NAMES = ("arr_0", "arr_1")


def _table() -> dict[str, tuple[PartName | None, Kind, int]]:
    """Letters of a name -> part (None: all images), kind, and rank among the words for it."""
    table: dict[str, tuple[PartName | None, Kind, int]] = {}
    for kind, words in _WORDS.items():
        for rank, word in enumerate(words):
            table[word] = (None, kind, rank)
            for name, part in PART_NAMES.items():
                table[name + word] = table[word + name] = (part, kind, rank)
    return table


_TABLE = _table()


@dataclass(frozen=True)
class SelectedArrays:
    """Which arrays are read.

    Attributes:
        keys: of each part, the names of its images and labels.
        notes: what a person should know, as `Dataset.notes`.
    """

    keys: Mapping[PartName, tuple[str, str]]
    notes: Mapping[str, str]


def select_arrays(present: Collection[str], where: str) -> SelectedArrays:
    """Select arrays by their names.

    Args:
        present: the names.
        where: the file, for messages.

    Raises:
        DataError: no images with labels are known by their names, or two arrays have one name but for case.

    Example:
        >>> select_arrays(["X_train", "y_train", "notes"], "a.npz").keys
        {'train': ('X_train', 'y_train')}
    """
    if set(present) == set(_WITHOUT_NAMES):
        note = {"arrays": "they have no names: arr_0 are taken for the images and arr_1 for the labels"}
        return SelectedArrays({"train": ("arr_0", "arr_1")}, note)
    found: dict[tuple[PartName | None, Kind], list[tuple[int, str]]] = {}
    for name in present:
        known = _TABLE.get(re.sub("[^a-z]", "", name.lower()))
        if known is not None:
            part, kind, rank = known
            found.setdefault((part, kind), []).append((rank, name))
    best: dict[tuple[PartName | None, Kind], str] = {}
    for key, ranked in found.items():
        ranked.sort()
        if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
            raise DataError(
                f"{where} has the arrays {ranked[0][1]} and {ranked[1][1]}, which mean the same {key[1]}.",
                hint="Write the file again with one of them.",
            )
        best[key] = ranked[0][1]
    pairs = {
        part: (best[part, "images"], best[part, "labels"])
        for part in (None, *ORDER)
        if (part, "images") in best and (part, "labels") in best
    }
    named: dict[PartName, tuple[str, str]] = {part: pairs[part] for part in ORDER if part in pairs}
    selected: dict[PartName, tuple[str, str]] = named if "train" in named else {}
    if not named and None in pairs:
        selected["train"] = pairs[None]
    if not selected:
        raise DataError(
            f"{where} has the arrays {', '.join(sorted(present)) or 'none'}; supported are {SUPPORTED}.",
            hint="Name them so: numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...).",
        )
    used = {name for pair in selected.values() for name in pair}
    unread = sorted(name for name in present if name not in used and name not in CLASS_NAMES)
    return SelectedArrays(selected, {"not_read": f"the arrays {', '.join(unread)}"} if unread else {})
