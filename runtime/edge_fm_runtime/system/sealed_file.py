"""Files of the cache that end in their own SHA-256: a damaged one is noticed and made again, never used."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.user_cache import why_untrusted

_MARK = b"edgefm-sha256\0"
_SEAL_BYTES = len(_MARK) + hashlib.sha256().digest_size
_CHUNK = 1 << 20


def write_sealed(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file and its seal, whole or not at all; readable by this user alone.

    Args:
        path: in an existing folder; an older file is replaced.
        write: writes the content to a file that is open in binary mode.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path, mode=0o600) as temporary, temporary.open("w+b") as file:
        write(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").digest()
        file.seek(0, os.SEEK_END)
        file.write(_MARK + digest)


def why_damaged(path: Path) -> str | None:
    """Why a sealed file must not be used: another user's, or not what its seal states; None if it is whole.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return f"{path} is not a regular file"
    if (reason := why_untrusted(path, group=True)) is not None:
        return reason
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - _SEAL_BYTES
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
        sealed = file.read(_SEAL_BYTES) == _MARK + digest.digest()
    return None if sealed else f"{path} is damaged: its SHA-256 is not the one that it was stored with"


def read_sealed(path: Path) -> bytes | None:
    """The content of a sealed file; None where its seal does not hold, or where others may write to it.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
    """
    if why_untrusted(path, group=True) is not None:
        return None
    # O_NONBLOCK: opening a FIFO would wait for somebody to write to it.
    with os.fdopen(
        os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
    ) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return None
        whole = file.read()
    content, seal = whole[:-_SEAL_BYTES], whole[-_SEAL_BYTES:]
    return content if seal == _MARK + hashlib.sha256(content).digest() else None
