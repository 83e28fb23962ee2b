"""Read the images of a listing: all at once, or, where they are too many for memory, when they are needed."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.data.dataset import Images, Split
from edge_fm.data.image_files.listing import ImageFile, Listing
from edge_fm.data.image_files.unreadable import check_unreadable
from edge_fm.data.memory import available_memory
from edge_fm.data.readers.raw import Raw, Shape
from edge_fm.data.readers.split_names import PartName
from edge_fm.data.streaming.first_reading import SizesDiffer, read_once
from edge_fm.data.streaming.images import StreamedImages, as_array, decoders, select
from edge_fm.data.streaming.pixel_cache import VARIABLE, PixelCache
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.progress import ProgressFn

_IN_MEMORY = 512 << 20
MEMORY_VARIABLE = "EDGEFM_IMAGE_MEMORY"
_USUAL_SIDES = (28, 32, 48, 64, 96, 128, 160, 192, 224)


def check_photo_shape(shape: Shape) -> None:
    """Refuse a shape that no photo can be brought to, once and not for every image.

    Raises:
        DataError: it has other channels than grey or RGB.
    """
    from edge_fm_runtime.photos.canvas import check_shape

    try:
        check_shape(shape)
    except PhotoError as error:
        raise DataError(error.message, hint=error.hint) from error


def read_image_files(
    listing: Listing, *, shape: Shape | None, photo: PhotoSpec, progress: ProgressFn, skip_unreadable: float = 0.0
) -> Raw:
    """Read all images of a listing.

    Args:
        listing: what there is.
        shape: height, width, channels of the canvas; None where all images have one size.
        photo: how an image meets the canvas.
        progress: called with images.
        skip_unreadable: share of the images that may be left out because they cannot be read; the notes list them.

    Raises:
        DataError: sizes that differ without a shape, or images that cannot be read (they are listed).
    """
    if shape is not None:
        check_photo_shape(shape)
    listing.check_counts()
    every = [image_file for part in listing.parts.values() for image_file in part]
    note: dict[str, Any] = {}
    size = shape or _size_of_first(every)
    if size is not None and len(every) * math.prod(size) > pixels_in_memory():
        pixels, keys, failures, cache = _streamed(listing, every, size, shape, photo, progress)
        note["streamed"] = (
            f"{len(every):,} images of {'x'.join(map(str, pixels.shape[1:]))} {_held(int(pixels.nbytes), cache)}"
        )
    else:
        pixels, keys, failures = _decode(every, shape, photo, listing.source, progress)
    check_unreadable(list(failures.values()), len(every), skip_unreadable)
    if failures:
        note["unreadable"] = {"pictures": len(every), "left_out": list(failures.values())}
        missing = {every[position] for position in failures}
        there = {part: [p for p in those if p not in missing] for part, those in listing.parts.items()}
        listing = replace(listing, parts=there)
        listing.check_counts()
    splits: dict[PartName, Split] = {}
    start = 0
    for part, those in listing.parts.items():
        labels = np.array([image_file.label for image_file in those], dtype=np.int64)
        groups = tuple(p.group for p in those) if any(p.group for p in those) else ()
        images = select(pixels, slice(start, start + len(those)))
        splits[part] = Split(images, labels, tuple(p.name for p in those), groups)
        start += len(those)
    return Raw(
        label_names=listing.label_names,
        train=splits["train"],
        test=splits.get("test"),
        keys=keys[: len(splits["train"])],
        notes={**listing.notes, **note},
        validation=splits.get("validation"),
    )


def pixels_in_memory() -> int:
    """Bytes of decoded pixels up to which a source is held in memory: 512 MiB, but not above half of what is free.

    `$EDGEFM_IMAGE_MEMORY` sets another number of MiB.

    Raises:
        DataError: that is no number.
    """
    given = os.environ.get(MEMORY_VARIABLE, "")
    if given:
        if not given.isascii() or not given.isdigit():
            raise DataError(
                f"{MEMORY_VARIABLE} is {given!r}; it is a number of MiB.", hint=f"Such as {MEMORY_VARIABLE}=512."
            )
        return int(given) << 20
    free = available_memory()
    return _IN_MEMORY if free is None else min(_IN_MEMORY, free // 2)


def _held(size: int, cache: PixelCache | None) -> str:
    most = pixels_in_memory() >> 20
    how = "when they are needed"
    if cache is not None and cache.in_use:
        how = f"once, and then read from {cache.path} ({VARIABLE}=0 keeps none there)"
    return f"are {size / 2**20:,.0f} MiB of pixels, more than {most:,} MiB: they are decoded {how}"


def _size_of_first(image_files: Sequence[ImageFile]) -> Shape | None:
    """Height, width and channels of the first image that can be read; None where none can."""
    from edge_fm_runtime.photos.photo import open_photo

    for image_file in image_files:
        try:
            image = open_photo(image_file.path)
        except PhotoError:
            continue  # listed when all are read
        return (image.height, image.width, 1 if image.mode == "L" else 3)
    return None


def _streamed(
    listing: Listing,
    image_files: Sequence[ImageFile],
    size: Shape,
    wanted: Shape | None,
    photo: PhotoSpec,
    progress: ProgressFn,
) -> tuple[Images, list[bytes], dict[int, str], PixelCache | None]:
    """Images that are decoded when they are indexed, as `_decode`; and the cache of their pixels, if there is one."""
    names = [image_file.name for image_file in image_files]
    stage = f"Reading {listing.source.name}"
    while True:
        try:
            reading = read_once(
                listing.folder,
                names,
                shape=size,
                same_size=wanted is None,
                photo=photo,
                progress=progress,
                stage=stage,
            )
            break
        except SizesDiffer as error:
            if error.size[:2] != size[:2]:
                raise _sizes_differ(listing.source, Path(error.name), error.size, size) from error
            size = error.size  # the first ones are grey, this one has colours
    readable = np.array([i for i in range(len(names)) if i not in reading.failures], np.intp)
    images = as_array(StreamedImages(reading.files, readable))
    return images, [row.tobytes() for row in reading.keys[readable]], reading.failures, reading.files.cache


def _decode(
    image_files: Sequence[ImageFile], shape: Shape | None, photo: PhotoSpec, source: Path, progress: ProgressFn
) -> tuple[Images, list[bytes], dict[int, str]]:
    """Pixels and file hashes of the images that can be read, and why not the others, by position."""
    from edge_fm_runtime.photos.photo import load_canvas, make_canvas, open_photo

    def decode(image_file: ImageFile) -> tuple[Images, bytes] | PhotoError:
        try:
            if shape is None:
                image = open_photo(image_file.path)
                canvas = make_canvas(image, (image.height, image.width, 1 if image.mode == "L" else 3), photo)
            else:
                canvas = load_canvas(image_file.path, shape, photo)
            with image_file.path.open("rb") as stream:
                return canvas, hashlib.file_digest(stream, "sha256").digest()[:16]
        except PhotoError as error:
            return error

    canvases: list[Images] = []
    keys: list[bytes] = []
    failures: dict[int, str] = {}
    for i, result in enumerate(decoders().map(decode, image_files)):
        if isinstance(result, PhotoError):
            failures[i] = result.message
        else:
            canvases.append(result[0])
            keys.append(result[1])
            if result[0].shape[:2] != canvases[0].shape[:2]:
                raise _sizes_differ(source, image_files[i].path, result[0].shape, canvases[0].shape)
        progress(f"Reading {source.name}", i + 1, len(image_files))
    if not canvases:
        return np.zeros((0, 1, 1, 1), np.uint8), keys, failures
    channels = max(canvas.shape[2] for canvas in canvases)
    pixels = np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in canvases])
    return pixels, keys, failures


def _sizes_differ(source: Path, path: Path, size: tuple[int, ...], first: tuple[int, ...]) -> DataError:
    common = _common_size(size, first)
    name = path.relative_to(source) if path.is_relative_to(source) else path
    return DataError(
        f"The images of {source} have different sizes: {name} has {size[1]}x{size[0]} pixels, "
        f"those before it {first[1]}x{first[0]}.",
        hint=f"Give the size to bring them to, height x width x channels: --size {'x'.join(map(str, common))} "
        f"(in a recipe: shape = {list(common)} under [data]).",
    )


def _common_size(*sizes: tuple[int, ...]) -> Shape:
    """A usual square that none of them has to be enlarged to, in colour where one of them is."""
    side = min(min(size[:2]) for size in sizes)
    usual = max((one for one in _USUAL_SIDES if one <= side), default=side)
    return (usual, usual, max(size[2] for size in sizes))
