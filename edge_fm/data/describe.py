"""Say what a dataset is: counts, balance, hashes, where it comes from and what may be done with it."""

from __future__ import annotations

from typing import Any

from edge_fm.data.dataset import Dataset, balance
from edge_fm.data.splits import fingerprints

_FASHION_MNIST = {
    "licence": "MIT, copyright 2017 Zalando SE",
    "homepage": "https://github.com/zalandoresearch/fashion-mnist",
    "citation": "Han Xiao, Kashif Rasul, Roland Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking "
    "Machine Learning Algorithms. arXiv:1708.07747, 2017.",
}
ORIGINS: dict[str, dict[str, str]] = {"fashion-mnist": _FASHION_MNIST, "fashion-mnist-mini": _FASHION_MNIST}
"""Licence, homepage and citation of each dataset that has a name."""


def dataset_info(dataset: Dataset) -> dict[str, Any]:
    """Describe a dataset as JSON values, for `edgefm data info --json`.

    Returns:
        `name, source, shape, classes, label_names, hash, splits` (of each its `n` and the `balance` of its classes),
        `duplicates` (copies beyond the first in each split, and test images that training has too), `files` (name ->
        `path, bytes, sha256`), `notes`, and `licence, homepage, citation` where they are known.

    Example:
        >>> from edge_fm.data import load_dataset
        >>> dataset_info(load_dataset("fashion-mnist-mini"))["splits"]["test"]["n"]
        1000
    """
    splits = {"train": dataset.train, "test": dataset.test}
    train, test = fingerprints(dataset.train.images), fingerprints(dataset.test.images)
    seen = set(train)
    return {
        "name": dataset.name,
        "source": dataset.source,
        "shape": list(dataset.shape),
        "classes": len(dataset.label_names),
        "label_names": list(dataset.label_names),
        "hash": dataset.content_hash,
        "splits": {
            name: {"n": len(split), "balance": balance(split, dataset.label_names)} for name, split in splits.items()
        },
        "duplicates": {
            "train": len(train) - len(seen),
            "test": len(test) - len(set(test)),
            "test_in_train": sum(key in seen for key in test),
        },
        "files": {
            name: {"path": file.path, "bytes": file.bytes, "sha256": file.sha256}
            for name, file in dataset.files.items()
        },
        "notes": dict(dataset.notes),
        **(ORIGINS.get(dataset.name, {}) if dataset.source == dataset.name else {}),
    }
