"""A folder of IDX files, as MNIST and its kin come: images and labels, for training and for test."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from edge_fm.data.dataset import SourceFile
from edge_fm.data.readers.idx import is_idx, read_idx
from edge_fm.data.readers.raw import Raw, Shape, assemble, describe_file, read_names
from edge_fm.data.readers.split_names import ORDER, PART_NAMES, Part, PartName, notes_of_parts
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn


def find_idx(folder: Path) -> list[Path]:
    """The IDX files of a folder, by content, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.is_file() and p.stat().st_size and is_idx(p))


def read_idx_folder(
    folder: Path, *, shape: Shape | None, progress: ProgressFn, known: Mapping[str, tuple[str, ...]]
) -> Raw:
    """Read a folder of IDX files; see `edge_fm.data.sources.load_dataset`.

    An images file belongs to the labels file of the same name with "labels" for "images". A name with "t10k" or "test"
    is the test split, one with the word "val", "valid", "validation" or "dev" the validation split.

    Args:
        folder: what to read.
        shape: height, width, channels to bring every image to; None for the files' own.
        progress: called with files.
        known: SHA-256 of a labels file, unpacked -> names of its classes, for a folder that names none itself.

    Raises:
        DataError: files are missing, ambiguous or damaged.
    """
    found = _named(folder)
    images = [p for p in found if "images" in p.name.lower()]
    pairs = {name: [p for p in images if _part_of(p) == name] for name in ORDER}
    if len(pairs["train"]) != 1 or any(len(those) > 1 for those in pairs.values()):
        raise DataError(
            f"{folder} has the IDX files {', '.join(p.name for p in found)}; supported is one file of images for "
            "training, and at most one for validation and for test, each with its labels.",
            hint="Name them train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, "
            "t10k-labels-idx1-ubyte.",
        )
    parts: dict[PartName, Part] = {}
    files: dict[str, SourceFile] = {}
    selected = {name: those[0] for name, those in pairs.items() if those}
    for done, (name, path) in enumerate(selected.items()):
        progress(f"Reading {folder.name}", done, len(selected))
        labels = _labels_of(path, found)
        parts[name] = _read_pair(path, labels)
        files |= {p.name: describe_file(p) for p in (path, labels)}
    progress(f"Reading {folder.name}", len(selected), len(selected))
    names = read_names(folder) or _known_names(list(parts.values()), known)
    counts = {name: len(part.images) for name, part in parts.items()}
    own = "validation" in parts
    notes = notes_of_parts({name: path.name for name, path in selected.items()}, counts) if own else {}
    return assemble(parts, shape=shape, names=names, files=files, notes=notes)


def _named(folder: Path) -> list[Path]:
    """Files that are IDX or are called so, without the .gz of a file that is there unpacked too."""
    by_content = set(find_idx(folder))
    found = sorted(p for p in folder.iterdir() if p in by_content or (p.is_file() and re.search(r"[-.]idx\d", p.name)))
    return [p for p in found if not (p.suffix == ".gz" and p.with_suffix("") in found)]


def _part_of(path: Path) -> PartName:
    name = path.name.lower()
    if "t10k" in name or "test" in name:
        return "test"
    words = (PART_NAMES.get(word) for word in re.split(r"[^a-z0-9]+", name))
    return "validation" if "validation" in words else "train"


def _labels_of(images: Path, found: list[Path]) -> Path:
    def key(path: Path) -> str:
        return re.sub(r"[-.]idx\d.*|\.gz$", "", path.name.lower())

    wanted = key(images).replace("images", "labels")
    match = [p for p in found if key(p) == wanted]
    if len(match) != 1:
        raise DataError(
            f"{images} has no labels file beside it; there are {', '.join(p.name for p in found)}.",
            hint=f"Put it there, named like {images.name.replace('images', 'labels').replace('idx3', 'idx1')}.",
        )
    return match[0]


def _read_pair(images: Path, labels: Path) -> Part:
    pixels, numbers = read_idx(images), read_idx(labels)
    if pixels.ndim < 3:
        raise DataError(f"{images} has {pixels.ndim} dimensions, {list(pixels.shape)}; images have 3 or 4.")
    if numbers.ndim != 1 or len(numbers) != len(pixels):
        raise DataError(
            f"{labels} has labels {list(numbers.shape)}, {images.name} has {len(pixels)} images.",
            hint="Give each image one label.",
        )
    return Part(pixels, numbers, lambda row: f"{images}, image {row}")


def _known_names(parts: list[Part], known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The names that all these labels are known to have."""
    sums = {
        hashlib.sha256(b"\0\0\x08\x01" + len(p.labels).to_bytes(4, "big") + p.labels.tobytes()).hexdigest()
        for p in parts
    }
    names = {known.get(digest) for digest in sums}
    return names.pop() if len(names) == 1 else None
