"""Pictures without labels: enough to ask whether two models agree, and to calibrate."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm.data.image_folder import SUFFIXES, check_photo_shape
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.machine import usable_cpus
from edge_fm_runtime.metadata import PhotoSpec
from edge_fm_runtime.progress import ProgressFn, silent


def is_flat_folder(folder: str | Path) -> bool:
    """Whether `folder` holds pictures itself and has no subfolder that could be a class."""
    folder = Path(folder)
    if not folder.is_dir():
        return False
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    return not any(e.is_dir() for e in entries) and any(e.suffix.lower() in SUFFIXES for e in entries)


def load_images(
    folder: str | Path, shape: tuple[int, int, int], photo: PhotoSpec, *, progress: ProgressFn = silent
) -> npt.NDArray[np.uint8]:
    """Read the pictures of a flat folder, in the order of their names.

    Args:
        folder: its pictures are read, its subfolders are not.
        shape: height, width, channels of the canvas.
        photo: how a picture meets the canvas.
        progress: called with pictures.

    Returns:
        uint8 `[N,H,W,C]`.

    Raises:
        DataError: there is no picture.
        PhotoError: one cannot be read.
    """
    from edge_fm_runtime.photo import load_canvas

    check_photo_shape(shape)
    paths = sorted(p for p in Path(folder).iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not paths:
        raise DataError(f"{folder} holds no picture.", hint=f"Taken are {', '.join(sorted(SUFFIXES))}.")
    canvases = []
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for canvas in pool.map(partial(load_canvas, shape=shape, spec=photo), paths):
            canvases.append(canvas)
            progress(f"Reading {Path(folder).name}", len(canvases), len(paths))
    return np.stack(canvases)
