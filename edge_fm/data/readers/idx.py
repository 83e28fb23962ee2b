"""The IDX format of MNIST and its kin: a magic number, the sizes, then the values, big-endian."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.data.memory import require_memory
from edge_fm_runtime.errors import DataError

_DTYPES: dict[int, str] = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 4
_MAX_BYTES = 16 << 30


def parse_idx(content: bytes, *, where: str) -> npt.NDArray[Any]:
    """Read an IDX file's bytes.

    Args:
        content: unpacked bytes.
        where: the file, for messages.

    Returns:
        A read-only view of `content`, in the shape and dtype that it names.

    Raises:
        DataError: a wrong magic number, or more or fewer bytes than the sizes say.

    Example:
        >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), where="labels").tolist()
        [7, 9]
    """
    dtype, shape, start = _header(content, where)
    expected = math.prod(shape) * dtype.itemsize
    if len(content) - start != expected:
        raise DataError(
            f"{where} declares {list(shape)} values of {dtype.name}, {expected} bytes, but has "
            f"{'more' if len(content) - start > expected else len(content) - start}.",
            hint="It was cut short or changed on its way: copy or download it again.",
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _header(content: bytes, where: str) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    if not content:
        raise DataError(f"{where} is empty (0 bytes).", hint="Copy or download it again.")
    magic = content[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not 1 <= magic[3] <= _MAX_DIMENSIONS:
        raise DataError(
            f"{where} is not an IDX file: it begins with {magic.hex(' ')}; supported are 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in _DTYPES)}) and 1 to {_MAX_DIMENSIONS} dimensions.",
        )
    start = 4 + 4 * magic[3]
    if len(content) < start:
        raise DataError(f"{where} is cut short: its header has {len(content)} of {start} bytes.")
    return np.dtype(_DTYPES[magic[2]]), struct.unpack(f">{magic[3]}I", content[4:start]), start


def read_idx(path: Path) -> npt.NDArray[Any]:
    """Read an IDX file, unpacked or gzip; see `parse_idx`."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            head = stream.read(4 + 4 * _MAX_DIMENSIONS)
            dtype, shape, start = _header(head, str(path))
            expected = start + math.prod(shape) * dtype.itemsize
            if expected > _MAX_BYTES:
                raise DataError(
                    f"{path} declares {list(shape)} values of {dtype.name}; at most {_MAX_BYTES >> 30} GiB are read."
                )
            require_memory(expected, str(path))
            # One byte more than the header says is enough to know, whatever else a hostile gzip unpacks to.
            size = max(0, expected - len(head)) + 1
            content = head + stream.read(size if packed else min(size, path.stat().st_size))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Copy or download it again.") from error
    return parse_idx(content, where=str(path))


def is_idx(path: Path) -> bool:
    """Whether a file begins like IDX, unpacked or gzip."""
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            magic = stream.read(4)
    except (OSError, EOFError, zlib.error):
        return False
    return len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _DTYPES and 1 <= magic[3] <= _MAX_DIMENSIONS
