"""Files by path or URL: local ones, and those of any file system that fsspec knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Protocol

from edge_fm.scale.addresses import is_url
from edge_fm.scale.manifest import MANIFEST_FILE, Manifest
from edge_fm.scale.result_folder import ResultFolder
from edge_fm_runtime.errors import DataError, MissingDependencyError

_PACKAGES = {"smbclient": "smbprotocol"}
"""Module -> package that brings it, where they are not called the same."""
MEMORY = "memory://"
"""fsspec's files in the memory of one process."""


class Folder(Protocol):
    """A folder of results, local or not."""

    def agree(self, manifest: Manifest) -> bool: ...
    def discard(self) -> None: ...
    def names(self, prefix: str) -> list[str]: ...
    def read(self, name: str) -> bytes: ...
    def write(self, name: str, content: bytes) -> None: ...
    def held(self, name: str) -> AbstractContextManager[None]: ...


def require_fsspec() -> Any:
    """Import and return `fsspec`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("fsspec", "scale", "--on ray") from error
    return fsspec


def require_file_system(url: str) -> None:
    """See that the package is here that fsspec needs for a URL; nothing is connected to.

    Raises:
        MissingDependencyError: it is not installed.
        DataError: fsspec knows no such file system.
    """
    fsspec = require_fsspec()
    scheme = url.partition("://")[0]
    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        missing = str(getattr(error.__cause__ or error, "name", None) or "").partition(".")[0]
        package = _PACKAGES.get(missing, missing)
        raise MissingDependencyError(
            f"{scheme}:// needs a package that is not installed: {error}",
            hint=f"pip install {package}   (on every machine)" if package else "Install it on every machine.",
        ) from error
    except ValueError as error:
        raise DataError(
            f"There is no file system {scheme}://.", hint="Known are those of fsspec, such as s3:// and gs://."
        ) from error


def file_system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it.

    Raises:
        MissingDependencyError: the package for it is not installed.
        DataError: fsspec knows no such file system, or it cannot be opened.
    """
    if is_url(url):
        require_file_system(url)
    try:
        system, path = require_fsspec().core.url_to_fs(url)
    except ValueError as error:
        raise DataError(f"{url} is not an address: {error}.", hint="Check it.") from error
    return system, path


@contextmanager
def open_url(url: str) -> Iterator[IO[bytes]]:
    """Open a file, local or not, to read its bytes."""
    system, path = file_system(url)
    with system.open(path, "rb") as stream:
        yield stream


def parent_url(url: str) -> str:
    """The folder of a file; empty for the current one."""
    return url.rpartition("/")[0]


def open_folder(where: str) -> Folder:
    """The folder of the results at a path or URL, made where it is missing."""
    return RemoteFolder(where) if is_url(where) else ResultFolder(Path(where))


class RemoteFolder:
    """A folder of results in a bucket or another file system of fsspec.

    There, a file appears when it is whole: stores of objects have no half ones.

    Args:
        url: of the folder.
    """

    def __init__(self, url: str) -> None:
        if url.startswith(MEMORY):
            raise DataError(f"{url} is in the memory of one process.", hint="Name a folder or a bucket with --out.")
        self.url = url.rstrip("/")
        self._system, self._path = file_system(self.url)
        self._system.makedirs(self._path, exist_ok=True)

    def agree(self, manifest: Manifest) -> bool:
        """Write the manifest, or hold it against the one that is there; see `ResultFolder.agree`."""
        if missing := not self._system.exists(f"{self._path}/{MANIFEST_FILE}"):
            if self.names(""):
                raise DataError(
                    f"{self.url} holds other files, and no {MANIFEST_FILE} of earlier results.",
                    hint="Name a new folder with --out.",
                )
            self.write(MANIFEST_FILE, manifest.encode())
        manifest.require_same(self.read(MANIFEST_FILE), self.url)
        return missing

    def discard(self) -> None:
        """Remove the manifest."""
        self._system.rm_file(f"{self._path}/{MANIFEST_FILE}")

    def names(self, prefix: str) -> list[str]:
        """Files whose names begin so, in order."""
        self._system.invalidate_cache()
        names = (str(path).rpartition("/")[2] for path in self._system.ls(self._path, detail=False))
        return sorted(name for name in names if name.startswith(prefix) and name)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return bytes(self._system.cat_file(f"{self._path}/{name}"))

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole; one of this name is replaced."""
        if "file" in (self._system.protocol if isinstance(self._system.protocol, tuple) else [self._system.protocol]):
            ResultFolder(Path(self._path)).write(name, content)
        else:
            self._system.pipe_file(f"{self._path}/{name}", content)

    def held(self, name: str) -> AbstractContextManager[None]:
        """Nothing: stores of objects have no locks. Two processes of one job do its work twice, and leave it once."""
        return nullcontext()
