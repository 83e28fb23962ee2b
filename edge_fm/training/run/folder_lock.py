"""A folder that one process at a time writes to: a second one is refused, with the name of the first."""

from __future__ import annotations

import fcntl
import os
import platform
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from edge_fm_runtime.errors import TrainingError

LOCK_FILE = ".lock"
"""In the folder for as long as a process holds it; one that is left by a killed process locks nothing."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is missing; a killed process lets go of it.

    Raises:
        TrainingError: another process holds it, or it cannot be written to.
    """
    if folder.is_file():
        raise TrainingError(f"{folder} is a file; a run needs a folder.", hint="Name another with --out.")
    fresh = not folder.exists()
    try:
        handle = _take(folder)
    except OSError as error:
        raise TrainingError(
            f"{folder} cannot be written to: {error.strerror or error}.",
            hint="Name a folder you can write to with --out.",
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / LOCK_FILE).unlink()
        os.close(handle)
        if fresh:
            with suppress(OSError):  # something was written, as it should be
                folder.rmdir()


def _take(folder: Path) -> int:
    """Lock the folder's lock file, and write this process into it."""
    path = folder / LOCK_FILE
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            with suppress(FileNotFoundError):
                if not stat.S_ISDIR(folder.lstat().st_mode):
                    raise
            continue  # its former holder, who made the folder, removed it while it was looked at
        try:
            # A link, in a folder from elsewhere, would have another file overwritten.
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except FileNotFoundError:  # its former holder, who made the folder, removed it just now
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 200).decode("utf-8", "replace").strip()
            os.close(handle)
            raise TrainingError(
                f"{folder} is in use: {holder or 'another process'} writes to it.",
                hint="Wait until it has ended, or name another folder with --out.",
            ) from None
        except OSError:
            os.close(handle)
            raise
        if _is_at(path, handle):
            break
        os.close(handle)  # its former holder removed it while we waited
    os.ftruncate(handle, 0)
    since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    os.write(handle, f"process {os.getpid()} on {platform.node()}, since {since},\n".encode())
    return handle


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
