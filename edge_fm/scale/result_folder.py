"""A local folder of results: files that are whole or not there, and a manifest that every process of a job obeys."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_fm.scale.manifest import MANIFEST_FILE, Manifest
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.atomic_write import replacing, writing


class ResultFolder:
    """A folder that several processes write files of results to.

    Args:
        path: made where it is missing.

    Raises:
        DataError: it is a file.
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise DataError(
                f"{path} is a file, or lies in one; results are written to a folder.", hint="Name another with --out."
            ) from error

    def agree(self, manifest: Manifest) -> bool:
        """Write the manifest, or hold it against the one that is there; True where this process wrote it.

        Raises:
            DataError: the results there were made in another way, or the folder holds other things.
        """
        file, written = self.path / MANIFEST_FILE, False
        if not file.exists():
            if not self._is_new() and not file.exists():  # which another process wrote meanwhile
                raise DataError(
                    f"{self.path} holds other files, and no {MANIFEST_FILE} of earlier results.",
                    hint="Name a new folder with --out.",
                )
            temporary = self.path / f".{MANIFEST_FILE}.{secrets.token_hex(4)}.tmp"
            with writing(file):
                try:
                    temporary.write_bytes(manifest.encode())
                    # Of processes that begin at once the first one writes it; the others read what it wrote.
                    with suppress(FileExistsError):
                        os.link(temporary, file)
                        written = True
                finally:
                    temporary.unlink(missing_ok=True)
        manifest.require_same(file.read_bytes(), str(self.path))
        return written

    def discard(self) -> None:
        """Remove the manifest and the locks, and the folder where this object made it and nothing else is there."""
        for name in (MANIFEST_FILE, *self.names(".")):
            if name == MANIFEST_FILE or name.endswith(".lock"):
                (self.path / name).unlink(missing_ok=True)
        if self._made:
            with suppress(OSError):
                self.path.rmdir()

    def _is_new(self) -> bool:
        """Whether nothing is there but what another process of the same job is about to write."""
        return all(name.startswith(".") or name == MANIFEST_FILE for name in os.listdir(self.path))  # noqa: PTH208

    def names(self, prefix: str) -> list[str]:
        """Files of results whose names begin so, in order."""
        return sorted(name for name in os.listdir(self.path) if name.startswith(prefix))  # noqa: PTH208

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole; one of this name is replaced."""
        # Always the same temporary name: what a killed process left is overwritten by the next attempt.
        with replacing(self.path / name, beside=f".{name}.tmp") as temporary, temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Hold a part of the folder for this process; a process that dies lets go of it.

        Args:
            name: of the part; a file `.<name>.lock` stands for it.

        Raises:
            DataError: another process holds it.
        """
        path = self.path / f".{name}.lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise DataError(
                f"Another process classifies {name.replace('-', ' ')} into {self.path} at this moment.",
                hint="Wait until it has ended, or give this one another shard.",
            ) from None
        finally:
            os.close(handle)
