"""Labelled images that a model is evaluated on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split
    from edge_fm_runtime.artifacts.metadata import PhotoSpec, Task

AS_TRAINED = Reading()


def load_labelled(
    name: str,
    shape: tuple[int, int, int],
    photo: PhotoSpec,
    training: Mapping[str, Any] | None,
    reading: Reading = AS_TRAINED,
    *,
    task: Task | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> Dataset:
    """Load the images that a model is evaluated on, with the classes and splits of its training."""
    from edge_fm.data import load_dataset

    dataset = load_dataset(
        name,
        shape=shape,
        photo=photo,
        **reading.of(name, training),
        multi_label=task is not None,
        progress=progress,
        note=note,
    )
    return as_trained(dataset, training)


def require_unchanged(name: str, dataset: Dataset, training: Mapping[str, Any] | None) -> None:
    """Raise where the data that a model names as its own are no longer what it was trained on.

    Args:
        name: the source, as the model names it.
        dataset: what is there now, as `load_labelled` gave it.
        training: the part of the model's metadata about its training.

    Raises:
        DataError: its content hash is another one.
    """
    trained_hash = ((training or {}).get("data") or {}).get("hash")
    if not dataset.has_hash(trained_hash):
        raise DataError(
            f"{name} is not what this run was trained on: its content hash is {dataset.content_hash[:16]}, "
            f"the run's is {str(trained_hash)[:16]}.",
            hint=f"Restore the dataset, or name another. This one as it is now: --data {shlex.quote(name)}",
        )


def learned_from(dataset: Dataset, split: str, images: Any, training: Mapping[str, Any] | None) -> str | None:
    """A warning where images of `split` are, or may be, training images of the model; None where that is not known."""
    from edge_fm.data.sources import absolute_source
    from edge_fm_export.gate.fingerprints import count_common

    if split == "train":
        return None
    trained_on = (training or {}).get("data") or {}
    trained_hash, source = trained_on.get("hash"), trained_on.get("source")
    if not dataset.has_hash(trained_hash):
        if trained_hash is None or not isinstance(source, str) or dataset.source != absolute_source(source):
            return None
        return (
            f"{dataset.name} has another content hash than when the model was trained on it: some of these images "
            "may be training images of the model, and the figures too good."
        )
    common = count_common(images, dataset.train.images)
    if not common:
        return None
    return (
        f"{common:,} of the {len(images):,} images ({dataset.name} {split}) are training images of the model: its "
        "figures are too good."
    )


def select_images(dataset: Dataset, split: str, labels: tuple[str, ...], shape: tuple[int, int, int]) -> Split:
    """The images of a split, uint8 `[N,H,W,C]`, with their labels in the model's order: see `labels_of`.

    Raises:
        DataError: they do not fit the model.
    """
    from edge_fm.data.dataset import join

    if split not in (*dataset.splits, "all"):
        raise DataError(
            f"{dataset.name} has no {split} split; it has {', '.join(dataset.splits)}.",
            hint="Name one of these, or all.",
        )
    parts = list(dataset.splits.values()) if split == "all" else [dataset.splits[split]]
    selected = join(parts)
    require_shape(dataset.name, selected, shape)
    return replace(selected, labels=labels_of(dataset, selected, labels))


def labels_of(dataset: Dataset, split: Split, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """The labels of a split of `dataset`, in the order of the model's `labels`.

    Returns:
        int64 `[N]`, the class of each image; of a multi-label dataset `[N,labels]`, 1 where a label applies, else 0.

    Raises:
        DataError: the dataset has a label that the model does not.
    """
    from edge_fm.data import label_order
    from edge_fm.data.label_sets import label_sets

    if not dataset.multi_label:
        return np.asarray(label_order(dataset.label_names, labels, name=dataset.name)[split.labels])
    sets = label_sets(dataset.label_names)
    table = np.zeros((len(sets.table), len(labels)), np.int64)
    table[:, label_order(sets.names, labels, name=dataset.name)] = sets.table
    return np.asarray(table[split.labels])


def require_shape(name: str, images: Split, shape: tuple[int, int, int]) -> None:
    """Raise unless the images are of the model's size.

    Raises:
        DataError: they are not.
    """
    if images.images.shape[1:] != shape:
        raise DataError(
            f"{name} has images of shape {list(images.images.shape[1:])}; the model takes {list(shape)}.",
            hint="Give another --data SOURCE; an image folder is brought to the model's size.",
        )


def as_trained(dataset: Dataset, training: Mapping[str, Any] | None) -> Dataset:
    """Give a dataset the classes, and the run's own data the splits, that a model was trained with.

    Args:
        dataset: as `load_dataset` gave it.
        training: the part of the model's metadata about its training; None changes nothing.

    Raises:
        DataError: the metadata cannot be read, or the dataset is not what it was.
    """
    from edge_fm.data import Preparation, prepare_as_trained

    data = (training or {}).get("data")
    if not isinstance(data, dict) or "preparation" not in data:
        return dataset
    return prepare_as_trained(
        dataset,
        Preparation.from_json(data["preparation"]),
        trained_on=data.get("source"),
        trained_hash=data.get("hash"),
    )
