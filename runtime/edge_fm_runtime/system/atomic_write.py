"""Write a file whole or not at all; an error names the file, as on a full disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Put the file's name into an OSError that has none: `write` does not know what it writes to.

    Example:
        >>> with writing(Path("table.csv")):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        OSError: [Errno 28] No space left on device: 'table.csv'
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


def write_utf8(path: Path, text: str) -> None:
    r"""Write a text as UTF-8; a byte of a file's name that is no UTF-8 stands as `\udcNN`.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


@contextmanager
def replacing(path: Path, *, mode: int | None = None, beside: str | None = None) -> Iterator[Path]:
    """Give a path in the same folder to write to; it takes the place of `path` in the end, unless an error is raised.

    Where `path` is a link, the link is replaced: a folder from elsewhere must not lead to a file outside it.

    Args:
        path: in an existing folder; an older file stays whole until it is replaced.
        mode: permissions of the new file, such as 0o600; None for the process's usual ones.
        beside: name of the temporary file; None for one of this thread's own, so that several may write at once.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp()) / "table.csv"
        >>> with replacing(table) as temporary:
        ...     _ = temporary.write_text("a,b")
        >>> [file.name for file in table.parent.iterdir()]
        ['table.csv']
    """
    temporary = path.with_name(beside or f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    with writing(path):
        try:
            temporary.unlink(missing_ok=True)  # of a process that was killed; or a link, which would be written through
            if mode is not None:
                os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode))
            yield temporary
            temporary.replace(path)
        except OSError as error:
            if error.filename == os.fspath(temporary):  # which nobody has heard of
                error.filename = os.fspath(path)
            raise
        finally:
            temporary.unlink(missing_ok=True)
