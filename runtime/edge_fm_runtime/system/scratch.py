"""Scratch folders that are gone when the process ends, even where a signal arrives while one is made or removed."""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_open: set[Path] = set()


@contextmanager
def scratch_folder(prefix: str = "edgefm-", *, parent: Path | None = None) -> Iterator[Path]:
    """Give a new folder that only this user may enter, and remove it in the end.

    Args:
        prefix: what its name begins with.
        parent: where it lies; None for the system's folder for temporary files.

    Example:
        >>> with scratch_folder() as folder:
        ...     (folder / "notes.txt").touch()
        >>> folder.exists()
        False
    """
    _remove_at_exit()
    folder = (parent or Path(tempfile.gettempdir())) / f"{prefix}{secrets.token_hex(8)}"
    _open.add(folder)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _open.discard(folder)


@cache
def _remove_at_exit() -> None:
    atexit.register(_remove_all)


def _remove_all() -> None:
    for folder in _open:
        shutil.rmtree(folder, ignore_errors=True)
