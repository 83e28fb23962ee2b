"""Where files are fetched from: a web folder, or a package of Debian."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_fm.data.store import FileSpec, SourceFailure
from edge_fm.network import failure_reason, require_reachable
from edge_fm_runtime.progress import MessageFn, ProgressFn
from edge_fm_runtime.system.scratch import scratch_folder

_READ_S = 20.0

_CHUNK = 1 << 18
_MAX_PACKED = 1 << 30


@dataclass(frozen=True)
class WebFolder:
    """A folder on the web that holds each file as `<url>/<name>.gz`.

    Attributes:
        name: for messages.
        url: http or https, without a slash at the end.
    """

    name: str
    url: str

    def fetch(self, files: Sequence[FileSpec], folder: Path, progress: ProgressFn, note: MessageFn) -> None:
        """Download each file; see `edge_fm.data.store.Source`."""
        try:
            require_reachable(self.url)
            for spec in files:
                _download(f"{self.url}/{spec.name}.gz", folder / f"{spec.name}.gz", progress)
        except urllib.error.HTTPError as error:
            with error:
                raise SourceFailure(f"{error.url} returned {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise SourceFailure(failure_reason(error.reason)) from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceFailure(failure_reason(error)) from error


def _download(url: str, path: Path, progress: ProgressFn) -> None:
    with urllib.request.urlopen(url, timeout=_READ_S) as response, path.open("wb") as out:
        length = response.headers.get("Content-Length")
        total = int(length) if length and length.isdecimal() else None
        stage, done = f"Fetching {path.name}", 0
        progress(stage, done, total)
        while chunk := response.read(_CHUNK):
            out.write(chunk)
            done += len(chunk)
            if done > _MAX_PACKED:
                raise SourceFailure(f"{url} sends more than {_MAX_PACKED} bytes")
            progress(stage, done, total)
    if total is not None and done != total:
        raise SourceFailure(f"{url} ended after {done} of {total} bytes")


@dataclass(frozen=True)
class DebianPackage:
    """A package of Debian or Ubuntu, downloaded and unpacked without being installed; needs no root.

    Attributes:
        package: its name.
        folder: where the files lie in it, relative to the root.
    """

    package: str
    folder: str

    @property
    def name(self) -> str:
        """For messages."""
        return f"Debian's package {self.package}"

    def fetch(self, files: Sequence[FileSpec], folder: Path, progress: ProgressFn, note: MessageFn) -> None:
        """Download and unpack the package; see `edge_fm.data.store.Source`."""
        for tool in ("apt-get", "apt-cache", "dpkg"):
            if shutil.which(tool) is None:
                raise SourceFailure(f"this system has no {tool}")
        with scratch_folder("edgefm-apt-") as scratch:
            work = scratch
            options, size = self._locate(work, note)
            stage = f"Fetching {self.package}"
            progress(stage, 0, size)
            pool = work / "pool"
            pool.mkdir()
            _run(
                ["apt-get", *options, "download", self.package],
                pool,
                lambda: progress(stage, _folder_bytes(pool), size),
            )
            archive = next(pool.glob("*.deb"), None)
            if archive is None:
                raise SourceFailure("apt-get downloaded no package")
            progress(stage, archive.stat().st_size, size)
            _run(["dpkg", "-x", str(archive), str(work / "root")], work)
            for spec in files:
                for name in (spec.name, f"{spec.name}.gz"):
                    found = work / "root" / self.folder / name
                    if found.is_file():
                        shutil.copyfile(found, folder / name)

    def _locate(self, work: Path, note: MessageFn) -> tuple[list[str], int | None]:
        """Options with which apt knows the package, and the package's size."""
        options = ["-q", "-o", f"Acquire::http::Timeout={_READ_S:.0f}", "-o", "Acquire::Retries=1"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Else apt changes to its own user, which may not write into our folder, and warns about it.
            options += ["-o", "APT::Sandbox::User=root"]
        if (size := self._size(options, work)) is not None:
            return options, size
        note(f"apt does not know {self.package} yet: reading package lists (apt-get update, in a temporary folder) ...")
        for name in ("lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        options += ["-o", f"Dir::State::lists={work / 'lists'}", "-o", f"Dir::Cache={work / 'cache'}"]
        try:
            _run(["apt-get", *options, "update"], work)
        except SourceFailure as failure:
            raise SourceFailure(
                f"apt does not know the package, and apt-get update failed: {failure} (try: sudo apt-get update)"
            ) from failure
        if (size := self._size(options, work)) is None:
            raise SourceFailure("the package is in none of this system's package lists (try: sudo apt-get update)")
        return options, size

    def _size(self, options: list[str], work: Path) -> int | None:
        """Bytes to download; None where apt does not know the package."""
        try:
            shown = _run(["apt-cache", *options, "show", "--no-all-versions", self.package], work)
        except SourceFailure:
            return None
        sizes = [line.partition(":")[2].strip() for line in shown.splitlines() if line.startswith("Size:")]
        return int(sizes[0]) if sizes and sizes[0].isdecimal() else None


def _folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # apt renames what it has finished
            total += path.stat().st_size if path.is_file() else 0
    return total


def _run(command: list[str], folder: Path, tick: Callable[[], None] | None = None) -> str:
    """Run a system tool to its end; returns its stdout.

    Raises:
        SourceFailure: it could not be started, failed or took too long; the reason is its last line.
    """
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    limit = time.monotonic() + 900
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        except OSError as error:
            raise SourceFailure(f"{command[0]} cannot be started: {error.strerror}") from error
        try:
            while True:
                try:
                    code = process.wait(0.1)
                    break
                except subprocess.TimeoutExpired:
                    if tick is not None:
                        tick()
                    if time.monotonic() > limit:
                        raise SourceFailure(f"{command[0]} did not end within 15 minutes") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        err.seek(0)
        if code != 0:
            lines = err.read().decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise SourceFailure(f"{command[0]}: {lines[-1]}")
        return out.read().decode(errors="replace")
