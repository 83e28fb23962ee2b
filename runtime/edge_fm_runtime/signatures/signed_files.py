"""The files of a signed folder: which there are, and their bytes, each read once."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge_fm_runtime.errors import ArtifactError, SignatureError
from edge_fm_runtime.system.sha256 import sha256_hex

_COPY = "Copy the artifact again from where it was signed."
_CHUNK = 1 << 20


def list_regular_files(folder: Path) -> set[str]:
    """Names of all files below `folder`, relative, POSIX style.

    Raises:
        SignatureError: there is a link, or something that is neither a file nor a folder.
        ArtifactError: a folder cannot be read.
    """
    found: set[str] = set()
    todo = [(folder, "")]
    while todo:
        place, inside = todo.pop()
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    name = inside + entry.name
                    if entry.is_dir(follow_symlinks=False):
                        todo.append((place / entry.name, f"{name}/"))
                    elif entry.is_file(follow_symlinks=False):
                        found.add(name)
                    else:
                        what = "a link" if entry.is_symlink() else "neither a file nor a folder"
                        raise SignatureError(
                            f"{folder / name} is {what}; a signature covers regular files inside the artifact.",
                            hint=_COPY,
                        )
        except OSError as error:
            raise ArtifactError(f"{place} cannot be read: {error.strerror}.", hint="Check its rights.") from error
    return found


def read_whole(file: Path, *, most: int, exact: bool = False) -> bytes:
    """Read a regular file once.

    Args:
        file: not a link.
        most: bytes.
        exact: it must have just `most` bytes.

    Raises:
        SignatureError: it is a link, no regular file, or of another size.
        ArtifactError: it cannot be read.
    """
    with _opened(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most or (exact and size != most):
            raise SignatureError(
                f"{file} is not as it was signed: it has {size} bytes, not {most}."
                if exact
                else f"{file} has {size} bytes, more than {most}.",
                hint=_COPY,
            )
        content = stream.read(most + 1)
    if len(content) != size:
        raise SignatureError(f"{file} changed while it was read.", hint="Try again.")
    return content


def sha256_of(file: Path) -> str:
    """SHA-256 (hex) of a regular file that is not kept in memory; raises as `read_whole` does."""
    with _opened(file) as stream:
        return sha256_hex(iter(lambda: stream.read(_CHUNK), b""))


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """Open a regular file; never follows a link, and never waits, as opening a FIFO would."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        # An opener: of a folder, `os.fdopen` would leave the descriptor open.
        with open(file, "rb", opener=lambda name, _: os.open(name, flags)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise SignatureError(f"{file} is not a regular file.", hint=_COPY)
            yield stream
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise SignatureError(f"{file} is a folder, not a file.", hint=_COPY) from error
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.ENOTDIR):
            raise SignatureError(f"{file} was replaced by a link or removed while it was read.", hint=_COPY) from error
        raise ArtifactError(f"{file} cannot be read: {error.strerror}.", hint="Check its rights.") from error
