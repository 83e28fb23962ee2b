"""The manifest of the clothing photos: file, class and sender of each, with Fashion-MNIST's bags among them."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm.data.clothing_photos.rendering import render, select_images
from edge_fm.data.fashion_mnist import LABEL_NAMES
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.atomic_write import replacing

MANIFEST = "photos.csv"
OTHER_THINGS = "other-things.csv"
FASHION_MNIST_SENDER = "fashion-mnist"
"""The sender of every image of Fashion-MNIST."""

CLASSES = {
    "T-Shirt": "T-shirt/top",
    "Pants": "Trouser",
    "Longsleeve": "Pullover",
    "Hoodie": "Pullover",
    "Dress": "Dress",
    "Outwear": "Coat",
    "Blazer": "Coat",
    "Shirt": "Shirt",
}
"""Label of the data set -> class of Fashion-MNIST; shoes have a table of their own."""

_SHOES = Path(__file__).with_name("shoes.csv")
_FOLDER = "fashion-mnist"
_SEED = 0


@dataclass(frozen=True)
class Photo:
    """One photo.

    Attributes:
        file: relative to the manifest's folder.
        label: of the ten classes, or what else it shows.
        sender: who took it.
    """

    file: str
    label: str
    sender: str


def class_of(image: str, label: str) -> str:
    """The class of a photo of the data set.

    Args:
        image: its identifier there.
        label: its label there.

    Returns:
        One of the ten classes, or the label in lower case with "other: " before it.

    Example:
        >>> class_of("", "Hoodie"), class_of("", "Hat")
        ('Pullover', 'other: hat')
    """
    if label == "Shoes":
        return shoes().get(image, "other: shoes")
    return CLASSES.get(label) or f"other: {label.lower()}"


def shoes() -> dict[str, str]:
    """Identifier -> class of the photos of shoes that are clearly one of the three classes; labelled by eye."""
    with _SHOES.open(encoding="utf-8", newline="") as stream:
        return {row["image"]: row["class"].replace("_", " ") for row in csv.DictReader(stream)}


def write_manifest(
    folder: Path,
    photos: Sequence[Photo],
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    progress: ProgressFn = silent,
) -> Path:
    """Write the manifest, and the images of Fashion-MNIST in colour beside it.

    Args:
        folder: to write to; the photos lie in it, or are named by absolute paths.
        photos: those of the ten classes and of other things, which get a manifest of their own.
        images: uint8 `[N,28,28]` of Fashion-MNIST's training images.
        labels: of these.
        progress: called as images are rendered.

    Returns:
        The manifest.

    Raises:
        DataError: there are no photos of the ten classes, or the folder cannot be written to.
    """
    ours = [photo for photo in photos if photo.label in LABEL_NAMES]
    if not ours:
        raise DataError(
            f"There are no photos of {', '.join(LABEL_NAMES)} among the {len(photos):,}.",
            hint="Give the folder of clothing photos.",
        )
    rng = np.random.default_rng(_SEED)
    grounds = [_opened(folder / photo.file) for photo in ours[:: max(1, len(ours) // 200)]]
    rows = select_images(labels, rng)
    rendered = []
    try:
        (folder / _FOLDER).mkdir(parents=True, exist_ok=True)
        for done, row in enumerate(rows.tolist()):
            file = f"{_FOLDER}/{row:05}.png"
            Image.fromarray(render(images[row], grounds, rng)).save(folder / file)
            rendered.append(Photo(file, LABEL_NAMES[labels[row]], FASHION_MNIST_SENDER))
            progress("rendering Fashion-MNIST", done + 1, len(rows))
        _write(folder / OTHER_THINGS, (photo for photo in photos if photo.label not in LABEL_NAMES))
        _write(folder / MANIFEST, [*ours, *rendered])
    except OSError as error:
        raise DataError(f"{folder} cannot be written to: {error.strerror}.", hint="Name another folder.") from error
    return folder / MANIFEST


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _write(path: Path, photos: Iterable[Photo]) -> None:
    with replacing(path, mode=0o644) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["file", "class", "sender"])
        writer.writerows((photo.file.replace(os.sep, "/"), photo.label, photo.sender) for photo in photos)
