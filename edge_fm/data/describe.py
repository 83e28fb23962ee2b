"""Say what a dataset is: counts, balance, hashes, where it comes from and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm.data.dataset import Dataset, balance
from edge_fm.data.image_files.unreadable import unreadable_in_words
from edge_fm.data.splitting.conflicts import label_conflicts
from edge_fm_export.gate.fingerprints import fingerprints

_LISTED = 6
_FASHION_MNIST = {
    "licence": "MIT, copyright 2017 Zalando SE",
    "homepage": "https://github.com/zalandoresearch/fashion-mnist",
    "citation": "Han Xiao, Kashif Rasul, Roland Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking "
    "Machine Learning Algorithms. arXiv:1708.07747, 2017.",
}
ORIGINS: dict[str, dict[str, str]] = {"fashion-mnist": _FASHION_MNIST, "fashion-mnist-mini": _FASHION_MNIST}
"""Licence, homepage and citation of each dataset that has a name."""


_TITLES = {
    "train": "Training images",
    "validation": "Validation images",
    "test": "Test images",
    "labels": "Labels",
    "relabelled": "Labels that do not run from 0 were numbered again",
    "groups": "Groups",
    "outside": "Outside",
    "arrays": "Arrays",
    "columns": "Columns",
    "axes": "Axes of the images",
    "pixels": "Pixels",
    "resized": "Images were resized",
    "not_read": "Not read",
    "passed_over": "Passed over",
    "streamed": "Memory",
    "unreadable": "Images that cannot be read are left out",
}


def note_lines(notes: Mapping[str, Any]) -> list[str]:
    """What was done to a source's own data, a line each for a person.

    Example:
        >>> note_lines({"pixels": "scaled from 0..1 to 0..255", "relabelled": {"1": 0, "2": 1}})
        ['Labels that do not run from 0 were numbered again: 1 is 0, 2 is 1.', 'Pixels: scaled from 0..1 to 0..255.']
    """
    return [f"{title}: {_in_words(notes[key])}." for key, title in _TITLES.items() if key in notes]


def _in_words(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    if "left_out" in value:
        return unreadable_in_words(value)
    pairs = [f"{old} is {new}" for old, new in value.items()]
    return ", ".join(pairs) if len(pairs) <= _LISTED else f"{', '.join(pairs[:2])}, ... {pairs[-1]}"


def dataset_info(dataset: Dataset) -> dict[str, Any]:
    """Describe a dataset as JSON values, for `edgefm data info --json`.

    Returns:
        `name, source, shape, classes, label_names, hash, splits` (of each its `n`, the `balance` of its classes and,
        where it has `groups`, how many), `duplicates` (copies beyond the first, and test and validation images that
        training has too), `label_conflicts` (`files` and `labels` of copies whose labels differ), `files` (name ->
        `path, bytes, sha256`), `notes`, and `licence, homepage, citation` where they are known.

    Example:
        >>> from edge_fm.data import load_dataset
        >>> dataset_info(load_dataset("fashion-mnist-mini"))["splits"]["test"]["n"]
        1000
    """
    train, test = fingerprints(dataset.train.images), fingerprints(dataset.test.images)
    validation = [] if dataset.validation is None else fingerprints(dataset.validation.images)
    seen = set(train)
    keys = {"train": train, "validation": validation, "test": test}
    conflicts = label_conflicts(dataset.splits, dataset.label_names, keys=keys)
    return {
        "name": dataset.name,
        "source": dataset.source,
        "shape": list(dataset.shape),
        "classes": len(dataset.label_names),
        "label_names": list(dataset.label_names),
        "hash": dataset.content_hash,
        "splits": {
            name: {
                "n": len(split),
                "balance": balance(split, dataset.label_names),
                **({"groups": len(set(split.groups))} if split.groups else {}),
            }
            for name, split in dataset.splits.items()
        },
        "duplicates": {
            "train": len(train) - len(seen),
            "test": len(test) - len(set(test)),
            "test_in_train": sum(key in seen for key in test),
            **({"validation_in_train": sum(key in seen for key in validation)} if validation else {}),
        },
        "label_conflicts": [{"files": list(one.files), "labels": list(one.labels)} for one in conflicts],
        "files": {
            name: {"path": file.path, "bytes": file.bytes, "sha256": file.sha256}
            for name, file in dataset.files.items()
        },
        "notes": dict(dataset.notes),
        **(ORIGINS.get(dataset.name, {}) if dataset.source == dataset.name else {}),
    }
