"""Files of arrays, `.npz`, in an artifact: the same arrays give the same bytes, and what is read is checked."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import ArtifactError

REEXPORT = "Export the model again: edgefm export"

_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""What zipfile and numpy raise on other bytes, or on an archive that is compressed or encrypted otherwise."""


def save_arrays(arrays: Mapping[str, npt.NDArray[Any]], path: Path) -> None:
    """Write arrays as `.npz`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            # A fixed date: np.savez would stamp the time and change the bytes at every export.
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(info, "w") as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def load_arrays(
    path: Path,
    content: bytes | None,
    names: Sequence[str] | Callable[[Sequence[str]], Sequence[str]],
    *,
    what: str,
    max_bytes: int,
) -> dict[str, npt.NDArray[Any]]:
    """Read arrays of an `.npz`; never unpickles.

    Args:
        path: the file.
        content: its bytes where they are to be read instead of the file.
        names: of the arrays that are read, or a function that selects them among those that there are; others are
            left alone.
        what: the file holds, for messages, such as "golden predictions".
        max_bytes: refuse a file that unpacks to more.

    Raises:
        ArtifactError: the file is malformed, or has no such arrays.
    """
    try:
        with zipfile.ZipFile(path if content is None else io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > max_bytes:
                raise ArtifactError(f"{path} unpacks to more than {max_bytes} bytes.", hint=REEXPORT)
            if callable(names):
                names = names([name.removesuffix(".npy") for name in archive.namelist()])
            for name in names:
                _check_claim(archive, f"{name}.npy")
        with np.load(path if content is None else io.BytesIO(content), allow_pickle=False) as data:
            return {name: data[name] for name in names}
    except _DAMAGED as error:
        raise ArtifactError(f"{path} holds no {what}: {error}", hint=REEXPORT) from error


def _check_claim(archive: zipfile.ZipFile, name: str) -> None:
    """Raise ValueError if an array claims more bytes than its member holds: NumPy would set memory aside for them."""
    with archive.open(name) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f"{name} is not of NumPy's format 1.0")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if math.prod(shape) * dtype.itemsize > archive.getinfo(name).file_size:
            raise ValueError(f"{name} claims shape {list(shape)}, more than it holds")
