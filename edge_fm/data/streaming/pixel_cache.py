"""Decoded pixels of streamed images on disk: every command reads them more than once, and decoding is slow."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import threading
import warnings
import weakref
from io import FileIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import CacheWarning, DataError
from edge_fm_runtime.system.user_cache import own_folder, prune

VARIABLE = "EDGEFM_PIXEL_CACHE"
MOST_BYTES = 20 << 30
"""Of disk for the decoded pixels of all sources, where nothing else is said."""
_FILE = "pixels.raw"


class PixelCache:
    """The canvases of one source in one file, each at its own place; a place that nothing was written to is zeros.

    Pixels are used only where their fingerprint is the one that the first reading found, so that a damaged or partly
    written file costs the time of decoding again, and changes no result. Several threads and processes may share it.

    Args:
        path: of the file, made where it is missing.
        shape: height, width, channels of each canvas.

    Attributes:
        path: likewise.

    Raises:
        OSError: the file cannot be made or opened.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.path, self._shape, self._bytes = path, shape, math.prod(shape)
        self._lock = threading.Lock()
        self._file: FileIO | None = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        weakref.finalize(self, self._file.close)

    def read(self, position: int, fingerprint: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8] | None:
        """The canvas, uint8 `[H,W,C]`, or None where it is not stored, or not as it was first read.

        Args:
            position: of the image in the source.
            fingerprint: of its pixels, uint8 `[16]`.
        """
        content = bytearray(self._bytes)
        with self._lock:
            if self._file is None:
                return None
            try:
                self._file.seek(position * self._bytes)
                length = self._file.readinto(content)
            except OSError as error:
                self._stop(error)
                return None
        if length != self._bytes or fingerprint_of(content) != fingerprint.tobytes():
            return None
        return np.frombuffer(content, np.uint8).reshape(self._shape)

    def write(self, position: int, canvas: npt.NDArray[np.uint8]) -> None:
        """Store the canvas of an image.

        Warns:
            CacheWarning: the disk is full, or fails; nothing more is stored or read then, and what was is removed.
        """
        with self._lock:
            if self._file is None:
                return
            try:
                self._file.seek(position * self._bytes)
                self._file.write(np.ascontiguousarray(canvas).data)
            except OSError as error:
                # A part of the pixels is of little use, and whatever else the command writes needs the room.
                with contextlib.suppress(OSError):
                    self._file.truncate(0)
                self._stop(error)

    @property
    def in_use(self) -> bool:
        """Whether pixels are still stored and read."""
        return self._file is not None

    def remove(self) -> None:
        """Give the room back: these pixels will not be used."""
        with self._lock, contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
                self._file = None
            shutil.rmtree(self.path.parent)

    def _stop(self, error: OSError) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        text = (
            f"Decoded pixels are no longer kept in {self.path}: {error.strerror}. Images are decoded again each time."
        )
        warnings.warn(text, CacheWarning, stacklevel=4)

    def __reduce__(self) -> tuple[type[PixelCache], tuple[Path, tuple[int, int, int]]]:
        return PixelCache, (self.path, self._shape)


def fingerprint_of(pixels: bytes | bytearray | memoryview) -> bytes:
    """16 bytes; equal pixels have equal ones."""
    return hashlib.blake2b(pixels, digest_size=16).digest()


def allowed_bytes() -> int | None:
    """Bytes of disk that `$EDGEFM_PIXEL_CACHE`, a number of GiB, allows for decoded pixels; None where it is not set.

    Raises:
        DataError: it is no number.
    """
    given = os.environ.get(VARIABLE, "")
    if not given:
        return None
    try:
        gib = float(given)
    except ValueError:
        gib = -1.0
    if not 0 <= gib * 2**30 < math.inf:
        raise DataError(
            f"{VARIABLE} is {given!r}; it is a number of GiB.", hint=f"Such as {VARIABLE}=20, or 0 for none."
        )
    return int(gib * 2**30)


def open_pixel_cache(key: str, count: int, shape: tuple[int, int, int]) -> PixelCache | None:
    """The cache of a source; None where `$EDGEFM_PIXEL_CACHE` is 0, or none can be had.

    Where the variable is not set, all pixels take at most `MOST_BYTES`, and new ones a quarter of what the disk has
    free.

    Args:
        key: hash of all that decides the pixels.
        count: number of images.
        shape: height, width, channels of each canvas.

    Warns:
        CacheWarning: one is asked for and cannot be had, and why.

    Raises:
        DataError: `$EDGEFM_PIXEL_CACHE` is no number.
    """
    asked, needed = allowed_bytes(), count * math.prod(shape)
    if asked == 0:
        return None
    allowed, share = (MOST_BYTES, 4) if asked is None else (asked, 1)
    reason = "there is no cache folder of this user's that can be written to"
    if needed > allowed:
        reason = f"they take {_size(needed)}, and {VARIABLE} allows {os.environ.get(VARIABLE)} GiB"
    elif (folder := own_folder("pixels", key)) is not None:
        try:
            others, own = _stored_bytes(folder)
            missing, free = needed - own, shutil.disk_usage(folder).free
            # What the others hold may have to go; where that would not be enough either, it stays.
            if missing <= (free + max(0, others + needed - allowed)) // share:
                prune(folder.parent, keep=folder, max_bytes=allowed - needed)
                cache = PixelCache(folder / _FILE, shape)
                os.utime(folder)  # when it was last used, for pruning
                return cache
            if not own:
                shutil.rmtree(folder)  # made just now
            reason = f"they need {_size(missing)} more, and the disk of {folder.parent} has {_size(free)} free"
        except OSError as error:
            reason = f"{error.filename or folder}: {error.strerror or error}"
    if asked is not None:
        warnings.warn(f"Decoded pixels are not kept on disk: {reason}.", CacheWarning, stacklevel=4)
    return None


def _size(count: int) -> str:
    """Bytes as text, in GiB or MiB."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _stored_bytes(folder: Path) -> tuple[int, int]:
    """Bytes of disk that the pixels of the other sources take, and those of the one in `folder`."""
    files = {file: _disk_bytes(file.stat()) for file in folder.parent.glob(f"*/{_FILE}")}
    own = files.pop(folder / _FILE, 0)
    return sum(files.values()), own


def _disk_bytes(status: os.stat_result) -> int:
    """Bytes of disk that a file takes; places of it that nothing was written to take none."""
    blocks: int | None = getattr(status, "st_blocks", None)  # Windows has none
    return status.st_size if blocks is None else min(512 * blocks, status.st_size)
