"""Images without labels, for agreement and calibration."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm.data.image_files.reading import check_photo_shape
from edge_fm.data.image_files.unreadable import check_unreadable, unreadable_in_words
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.photos.suffixes import LISTED, describe_counts, is_photo_name, kind_passed_over
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.machine import usable_cpus


def is_flat_folder(folder: str | Path) -> bool:
    """Whether `folder` holds images itself and has no subfolder that could be a class."""
    folder = Path(folder)
    if not folder.is_dir():
        return False
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return not any(e.is_dir() for e in entries) and any(is_photo_name(e.name) for e in entries)


def load_images(
    folder: str | Path,
    shape: tuple[int, int, int],
    photo: PhotoSpec,
    *,
    skip_unreadable: float = 0.0,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> npt.NDArray[np.uint8]:
    """Read the images of a flat folder, in the order of their names.

    Args:
        folder: its images are read, its subfolders are not.
        shape: height, width, channels of the canvas.
        photo: how an image meets the canvas.
        skip_unreadable: share of the images that may be left out because they cannot be read.
        progress: called with images.
        note: called with what was passed over and left out.

    Returns:
        uint8 `[N,H,W,C]`.

    Raises:
        DataError: there is no image, or some cannot be read (they are listed).
    """
    from edge_fm_runtime.photos.photo import load_canvas

    check_photo_shape(shape)
    files = sorted(p for p in Path(folder).iterdir() if p.is_file())
    paths = [p for p in files if is_photo_name(p.name)]
    if not paths:
        raise DataError(f"{folder} holds no image.", hint=f"Taken are {LISTED}.")
    if len(files) > len(paths):
        others = Counter(kind_passed_over(p.name) for p in files if not is_photo_name(p.name))
        note(f"Passed over: {describe_counts(others)}.")

    def decode(path: Path) -> npt.NDArray[np.uint8] | PhotoError:
        try:
            return load_canvas(path, shape, photo)
        except PhotoError as error:
            return error

    canvases, failures = [], []
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for i, result in enumerate(pool.map(decode, paths)):
            if isinstance(result, PhotoError):
                failures.append(result.message)
            else:
                canvases.append(result)
            progress(f"Reading {Path(folder).name}", i + 1, len(paths))
    check_unreadable(failures, len(paths), skip_unreadable)
    if failures:
        reasons = unreadable_in_words({"pictures": len(paths), "left_out": failures})
        note(f"Images that cannot be read are left out: {reasons}.")
    return np.stack(canvases)
