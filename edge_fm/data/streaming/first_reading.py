"""Read every image of a source once: which can be read, their sizes, and the fingerprints of their pixels.

The result is stored in the user's cache folder, under all that it depends on, so that the next command on the same
files need not decode them before it begins.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.data.streaming.images import ImageFiles, decoders, stamp
from edge_fm.data.streaming.pixel_cache import PixelCache, fingerprint_of, open_pixel_cache
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import CacheWarning, PhotoError
from edge_fm_runtime.progress import ProgressFn
from edge_fm_runtime.system.package_versions import package_version
from edge_fm_runtime.system.sealed_file import read_sealed, write_sealed
from edge_fm_runtime.system.user_cache import own_folder, prune, why_untrusted

Shape = tuple[int, int, int]

_FILE = "pictures.npz"
_VERSION = 2
_CHUNK = 256
_MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class FirstReading:
    """What reading all images once has shown.

    Attributes:
        files: the images; those that cannot be read have no fingerprint.
        keys: of the bytes of each file, uint8 `[N,16]`; copies have the same one.
        failures: position of each image that cannot be read -> why not.
    """

    files: ImageFiles
    keys: npt.NDArray[np.uint8]
    failures: dict[int, str]


def read_once(
    folder: Path,
    names: Sequence[str],
    *,
    shape: Shape,
    same_size: bool,
    photo: PhotoSpec,
    progress: ProgressFn,
    stage: str,
) -> FirstReading:
    """Read every image once, or take what an earlier command found of the same files.

    Args:
        folder: that the names are relative to.
        names: of the files.
        shape: height, width, channels of the canvas.
        same_size: insist that every image has this height and width.
        photo: how an image meets the canvas.
        progress: called with images.
        stage: what progress is called with.

    Raises:
        SizesDiffer: an image has another size, and `same_size` is asked for.
    """
    place = str(folder.resolve())
    stamps = np.full((len(names), 3), -1, np.int64)
    for position, name in enumerate(names):
        try:
            stamps[position] = stamp(Path(place, name))
        except OSError:
            continue  # gone: decoding says so
    facts = {
        "version": _VERSION,
        "edge-fm": package_version("edge-fm"),
        "pillow": package_version("pillow"),
        "folder": place,
        "names": hashlib.sha256("\0".join(names).encode("utf-8", "surrogateescape")).hexdigest(),
        "stamps": hashlib.sha256(stamps.astype("<i8").tobytes()).hexdigest(),
        "shape": list(shape),
        "same_size": same_size,
        "photo": asdict(photo),
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    cache, pixels = own_folder("pictures", key), open_pixel_cache(key, len(names), shape)
    found = None if cache is None else _stored(cache, len(names))
    if found is None:
        try:
            found = _read(place, names, shape, same_size, photo, pixels, progress, stage)
        except SizesDiffer:
            if pixels is not None:
                pixels.remove()
            raise
        if cache is not None:
            _store(cache, *found)
    prints, keys, failures = found
    return FirstReading(ImageFiles(place, names, shape, photo, stamps, prints, pixels), keys, failures)


class SizesDiffer(Exception):
    """An image has another size than the first one.

    Args:
        name: of the file.
        size: its height, width and channels.
    """

    def __init__(self, name: str, size: Shape) -> None:
        super().__init__(name)
        self.name, self.size = name, size


_Found = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], dict[int, str]]


def _read(
    folder: str,
    names: Sequence[str],
    shape: Shape,
    same_size: bool,
    photo: PhotoSpec,
    pixels: PixelCache | None,
    progress: ProgressFn,
    stage: str,
) -> _Found:
    from edge_fm_runtime.photos.photo import load_canvas, make_canvas, open_photo

    def read(position: int) -> tuple[bytes, bytes] | PhotoError | SizesDiffer:
        name = names[position]
        path = Path(folder, name)
        try:
            if same_size:
                image = open_photo(path)
                own = (image.height, image.width, 1 if image.mode == "L" else 3)
                if own[:2] != shape[:2] or own[2] > shape[2]:
                    return SizesDiffer(name, own)
                canvas = make_canvas(image, shape, photo)
            else:
                canvas = load_canvas(path, shape, photo)
            with path.open("rb") as stream:
                key = hashlib.file_digest(stream, "sha256").digest()[:16]
            if pixels is not None:
                pixels.write(position, canvas)
            return fingerprint_of(np.ascontiguousarray(canvas).data), key
        except PhotoError as error:
            return error

    prints, keys = (np.zeros((len(names), 16), np.uint8) for _ in range(2))
    failures: dict[int, str] = {}
    # Some at a time: a queue of all of them would hold their results until their turn.
    for start in range(0, len(names), _CHUNK):
        for position, result in enumerate(decoders().map(read, range(start, min(start + _CHUNK, len(names)))), start):
            if isinstance(result, SizesDiffer):
                raise result
            if isinstance(result, PhotoError):
                failures[position] = result.message
            else:
                prints[position], keys[position] = (np.frombuffer(part, np.uint8) for part in result)
        progress(stage, min(start + _CHUNK, len(names)), len(names))
    return prints, keys, failures


def _stored(cache: Path, count: int) -> _Found | None:
    """What an earlier command stored; None where there is nothing, or it is damaged."""
    try:
        content = read_sealed(cache / _FILE)
        if content is None:
            reason = why_untrusted(cache / _FILE, group=True) or f"{cache / _FILE} is damaged"
            text = f"What was stored of images is not used: {reason}. They are read again."
            warnings.warn(text, CacheWarning, stacklevel=4)
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            prints, keys = file["prints"], file["keys"]
            failures: dict[str, Any] = json.loads(file["failures"].tobytes())
        os.utime(cache)  # when it was last used, for pruning
    except (OSError, ValueError, KeyError, EOFError):  # not there, or not readable: read again
        return None
    if prints.shape != (count, 16) or keys.shape != (count, 16):
        return None
    return prints, keys, {int(position): str(reason) for position, reason in failures.items()}


def _store(cache: Path, prints: npt.NDArray[np.uint8], keys: npt.NDArray[np.uint8], failures: dict[int, str]) -> None:
    text = np.frombuffer(json.dumps(failures).encode(), np.uint8)
    try:
        write_sealed(
            cache / _FILE, lambda file: np.savez(file, prints=prints, keys=keys, failures=text, allow_pickle=False)
        )
        prune(cache.parent, keep=cache, max_bytes=_MAX_BYTES)
    except OSError:
        return  # read-only or full: reading again is all that it costs
