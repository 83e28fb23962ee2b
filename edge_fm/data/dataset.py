"""A dataset: splits of labelled images, and the hash that identifies them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm.data.streaming.images import as_streamed, concatenate, select
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.artifacts.metadata_reader import MAX_TEXT
from edge_fm_runtime.errors import DataError

Images: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

_LISTED = 5


@dataclass(frozen=True, eq=False)
class Split:
    """Labelled images.

    Attributes:
        images: uint8 `[N,H,W,C]`; those of many image files are decoded when they are indexed (`StreamedImages`).
        labels: int64 `[N]`, positions in the dataset's label names.
        files: the file of each image, relative to the source's folder; empty where images are not files.
        groups: what each image comes from (a person, a camera, a day), which splits keep together; empty where that is
            not known.
    """

    images: Images
    labels: Labels
    files: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> Split:
        """The images at `indices`, in that order."""
        files = tuple(self.files[i] for i in indices.tolist()) if self.files else ()
        groups = tuple(self.groups[i] for i in indices.tolist()) if self.groups else ()
        return Split(select(self.images, indices), self.labels[indices], files, groups)


def join(splits: Sequence[Split]) -> Split:
    """The images of several splits, one after another; files and groups are only known where they are known of all."""
    files = tuple(file for split in splits for file in split.files) if all(split.files for split in splits) else ()
    groups = tuple(name for split in splits for name in split.groups) if all(split.groups for split in splits) else ()
    images = concatenate([split.images for split in splits])
    return Split(images, np.concatenate([split.labels for split in splits]), files, groups)


@dataclass(frozen=True)
class SourceFile:
    """A file that a dataset was read from.

    Attributes:
        path: where it lies.
        bytes: its size.
        sha256: of its bytes (hex); of the unpacked bytes where `load_dataset` knows the sums of those.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training, validation and test images, which never overlap.

    Attributes:
        name: what a person calls it.
        source: what `load_dataset` was given; a path is absolute.
        label_names: one for each class; a label is a position in it.
        train: what a model may learn from; where there is no `validation`, such images are taken out of it.
        test: touched once, at the end.
        content_hash: SHA-256 (hex) of the pixels, labels and label names; see `hash_content`.
        notes: what was done to the source's own data (a test split drawn, labels renumbered, values scaled), for people
            and reports.
        files: name of each file that was read -> its path, size in bytes and SHA-256.
        validation: the source's own validation split, which selects the best epoch; None where it has none.
        multi_label: whether an image has any number of labels; then each class is a set of them (see `label_sets`).
    """

    name: str
    source: str
    label_names: tuple[str, ...]
    train: Split
    test: Split
    content_hash: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    validation: Split | None = None
    multi_label: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        height, width, channels = self.train.images.shape[1:]
        return (int(height), int(width), int(channels))

    def has_hash(self, known: str | None) -> bool:
        """Whether a content hash is that of this dataset; images of files had another one before they were streamed."""
        if known == self.content_hash:
            return True
        in_files = bool(self.train.files) and as_streamed(self.train.images) is None
        return in_files and known == _hash_pixels(self.train, self.test, self.label_names, self.validation)

    @property
    def splits(self) -> dict[str, Split]:
        """The splits there are, by name: train, validation where the source has its own, and test."""
        own = {} if self.validation is None else {"validation": self.validation}
        return {"train": self.train, **own, "test": self.test}


def _check_look_alikes(label_names: Sequence[str], name: str) -> None:
    """Refuse labels that a reader cannot tell apart: an é of one character and one of two, or other spaces."""
    read_as: dict[str, str] = {}
    for label in label_names:
        other = read_as.setdefault(" ".join(unicodedata.normalize("NFC", label).split()), label)
        if other != label:
            raise DataError(
                f"{name}: the labels {other!a} and {label!a} look the same and are different text.",
                hint="Make them one class, or give one another name. macOS, and archives made on it, write accented "
                "letters as two characters.",
            )


def make_dataset(
    name: str,
    source: str,
    label_names: tuple[str, ...],
    train: Split,
    test: Split,
    *,
    validation: Split | None = None,
    notes: Mapping[str, Any] | None = None,
    files: Mapping[str, SourceFile] | None = None,
    multi_label: bool = False,
) -> Dataset:
    """Check that the splits fit together, and hash them.

    Raises:
        DataError: wrong dtypes or shapes, labels out of range, repeated label names, or a split without images.

    Example:
        >>> split = Split(np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1]))
        >>> make_dataset("toy", "toy", ("bag", "coat"), split, split).shape
        (4, 4, 1)
    """
    if len(set(label_names)) != len(label_names):
        repeated = sorted({n for n in label_names if label_names.count(n) > 1})
        raise DataError(
            f"{name}: label names occur twice: {', '.join(repeated)}.", hint="Give each class its own name."
        )
    _check_look_alikes(label_names, name)
    for label in label_names:
        if any("\ud800" <= char <= "\udfff" for char in label):
            raise DataError(
                f"{name}: the label {label!r} is not text: it holds half of a character (a surrogate).",
                hint="Rename the class: its folder, or the label in the file.",
            )
        if len(label) > MAX_TEXT:  # found now, not when the trained model is exported
            raise DataError(
                f"{name}: the label {label[:40]!r}... has {len(label):,} characters; labels have up to {MAX_TEXT:,}.",
                hint="Give the class a shorter name.",
            )
    own = {} if validation is None else {"validation": validation}
    check_groups(name, {"training": train, **own, "test": test})
    for what, split in {"training": train, **own, "test": test}.items():
        _check_split(split, f"{name}: the {what} split", len(label_names))
        if train.images.shape[1:] != split.images.shape[1:]:
            raise DataError(
                f"{name}: training images are {list(train.images.shape[1:])}, {what} images "
                f"{list(split.images.shape[1:])}.",
                hint="Bring them to one size, or give the shape (height, width, channels).",
            )
    return Dataset(
        name=name,
        source=source,
        label_names=label_names,
        train=train,
        test=test,
        content_hash=hash_content(train, test, label_names, validation),
        notes=notes or {},
        files=files or {},
        validation=validation,
        multi_label=multi_label,
    )


def check_groups(name: str, splits: Mapping[str, Split]) -> None:
    """Refuse splits that share a group.

    Raises:
        DataError: a group has images in two of them; names some.
    """
    seen: dict[str, str] = {}
    for what, split in splits.items():
        shared = sorted({group for group in set(split.groups) if group in seen})
        if shared:
            those = ", ".join(shared[:_LISTED]) + (f" and {len(shared) - _LISTED} more" if shared[_LISTED:] else "")
            first, images = seen[shared[0]], sum(group in set(shared) for group in split.groups)
            raise DataError(
                f"{name}: {len(shared):,} group{'s have' if shared[1:] else ' has'} images in the {first} split and in "
                f"the {what} split: {those} ({images:,} {what} images).",
                hint="Put all images of a group into one split, have the splits drawn by group (without splits of the "
                "source's own), or read the source without groups: --group none",
            )
        seen |= dict.fromkeys(split.groups, what)


def _check_split(split: Split, where: str, classes: int) -> None:
    images, labels = split.images, split.labels
    if images.dtype != np.uint8 or images.ndim != 4 or labels.dtype != np.int64 or labels.shape != images.shape[:1]:
        raise DataError(
            f"{where} has {images.dtype} images {list(images.shape)} and {labels.dtype} labels {list(labels.shape)}; "
            "supported are uint8 [N,H,W,C] and int64 [N]."
        )
    if not images.size:
        raise DataError(f"{where} has no images.", hint="Each split needs at least one image.")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        first = int(outside[0])
        raise DataError(f"{where} has label {labels[first]} at image {first}; there are {classes} label names.")


def hash_content(train: Split, test: Split, label_names: tuple[str, ...], validation: Split | None = None) -> str:
    """SHA-256 (hex) over shapes, dtypes, pixels and labels of the splits and over the label names.

    Images that are files count by the fingerprints of their pixels, so that the hash is the same whether they are in
    memory or streamed.

    Example:
        >>> split = Split(np.zeros((1, 2, 2, 1), np.uint8), np.array([0]))
        >>> hash_content(split, split, ("a",)) == hash_content(split, split, ("b",))
        False
    """
    if not train.files:
        return _hash_pixels(train, test, label_names, validation)
    digest = hashlib.sha256(b"fingerprints;")
    for split in (s for s in (train, test, validation) if s is not None):
        digest.update(f"{split.images.dtype.str}{list(split.images.shape)};".encode())
        digest.update(b"".join(fingerprints(split.images)))
        digest.update(split.labels.astype("<i8").tobytes())
    return _with_names(digest, label_names)


def _hash_pixels(train: Split, test: Split, label_names: tuple[str, ...], validation: Split | None) -> str:
    digest = hashlib.sha256()
    for array in (a for split in (train, test, validation) if split is not None for a in (split.images, split.labels)):
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(f"{little.dtype.str}{list(little.shape)};".encode())
        digest.update(little.data if little.size else b"")
    return _with_names(digest, label_names)


def _with_names(digest: Any, label_names: tuple[str, ...]) -> str:
    for name in label_names:
        encoded = name.encode()
        digest.update(f"{len(encoded)}:".encode() + encoded)
    return str(digest.hexdigest())


def balance(split: Split, label_names: tuple[str, ...]) -> dict[str, int]:
    """How many images of each class there are, in the order of the label names."""
    counts = np.bincount(split.labels, minlength=len(label_names))
    return {name: int(count) for name, count in zip(label_names, counts, strict=True)}
