"""Load a dataset by its name, or from a file or folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fm.data import fashion_mnist, mini
from edge_fm.data.dataset import Dataset, Split, make_dataset
from edge_fm.data.describe import note_lines
from edge_fm.data.image_files.label_columns import require_manifest
from edge_fm.data.image_files.manifest_file import is_manifest
from edge_fm.data.label_sets import strata
from edge_fm.data.readers.raw import Raw, Shape
from edge_fm.data.splits import hold_out
from edge_fm.data.splitting.groups import hold_out_groups
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.user_cache import expand_home

if TYPE_CHECKING:
    from edge_fm.data.image_files.listing import Listing

DATASETS: Mapping[str, str] = {
    fashion_mnist.NAME: "60,000 training and 10,000 test images of ten garments, fetched on first use",
    mini.NAME: "6,000 training and 1,000 test images of it, shipped in the package",
}
"""Datasets that have a name -> what they are."""

TEST_FRACTION = 0.2
TEST_SEED = 0


def absolute_source(source: str) -> str:
    """A source as every folder knows it: a dataset's name, or an absolute path; what does not exist stays as it is.

    Example:
        >>> absolute_source("fashion-mnist")
        'fashion-mnist'
    """
    path = expand_home(source)
    return source if source in DATASETS or not path.exists() else str(path.resolve())


def load_dataset(
    source: str,
    *,
    shape: Shape | None = None,
    photo: PhotoSpec | None = None,
    test_fraction: float = TEST_FRACTION,
    test_seed: int = TEST_SEED,
    skip_unreadable: float = 0.0,
    group: str = "",
    label_column: str = "",
    multi_label: bool = False,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> Dataset:
    """Load a dataset.

    Args:
        source: `fashion-mnist` (fetched on first use), `fashion-mnist-mini`, or a path, which is read by what it holds:

            - a folder with one subfolder of images for each class, or with `train/` and `val/` or `test/` of such;
            - a folder of IDX files (as MNIST's, unpacked or .gz), of a train and a val or test CSV file, or of
              x_train.npy, y_train.npy and so on;
            - .csv: a label column and a column for each pixel, with or without a header;
            - .npz: `x_train, y_train, x_test, y_test`, or `images, labels`, and other names in use;
            - .npy: images with a labels file beside them, or a pickled dict of `features` and `target`;
            - a manifest, .csv or .jsonl: a row for each image, with its file and its label, and where known its group
              and its split.

            A `labels.txt` beside an array file, a manifest or among IDX files names the classes, one a line.
        shape: height, width, channels to bring every image to; None for the source's own.
        photo: how an image of another size meets that shape; by default it is fitted in whole.
        test_fraction: share of each class that is held out where the source has no test split of its own.
        test_seed: which images those are; the same seed means the same images always.
        skip_unreadable: share of the images of a folder or a manifest, 0..1, that may be left out because they cannot
            be read; the notes list them.
        group: what images come from, which the splits keep together: a column of a manifest; for an image folder
            `FILE:COLUMN` of a file in it; for both a pattern of the files' paths whose parentheses hold the group.
            Empty for a manifest's column called group, where there is one; "none" for no groups.
        label_column: the column of a manifest that holds the labels; empty to tell by the columns' names.
        multi_label: images have any number of labels: in the column of a manifest with `|` between, or in several
            columns of 0 and 1 that `label_column` names with commas between. Each set of labels is a class then.
        progress: called as work goes on.
        note: called with what is tried when something is fetched, and what was done to the source's own data.

    Raises:
        DataError: there is no such dataset or file, or it is not what it should be; names the file and the row.
        DownloadError: Fashion-MNIST could not be fetched.

    Example:
        >>> load_dataset("fashion-mnist-mini").test.images.shape
        (1000, 28, 28, 1)
    """
    if shape is not None and (len(shape) != 3 or min(shape) < 1):
        raise DataError(f"The shape {shape} is not height, width, channels, each at least 1.")
    if not source:  # which Path would take for the current folder
        raise DataError("The name of the dataset is empty.", hint="Name a dataset, a file or a folder.")
    spec = photo or PhotoSpec()
    path = expand_home(source)
    if multi_label:
        require_manifest(path, source)
    if source in DATASETS:
        _refuse_columns(source, group, label_column)
    if source == fashion_mnist.NAME:
        return _bring_to(fashion_mnist.load(progress=progress, note=note), shape, spec, progress)
    if source == mini.NAME:
        return _bring_to(mini.load(), shape, spec, progress)
    raw = _read(path, source, shape, spec, progress, skip_unreadable, group, label_column, multi_label)
    name = path.resolve().name
    notes = dict(raw.notes)
    if raw.test is None:
        groups = raw.train.groups
        labels = strata(raw.train.labels) if multi_label else raw.train.labels
        drawn = f"{test_fraction:.0%} of each class"
        if groups:
            leave = 1 if raw.validation is not None else 2  # another one for validation
            held = hold_out_groups(labels, groups, fraction=test_fraction, seed=test_seed, leave=leave)
            tested = len({groups[i] for i in held.tolist()})
            drawn = f"those of {tested:,} of the {len(set(groups)):,} groups, {drawn} as far as groups allow"
        else:
            keys = raw.keys if raw.keys is not None else fingerprints(raw.train.images)
            held = hold_out(keys, labels, fraction=test_fraction, seed=test_seed)
        train = raw.train.take(np.setdiff1d(np.arange(len(raw.train)), held))
        test = raw.train.take(held)
        notes["test"] = f"{drawn}, drawn with seed {test_seed}"
        if "train" in notes:
            notes["test"] = f"{len(test):,} out of the {notes['train']}: {notes['test']}"
            notes["train"] = f"the other {len(train):,}"
    else:
        train, test = raw.train, raw.test
    place, own = absolute_source(source), raw.validation
    dataset = make_dataset(
        name, place, raw.label_names, train, test, validation=own, notes=notes, files=raw.files, multi_label=multi_label
    )
    dataset = _bring_to(dataset, shape, spec, progress)
    for line in note_lines(dataset.notes):
        note(line)
    return dataset


def _read(
    path: Path,
    source: str,
    shape: Shape | None,
    photo: PhotoSpec,
    progress: ProgressFn,
    skip_unreadable: float,
    group: str,
    label_column: str,
    multi_label: bool,
) -> Raw:
    """Select the reader by what is there; each is imported when it is needed."""
    listing: Listing
    if path.is_dir():
        from edge_fm.data.image_files.folder_layout import has_images
        from edge_fm.data.readers.idx_folder import find_idx, read_idx_folder

        if find_idx(path) or any(path.glob("*-idx[0-9]-*")):
            _refuse_columns(source, group, label_column)
            known = dict.fromkeys((spec.sha256 for spec in fashion_mnist.FILES), fashion_mnist.LABEL_NAMES)
            return read_idx_folder(path, shape=shape, progress=progress, known=known)
        if not has_images(path):
            _refuse_columns(source, group, label_column)
            return _read_folder_of_arrays(path, shape, progress)
        from edge_fm.data.image_files.image_folder import list_image_folder

        if label_column:
            raise DataError(
                f"{source} is an image folder, whose labels are the names of its subfolders; it has no column "
                f"{label_column!r}.",
                hint="Leave --label-column out, or give the manifest that has this column.",
            )
        listing = list_image_folder(path, group=group)
    elif not path.is_file():
        raise DataError(f"There is no dataset {source!r}, and no file or folder of that name.", hint=_guess(source))
    else:
        from edge_fm.data.image_files.manifest import list_manifest

        if path.suffix.lower() not in (".npz", ".npy") and is_manifest(path):
            listing = list_manifest(path, group=group, label_column=label_column, multi_label=multi_label)
        else:
            _refuse_columns(source, group, label_column)
            return _read_file(path, shape, progress)
    from edge_fm.data.image_files.reading import read_image_files

    return read_image_files(listing, shape=shape, photo=photo, progress=progress, skip_unreadable=skip_unreadable)


def _refuse_columns(source: str, group: str, label_column: str) -> None:
    """Refuse options of manifests and image folders for a source of another kind."""
    for option, value in (("--group", group), ("--label-column", label_column)):
        if value and not (option == "--group" and value == "none"):
            raise DataError(
                f"{source} holds arrays of pixels: {option} {value} has no meaning for it.",
                hint=f"{option} is for manifests (.csv or .jsonl, a row for each image file)"
                + (" and image folders." if option == "--group" else "."),
            )


def _read_folder_of_arrays(path: Path, shape: Shape | None, progress: ProgressFn) -> Raw:
    from edge_fm.data.readers.csv_file import find_csv_folder, read_csv_folder
    from edge_fm.data.readers.npy_file import find_npy_parts, read_npy_folder

    if (files := find_csv_folder(path)) is not None:
        return read_csv_folder(files, shape=shape, progress=progress)
    if (choice := find_npy_parts(path)) is not None:
        return read_npy_folder(path, choice, shape=shape, progress=progress)
    raise DataError(f"{path} is a folder, but holds no dataset that is known.", hint=_SUPPORTED)


def _read_file(path: Path, shape: Shape | None, progress: ProgressFn) -> Raw:
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    if not head:
        raise DataError(f"{path} is empty (0 bytes).", hint=_SUPPORTED)
    if head.startswith(b"PK"):
        from edge_fm.data.readers.npz_file import read_npz

        return read_npz(path, shape=shape, progress=progress)
    if head.startswith(b"\x93NUMPY") or (path.suffix == ".npy" and head[0] == 0x80):
        from edge_fm.data.readers.npy_file import read_npy

        return read_npy(path, shape=shape, progress=progress)
    if path.suffix.lower() in (".csv", ".tsv", ".txt") or not any(byte < 9 for byte in head):
        from edge_fm.data.readers.csv_file import read_csv

        return read_csv(path, shape=shape, progress=progress)
    from edge_fm.data.readers.idx import is_idx

    what = (
        "one IDX file; give the folder of all four"
        if is_idx(path)
        else f"of no kind that is known (it begins with {head[:4].hex(' ')})"
    )
    raise DataError(f"{path} is {what}.", hint=_SUPPORTED)


_SUPPORTED = (
    f"Supported are {', '.join(DATASETS)}, a folder with one subfolder of images for each class, a folder of IDX "
    "files, .npz, .npy and .csv files, and manifests (.csv or .jsonl: a row for each image file)."
)


def _guess(source: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(source, DATASETS, n=1)
    if Path(source).is_absolute():
        return f"If it was moved, say where it is now: --data SOURCE. {_SUPPORTED}"
    return f"Did you mean {near[0]!r}? {_SUPPORTED}" if near else _SUPPORTED


def _bring_to(dataset: Dataset, shape: Shape | None, photo: PhotoSpec, progress: ProgressFn) -> Dataset:
    if shape is None or dataset.shape == tuple(shape):
        return dataset
    total = sum(map(len, dataset.splits.values()))
    done = 0
    resized: dict[str, Split] = {}
    for part, split in dataset.splits.items():
        resized[part] = _resize(split, shape, photo, progress, done, total)
        done += len(split)
    size = "x".join(map(str, dataset.shape))
    notes: dict[str, Any] = {**dataset.notes, "resized": f"from {size} to {'x'.join(map(str, shape))} ({photo.mode})"}
    return make_dataset(
        dataset.name,
        dataset.source,
        dataset.label_names,
        resized["train"],
        resized["test"],
        validation=resized.get("validation"),
        notes=notes,
        files=dataset.files,
        multi_label=dataset.multi_label,
    )


def _resize(split: Split, shape: Shape, photo: PhotoSpec, progress: ProgressFn, done: int, total: int) -> Split:
    from edge_fm_runtime.photos.photo import load_canvas

    canvases = np.empty((len(split), *shape), np.uint8)
    for i, image in enumerate(split.images):
        try:
            canvases[i] = load_canvas(image, shape, photo)
        except PhotoError as error:
            raise DataError(error.message, hint=error.hint) from error
        if (i + 1) % 256 == 0 or i + 1 == len(split):
            progress("Resizing", done + i + 1, total)
    return replace(split, images=canvases)
