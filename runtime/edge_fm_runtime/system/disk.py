"""Files that cannot be written, as on a full disk: which one it was, and nothing half written in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(path: Path, *, beside: Path | None = None) -> Iterator[None]:
    """Put the file's name into an OSError that has none: `write` does not know what it writes to.

    Args:
        path: what is written.
        beside: a temporary file that becomes `path` in the end; removed if it does not.

    Example:
        >>> with writing(Path("table.csv")):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        OSError: [Errno 28] No space left on device: 'table.csv'
    """
    try:
        yield
    except BaseException as error:
        if beside is not None:
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = os.fspath(path)
        raise
