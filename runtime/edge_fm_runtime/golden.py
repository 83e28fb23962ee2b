"""Golden answers: a few dozen inputs with what the original and the exported model answered, replayed on a device."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fm_runtime.engines import Pixels, Probabilities
from edge_fm_runtime.errors import ArtifactError

GOLDEN_FILE = "golden.npz"
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""What zipfile and numpy raise on bytes that are no such archive, or one that is compressed or encrypted otherwise."""
_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and the answers to them.

    Attributes:
        images: uint8 `[N,H,W,C]`.
        reference: float32 `[N,classes]`, the original Keras model's probabilities.
        exported: float32 `[N,classes]`, what the exported model answered on the machine that exported it.
    """

    images: Pixels
    reference: Probabilities
    exported: Probabilities


def save_golden(golden: Golden, path: Path) -> None:
    """Write `golden` to `path` as `.npz`; the same answers give the same bytes."""
    arrays = {"images": golden.images, "reference": golden.reference, "exported": golden.exported}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            # A fixed date: np.savez would stamp the time and change the bytes at every export.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def load_golden(path: Path) -> Golden:
    """Read golden answers; never unpickles.

    Raises:
        ArtifactError: the file is malformed or its arrays do not fit together.
    """
    hint = "Export the model again: edgefm export"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MAX_BYTES:
                raise ArtifactError(f"{path} unpacks to more than {_MAX_BYTES} bytes.", hint=hint)
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in ("images", "reference", "exported")}
    except _DAMAGED as error:
        raise ArtifactError(f"{path} holds no golden answers: {error}", hint=hint) from error
    for name, array in arrays.items():
        # NumPy gives back the bytes of a member that does not start as its format does.
        if not isinstance(array, np.ndarray):
            raise ArtifactError(f"{path} holds no golden answers: {name} is no array.", hint=hint)
    golden = Golden(**arrays)
    images, reference, exported = golden.images, golden.reference, golden.exported
    fits = (
        images.dtype == np.uint8
        and images.ndim == 4
        and reference.dtype == exported.dtype == np.float32
        and reference.shape == exported.shape
        and reference.ndim == 2
        and len(reference) == len(images) > 0
    )
    if not fits:
        raise ArtifactError(
            f"{path}: images {images.dtype} {list(images.shape)}, reference {reference.dtype} {list(reference.shape)} "
            f"and exported {exported.dtype} {list(exported.shape)} do not fit together.",
            hint=hint,
        )
    return golden
