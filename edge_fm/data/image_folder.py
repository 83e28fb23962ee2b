"""A folder of pictures, one subfolder for each class, with or without a training and a test part."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fm.data.dataset import Images, Split
from edge_fm.data.raw import Raw, Shape
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.machine import usable_cpus
from edge_fm_runtime.metadata import PhotoSpec
from edge_fm_runtime.progress import ProgressFn

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
)
_PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_MAX_BYTES = 16 << 30
_LISTED = 10


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int


def read_image_folder(folder: Path, *, shape: Shape | None, photo: PhotoSpec, progress: ProgressFn) -> Raw:
    """Read a folder of pictures; see `edge_fm.data.sources.load_dataset`.

    A class is a subfolder, called by its name; deeper folders belong to it. Names that begin with a dot or an
    underscore are passed over. `train/` and `test/` (or `val/`, where there is no `test/`) are splits; with all three,
    `val/` joins the training images, out of which validation is drawn anyway.

    Args:
        folder: what to read.
        shape: height, width, channels of the canvas; None where all pictures have one size.
        photo: how a picture meets the canvas.
        progress: called with pictures.

    Raises:
        DataError: no pictures, sizes that differ without a shape, or pictures that cannot be read (all are listed).
    """
    parts = {_PARTS[p.name.lower()]: p for p in _folders(folder) if p.name.lower() in _PARTS}
    notes: dict[str, object] = {}
    if "train" not in parts or len(parts) == 1:
        if parts and len(parts) == len(_folders(folder)):
            have, need = ", ".join(p.name for p in parts.values()), "test" if "train" in parts else "train"
            raise DataError(
                f"{folder} has the part {have} alone.", hint=f"Add {need}/, or give the folder of the classes itself."
            )
        names = _class_names([folder])
        train, test = _pictures(folder, names), None
    else:
        learn = [parts["train"], *([parts["validation"]] if len(parts) == 3 else [])]
        judge = parts.get("test") or parts["validation"]
        names = _class_names([*learn, judge])
        train, test = [p for part in learn for p in _pictures(part, names)], _pictures(judge, names)
        if len(parts) == 3:
            notes["validation"] = f"the pictures of {parts['validation'].name}/ are among the training images"
        elif "test" not in parts:
            notes["test"] = f"the pictures of {judge.name}/"
    _check_counts(folder, names, train, alone=test is None)
    every = [*train, *(test or [])]
    if shape is not None and len(every) * int(np.prod(shape)) > _MAX_BYTES:
        raise DataError(
            f"{len(every)} pictures of {'x'.join(map(str, shape))} need more than {_MAX_BYTES >> 30} GiB.",
            hint="Give a smaller shape with --size.",
        )
    pixels, keys = _decode(every, shape, photo, folder, progress)
    labels = np.array([picture.label for picture in every], dtype=np.int64)
    cut = len(train)
    return Raw(
        label_names=names,
        train=Split(pixels[:cut], labels[:cut]),
        test=None if test is None else Split(pixels[cut:], labels[cut:]),
        keys=keys[:cut],
        notes=notes,
    )


def has_pictures(folder: Path) -> bool:
    """Whether any subfolder holds a picture."""
    return any(_files(sub) for sub in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    """Subfolders, without those that no person means as a class, such as __MACOSX."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))


def _files(folder: Path) -> list[Path]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(root, n) for n in names if not n.startswith(".") and Path(n).suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _class_names(parts: Sequence[Path]) -> tuple[str, ...]:
    names = sorted({sub.name for part in parts for sub in _folders(part)})
    if not names:
        raise DataError(
            f"{parts[0]} has no subfolders.",
            hint="Put the pictures of each class into a folder of its own, called by the class's name.",
        )
    return tuple(names)


def _pictures(folder: Path, names: tuple[str, ...]) -> list[_Picture]:
    return [_Picture(path, label) for label, name in enumerate(names) for path in _files(folder / name)]


def _check_counts(folder: Path, names: tuple[str, ...], train: Sequence[_Picture], *, alone: bool) -> None:
    counts = np.bincount([picture.label for picture in train], minlength=len(names))
    least = 2 if alone else 1
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
    if few:
        why = "one to learn from and one to be judged by" if alone else "to learn from"
        raise DataError(
            f"{folder}: {len(few)} of {len(names)} classes have too few training pictures: {', '.join(few[:_LISTED])}. "
            f"Each needs at least {least}, {why}.",
            hint=f"Add pictures ({', '.join(sorted(SUFFIXES))}), or move the folder away.",
        )


def _decode(
    pictures: Sequence[_Picture], shape: Shape | None, photo: PhotoSpec, folder: Path, progress: ProgressFn
) -> tuple[Images, list[bytes]]:
    """Pixels of all pictures, and the hash of each file."""
    from edge_fm_runtime.photo import load_canvas, make_canvas, open_photo

    def decode(picture: _Picture) -> tuple[Images, bytes] | PhotoError:
        try:
            if shape is None:
                image = open_photo(picture.path)
                canvas = make_canvas(image, (image.height, image.width, 1 if image.mode == "L" else 3), photo)
            else:
                canvas = load_canvas(picture.path, shape, photo)
            with picture.path.open("rb") as stream:
                return canvas, hashlib.file_digest(stream, "sha256").digest()
        except PhotoError as error:
            return error

    canvases: list[Images] = []
    keys, failures = [], []
    # Decoders work outside Python's lock, so threads help as far as there are cores.
    with ThreadPoolExecutor(max_workers=min(8, usable_cpus())) as pool:
        for i, result in enumerate(pool.map(decode, pictures)):
            if isinstance(result, PhotoError):
                failures.append(result.message)
            else:
                canvases.append(result[0])
                keys.append(result[1])
                if result[0].shape[:2] != canvases[0].shape[:2]:
                    pool.shutdown(cancel_futures=True)
                    raise _sizes_differ(folder, pictures[i].path, result[0], canvases[0])
            progress(f"Reading {folder.name}", i + 1, len(pictures))
    if failures:
        raise _unreadable(failures, len(pictures))
    channels = max(canvas.shape[2] for canvas in canvases)
    return np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in canvases]), keys


def _sizes_differ(folder: Path, path: Path, canvas: Images, first: Images) -> DataError:
    return DataError(
        f"The pictures of {folder} have different sizes: {path.name} has {canvas.shape[1]}x{canvas.shape[0]} pixels, "
        f"those before it {first.shape[1]}x{first.shape[0]}.",
        hint="Give the size to bring them to, height x width x channels: --size 28x28x1.",
    )


def _unreadable(failures: Sequence[str], total: int) -> DataError:
    listed = "\n".join(f"  - {failure}" for failure in failures[:_LISTED])
    more = f"\n  ... and {len(failures) - _LISTED} more" if len(failures) > _LISTED else ""
    return DataError(
        f"{len(failures)} of {total} pictures cannot be read:\n{listed}{more}", hint="Mend them, or move them away."
    )
