"""`fashion-mnist-mini`: 6,000 training and 1,000 test images of Fashion-MNIST, shipped in the package.

The file is one image, lossless, of all images in rows of 200: class after class (600 training images of each, then
100 test images of each), because like compresses best beside like. Loading deals the classes out in turn, so that the
first N images are balanced.
"""

from __future__ import annotations

import hashlib
import io
from importlib.resources import as_file, files

import numpy as np

from edge_fm.data.dataset import Dataset, Images, Labels, SourceFile, Split, make_dataset
from edge_fm.data.fashion_mnist import LABEL_NAMES
from edge_fm.data.splitting.order import permutation
from edge_fm_runtime.errors import DataError

NAME = "fashion-mnist-mini"
FILE = "fashion-mnist-mini.png"
SHA256 = "0adb5f7d6207e065c9bd481d25921f7657ec1977fde8279a6bc21145af261fc2"
"""Of the pixels, image after image; `tools/build_mini.py` prints it."""

SEED = 0
TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 100
_SIDE = 28
_COLUMNS = 200


def load() -> Dataset:
    """Load the mini set; needs nothing but the package.

    Raises:
        DataError: the package's file is missing or damaged.

    Example:
        >>> load().train.images.shape
        (6000, 28, 28, 1)
    """
    from PIL.PngImagePlugin import PngImageFile

    with as_file(files("edge_fm.data") / FILE) as path:
        try:
            packed = path.read_bytes()
            with PngImageFile(io.BytesIO(packed)) as sheet:
                pixels = _cut(np.asarray(sheet))
        except (OSError, SyntaxError, ValueError) as error:  # SyntaxError: what Pillow raises for a broken chunk
            raise DataError(f"{path} cannot be read: {error}.", hint=_REINSTALL) from error
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        if digest != SHA256:
            raise DataError(f"{path} is damaged: SHA-256 {digest} of its pixels, instead of {SHA256}.", hint=_REINSTALL)
        read = {FILE: SourceFile(str(path), len(packed), hashlib.sha256(packed).hexdigest())}
    cut = TRAIN_PER_CLASS * len(LABEL_NAMES)
    return make_dataset(
        NAME,
        NAME,
        LABEL_NAMES,
        _deal(pixels[:cut], TRAIN_PER_CLASS),
        _deal(pixels[cut:], TEST_PER_CLASS),
        notes={"drawn": f"{TRAIN_PER_CLASS} training and {TEST_PER_CLASS} test images of each class, seed {SEED}"},
        files=read,
    )


_REINSTALL = "Install edge-fm again: pip install --force-reinstall --no-deps edge-fm"


def _deal(pixels: Images, per_class: int) -> Split:
    classes = len(LABEL_NAMES)
    dealt = pixels.reshape(classes, per_class, *pixels.shape[1:]).swapaxes(0, 1).reshape(pixels.shape)
    return Split(np.ascontiguousarray(dealt), np.tile(np.arange(classes, dtype=np.int64), per_class))


def _cut(sheet: Images) -> Images:
    """The sheet's images in their order: `[N,28,28,1]`."""
    tiles = sheet.reshape(-1, _SIDE, _COLUMNS, _SIDE).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(-1, _SIDE, _SIDE, 1)


def pack(full: Dataset) -> tuple[bytes, str]:
    """Make the file's bytes and the hash of its pixels from the whole of Fashion-MNIST, for `tools/build_mini.py`."""
    from PIL import Image

    train = _draw(full.train.images, full.train.labels, TRAIN_PER_CLASS)
    test = _draw(full.test.images, full.test.labels, TEST_PER_CLASS)
    pixels = np.concatenate([train, test])
    sheet = pixels.reshape(-1, _COLUMNS, _SIDE, _SIDE).swapaxes(1, 2).reshape(-1, _COLUMNS * _SIDE)
    packed = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(sheet)).save(packed, "PNG", optimize=True)
    return packed.getvalue(), hashlib.sha256(pixels.tobytes()).hexdigest()


def _draw(images: Images, labels: Labels, per_class: int) -> Images:
    members = [np.flatnonzero(labels == label) for label in range(len(LABEL_NAMES))]
    drawn = [m[permutation(len(m), SEED, label)[:per_class]] for label, m in enumerate(members)]
    return images[np.concatenate(drawn)]
