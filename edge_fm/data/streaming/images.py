"""Image files as an array of images that are decoded when they are indexed.

What takes images takes these: they have the length, shape and dtype of an array uint8 `[N,H,W,C]`, and an index, a
slice or an array of positions gives the pixels. `select` and `concatenate` keep them undecoded. The pixels are those
that the same files have in memory, as the same function decodes them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from edge_fm.data.memory import require_memory
from edge_fm.data.streaming.pixel_cache import PixelCache
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.system.machine import usable_cpus

Pixels: TypeAlias = npt.NDArray[np.uint8]
Positions: TypeAlias = npt.NDArray[np.intp]

_MOST_WORKERS = 8


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files that were all read once.

    Attributes:
        folder: that the names are relative to.
        names: of the files.
        shape: height, width, channels of the canvas.
        photo: how an image meets the canvas.
        stamps: `stamp` of each file when it was read, int64 `[N,3]`.
        fingerprints: of the pixels of each canvas, uint8 `[N,16]`.
        cache: of decoded pixels on disk, or None.
    """

    folder: str
    names: Sequence[str]
    shape: tuple[int, int, int]
    photo: PhotoSpec
    stamps: npt.NDArray[np.int64]
    fingerprints: npt.NDArray[np.uint8]
    cache: PixelCache | None = None

    def decode(self, position: int) -> Pixels:
        """The pixels of a file.

        Raises:
            DataError: it is gone, damaged, or another file than when it was first read.
        """
        from edge_fm_runtime.photos.photo import load_canvas

        path = Path(self.folder, self.names[position])
        try:
            now, then = stamp(path), tuple(self.stamps[position].tolist())
            # Of the same size and time, it may have been put in the place of another all the same: it is decoded.
            cache = self.cache if now == then else None
            stored = None if cache is None else cache.read(position, self.fingerprints[position])
            pixels = load_canvas(path, self.shape, self.photo) if stored is None else stored
        except (OSError, PhotoError) as error:
            reason = error.message.rstrip(".") if isinstance(error, PhotoError) else f"{error.strerror}"
            raise DataError(
                f"{path} could be read when the dataset was loaded, and cannot be read now: {reason}.",
                hint="Bring the file back, and go on (a training: with --resume), or load the dataset again.",
            ) from error
        if now[:2] != then[:2]:
            raise DataError(
                f"{path} has changed since the dataset was loaded.",
                hint="Leave the files alone while they are used, and run the command again.",
            )
        if stored is None and cache is not None:
            cache.write(position, pixels)
        return pixels


def stamp(path: Path) -> tuple[int, int, int]:
    """Size of a file, and times (ns) of the last change of its content and of its entry, by which a change is noticed.

    The second time moves where a file is put in the place of another one, whose size and first time it may have; and
    where it is given other rights or another link, which changes no pixel.

    Raises:
        OSError: there is no such file.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


@functools.cache
def decoders() -> ThreadPoolExecutor:
    """The threads that decode; Pillow decodes and scales outside Python's lock."""
    return ThreadPoolExecutor(min(_MOST_WORKERS, usable_cpus()), thread_name_prefix="decoder")


class JoinedFiles:
    """Images of several sources one after another, some of them in memory perhaps.

    Args:
        parts: of one height, width and number of channels.
    """

    def __init__(self, parts: Sequence[Pixels]) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        height, width, channels = parts[0].shape[1:]
        self.shape = (int(height), int(width), int(channels))

    def decode(self, position: int) -> Pixels:
        """The pixels of one image."""
        part = int(np.searchsorted(self._ends, position, side="right"))
        image: Pixels = self._parts[part][position - int(self._ends[part])]  # counted from the part's end
        return image

    @functools.cached_property
    def fingerprints(self) -> npt.NDArray[np.uint8]:
        """Of the pixels of each image, uint8 `[N,16]`."""
        every = b"".join(key for part in self._parts for key in fingerprints(part))
        return np.frombuffer(every, np.uint8).reshape(-1, 16)


class StreamedImages:
    """uint8 `[N,H,W,C]` that are decoded when they are indexed.

    Args:
        files: all files of the source.
        positions: which of them these are, in their order.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, files: ImageFiles | JoinedFiles, positions: Positions) -> None:
        self.files, self.positions = files, positions

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, height, width and channels."""
        return (len(self.positions), *self.files.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.size

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: Any) -> Pixels:
        if isinstance(index, int | np.integer):
            return self.files.decode(int(self.positions[index]))
        wanted = np.atleast_1d(self.positions[index]).tolist()
        pixels = np.empty((len(wanted), *self.files.shape), np.uint8)
        for row, image in enumerate(decoders().map(self.files.decode, wanted)):
            pixels[row] = image
        return pixels

    def __iter__(self) -> Iterator[Pixels]:
        return (self.files.decode(position) for position in self.positions.tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        require_memory(self.nbytes, f"An array of {len(self):,} streamed images")
        pixels = self[:]
        return pixels if dtype is None else pixels.astype(dtype)

    def fingerprints(self) -> list[bytes]:
        """16 bytes for each image; equal images have equal ones."""
        return [row.tobytes() for row in self.files.fingerprints[self.positions]]


def select(images: Pixels, indices: npt.NDArray[np.integer[Any]] | slice) -> Pixels:
    """The images at `indices`, in that order; streamed ones stay undecoded."""
    streamed = as_streamed(images)
    if streamed is not None:
        return as_array(StreamedImages(streamed.files, streamed.positions[indices]))
    selected: Pixels = images[indices]
    return selected


def concatenate(parts: Sequence[Pixels]) -> Pixels:
    """Images one after another; streamed ones stay undecoded."""
    streamed = [images for part in parts if (images := as_streamed(part)) is not None]
    if not streamed:
        return np.concatenate(list(parts))
    if len(streamed) == len(parts) and len({id(part.files) for part in streamed}) == 1:
        together = np.concatenate([part.positions for part in streamed])
        return as_array(StreamedImages(streamed[0].files, together))
    return as_array(StreamedImages(JoinedFiles(parts), np.arange(sum(map(len, parts)), dtype=np.intp)))


def as_streamed(images: Any) -> StreamedImages | None:
    """Images that are decoded when they are indexed; None for those in memory."""
    return images if isinstance(images, StreamedImages) else None


def as_array(images: StreamedImages) -> Pixels:
    """Streamed images with the type of what they stand for."""
    return cast("Pixels", images)
