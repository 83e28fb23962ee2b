"""Fashion-MNIST: 70,000 grey images of 28x28 pixels, ten kinds of garment; the worked example."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edge_fm.data.dataset import Dataset, SourceFile, Split, make_dataset
from edge_fm.data.readers.idx import parse_idx
from edge_fm.data.store import FileSpec, Found, Source, obtain
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.user_cache import cache_root, expand_home

NAME = "fashion-mnist"
LABEL_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

TRAIN_IMAGES = FileSpec(
    "train-images-idx3-ubyte", 47_040_016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
)
TRAIN_LABELS = FileSpec(
    "train-labels-idx1-ubyte", 60_008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
)
TEST_IMAGES = FileSpec(
    "t10k-images-idx3-ubyte", 7_840_016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
)
TEST_LABELS = FileSpec(
    "t10k-labels-idx1-ubyte", 10_008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
)
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
"""Unpacked: every mirror packs the same bytes in its own way."""


def default_sources() -> tuple[Source, ...]:
    """Where the files are fetched from, in the order in which it is tried."""
    # Imported here: who has the files needs no HTTP client.
    from edge_fm.data.download import DebianPackage, WebFolder

    return (
        WebFolder("the mirror that Keras uses", "https://storage.googleapis.com/tensorflow/tf-keras-datasets"),
        WebFolder("the dataset's own host", "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"),
        DebianPackage("dataset-fashion-mnist", "usr/share/datasets/fashion-mnist"),
    )


def cache_folder() -> Path:
    """Where datasets are stored: `$EDGEFM_DATA`, else the user's cache folder.

    Raises:
        DataError: there is neither.
    """
    given = os.environ.get("EDGEFM_DATA")
    if given:
        return expand_home(given)
    root = cache_root()
    if root is None:
        raise DataError(
            "There is no folder to keep datasets in: this user has no home folder.",
            hint="Name one: EDGEFM_DATA=FOLDER edgefm data fetch",
        )
    return root


def fetch(
    *, progress: ProgressFn = silent, note: MessageFn = ignore_message, sources: Sequence[Source] | None = None
) -> Path:
    """Get Fashion-MNIST, if it is not there yet, and check it.

    It is looked for in `$EDGEFM_DATA` (there directly or under `fashion-mnist/`, unpacked or as .gz), then in the
    user's cache; then the mirror that Keras uses, the dataset's own host and Debian's package are tried in turn.
    Damaged files are fetched again, except those that were put into `$EDGEFM_DATA` by hand: these are never touched.

    Args:
        progress: called with bytes.
        note: called with what is tried and what did not work.
        sources: where to fetch from; `default_sources()` where none are given.

    Returns:
        The folder of the four files.

    Raises:
        DataError: a file that was put there by hand is damaged, or no folder can be written to.
        DownloadError: no source could be reached; it lists them all.

    Example:
        >>> fetch(note=print)  # doctest: +SKIP
        PosixPath('/home/me/.cache/edgefm/fashion-mnist')
    """
    return _obtain(progress, note, sources).folder


def load(
    *, progress: ProgressFn = silent, note: MessageFn = ignore_message, sources: Sequence[Source] | None = None
) -> Dataset:
    """Load the 60,000 training and 10,000 test images; arguments and errors as of `fetch`."""
    found = _obtain(progress, note, sources)
    arrays = [parse_idx(found.contents[spec.name], where=str(found.paths[spec.name])) for spec in FILES]
    train_images, train_labels, test_images, test_labels = arrays
    return make_dataset(
        NAME,
        NAME,
        LABEL_NAMES,
        Split(train_images[..., None], train_labels.astype("int64")),
        Split(test_images[..., None], test_labels.astype("int64")),
        files={spec.name: SourceFile(str(found.paths[spec.name]), spec.bytes, spec.sha256) for spec in FILES},
    )


def _obtain(progress: ProgressFn, note: MessageFn, sources: Sequence[Source] | None) -> Found:
    own = cache_root()
    folders = [] if own is None else [own / NAME]
    if own is None or os.environ.get("EDGEFM_DATA"):
        base = cache_folder()
        if os.access(base, os.F_OK) and not base.is_dir():
            raise DataError(f"EDGEFM_DATA is {base}, which is not a folder.", hint="Set it to a folder, or unset it.")
        flat = any(os.access(base / f"{spec.name}{suffix}", os.F_OK) for spec in FILES for suffix in ("", ".gz"))
        folders.insert(0, base if flat else base / NAME)
    return obtain(
        "Fashion-MNIST",
        FILES,
        folders,
        cache=None if own is None else own / NAME,
        sources=default_sources if sources is None else lambda: sources,
        progress=progress,
        note=note,
    )
