"""Images that are written to files, and what must be read back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("bag", "coat")


Maker = Callable[[Path], Path]


def written_images(n: int, shape: tuple[int, ...] = (6, 6), seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def written_labels(n: int) -> np.ndarray[Any, Any]:
    return np.arange(n) % len(CLASSES)


def expect_splits(**expected: int) -> Callable[[Any], None]:
    def verify(dataset: Any) -> None:
        assert {name: len(split) for name, split in dataset.splits.items()} == expected

    return verify


def expect_same_pixels(note: str, said: str) -> Callable[[Any], None]:
    """The pixels are those that were written, each with its label, and the note says what was done."""

    def verify(dataset: Any) -> None:
        written = {
            (image.tobytes(), int(label)) for image, label in zip(written_images(20), written_labels(20), strict=True)
        }
        read = {
            (image.tobytes(), int(label))
            for split in dataset.splits.values()
            for image, label in zip(split.images, split.labels, strict=True)
        }
        assert read == written
        assert said in str(dataset.notes.get(note, ""))

    return verify
