"""Read the pictures of a listing: decoded by several threads, brought to one shape."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_fm.data.dataset import Images, Split
from edge_fm.data.pictures.listing import Listing, Picture
from edge_fm.data.pictures.unreadable import check_unreadable
from edge_fm.data.readers.raw import Raw, Shape
from edge_fm.data.readers.split_names import PartName
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.progress import ProgressFn
from edge_fm_runtime.system.machine import usable_cpus

_MAX_BYTES = 16 << 30
_USUAL_SIDES = (28, 32, 48, 64, 96, 128, 160, 192, 224)


def check_photo_shape(shape: Shape) -> None:
    """Refuse a shape that no photo can be brought to, once and not for every picture.

    Raises:
        DataError: it has other channels than grey or RGB.
    """
    from edge_fm_runtime.photos.canvas import check_shape

    try:
        check_shape(shape)
    except PhotoError as error:
        raise DataError(error.message, hint=error.hint) from error


def read_pictures(
    listing: Listing, *, shape: Shape | None, photo: PhotoSpec, progress: ProgressFn, skip_unreadable: float = 0.0
) -> Raw:
    """Read all pictures of a listing.

    Args:
        listing: what there is.
        shape: height, width, channels of the canvas; None where all pictures have one size.
        photo: how a picture meets the canvas.
        progress: called with pictures.
        skip_unreadable: share of the pictures that may be left out because they cannot be read; the notes list them.

    Raises:
        DataError: sizes that differ without a shape, or pictures that cannot be read (they are listed).
    """
    if shape is not None:
        check_photo_shape(shape)
    listing.check_counts()
    notes = dict(listing.notes)
    every = [picture for part in listing.parts.values() for picture in part]
    if shape is not None and len(every) * int(np.prod(shape)) > _MAX_BYTES:
        raise DataError(
            f"{len(every)} pictures of {'x'.join(map(str, shape))} need more than {_MAX_BYTES >> 30} GiB.",
            hint="Give a smaller shape with --size.",
        )
    pixels, keys, readable, unreadable = _decode(every, shape, photo, listing.source, progress, skip_unreadable)
    if unreadable:
        notes["unreadable"] = {"pictures": len(every), "left_out": unreadable}
        there = {part: [p for p in those if p in readable] for part, those in listing.parts.items()}
        listing = replace(listing, parts=there)
        listing.check_counts()
    splits: dict[PartName, Split] = {}
    start = 0
    for part, those in listing.parts.items():
        labels = np.array([picture.label for picture in those], dtype=np.int64)
        groups = tuple(p.group for p in those) if any(p.group for p in those) else ()
        splits[part] = Split(pixels[start : start + len(those)], labels, tuple(p.name for p in those), groups)
        start += len(those)
    return Raw(
        label_names=listing.label_names,
        train=splits["train"],
        test=splits.get("test"),
        keys=keys[: len(splits["train"])],
        notes=notes,
        validation=splits.get("validation"),
    )


def _decode(
    pictures: Sequence[Picture],
    shape: Shape | None,
    photo: PhotoSpec,
    source: Path,
    progress: ProgressFn,
    skip_unreadable: float,
) -> tuple[Images, list[bytes], set[Picture], list[str]]:
    """Pixels and file hashes of the pictures that can be read, which pictures these are, and why not the others."""
    from edge_fm_runtime.photos.photo import load_canvas, make_canvas, open_photo

    def decode(picture: Picture) -> tuple[Images, bytes] | PhotoError:
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
    keys, failures, readable = [], [], set()
    # Decoders work outside Python's lock, so threads help as far as there are cores.
    with ThreadPoolExecutor(max_workers=min(8, usable_cpus())) as pool:
        for i, result in enumerate(pool.map(decode, pictures)):
            if isinstance(result, PhotoError):
                failures.append(result.message)
            else:
                readable.add(pictures[i])
                canvases.append(result[0])
                keys.append(result[1])
                if result[0].shape[:2] != canvases[0].shape[:2]:
                    pool.shutdown(cancel_futures=True)
                    raise _sizes_differ(source, pictures[i].path, result[0], canvases[0])
            progress(f"Reading {source.name}", i + 1, len(pictures))
    check_unreadable(failures, len(pictures), skip_unreadable)
    channels = max(canvas.shape[2] for canvas in canvases)
    pixels = np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in canvases])
    return pixels, keys, readable, failures


def _sizes_differ(source: Path, path: Path, canvas: Images, first: Images) -> DataError:
    size = _common_size(canvas, first)
    return DataError(
        f"The pictures of {source} have different sizes: {path.name} has {canvas.shape[1]}x{canvas.shape[0]} pixels, "
        f"those before it {first.shape[1]}x{first.shape[0]}.",
        hint=f"Give the size to bring them to, height x width x channels: --size {'x'.join(map(str, size))} "
        f"(in a recipe: shape = {list(size)} under [data]).",
    )


def _common_size(*canvases: Images) -> Shape:
    """A usual square that none of them has to be enlarged to, in colour where one of them is."""
    side = min(min(canvas.shape[:2]) for canvas in canvases)
    usual = max((size for size in _USUAL_SIDES if size <= side), default=side)
    return (usual, usual, max(canvas.shape[2] for canvas in canvases))
