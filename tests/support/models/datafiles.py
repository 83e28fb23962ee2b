"""Small real files for the tests of edge_fm.data."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm.data import Dataset

CODES = {"u1": 0x08, "i2": 0x0B, "f4": 0x0D}


def make_images(n: int, shape: tuple[int, ...] = (6, 5, 1), seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def idx_bytes(array: npt.NDArray[np.generic], code: str = "u1") -> bytes:
    header = bytes([0, 0, CODES[code], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(f">{code}").tobytes()


def write_csv(path: Path, images: npt.NDArray[np.generic], labels: list[object], *, header: bool = True) -> Path:
    flat = images.reshape(len(images), -1)
    lines = ["label," + ",".join(f"pixel{i + 1}" for i in range(flat.shape[1]))] if header else []
    lines += [f"{label}," + ",".join(map(str, row)) for label, row in zip(labels, flat.tolist(), strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_images(folder: Path, per_class: dict[str, int], *, size: tuple[int, int] = (8, 6), seed: int = 0) -> Path:
    """PNG images, all different, under one subfolder for each class."""
    rng = np.random.default_rng(seed)
    for name, count in per_class.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (size[1], size[0]), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:03d}.png")
    return folder


def all_rows(dataset: Dataset) -> set[tuple[bytes, str]]:
    return {
        (image.tobytes(), dataset.label_names[label])
        for split in (dataset.train, dataset.test)
        for image, label in zip(split.images, split.labels, strict=True)
    }


def expected(images: np.ndarray, names: list[str]) -> set[tuple[bytes, str]]:
    return {(image.tobytes(), name) for image, name in zip(images, names, strict=True)}
