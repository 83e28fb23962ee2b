"""ONNX Runtime Web's package: found on this machine, or fetched once through npm and checked."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from edge_fm.network import failure_reason, require_reachable
from edge_fm_export.browser_runtime.package import (
    BYTES,
    CACHE_FOLDER,
    FILE_NAME,
    HOW_TO_SUPPLY,
    PACKAGE,
    VERSION,
    WebRuntime,
    cached_file,
    find_package,
    is_package,
    read_package,
)
from edge_fm_runtime.errors import DownloadError
from edge_fm_runtime.progress import MessageFn, ProgressFn
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.scratch import scratch_folder
from edge_fm_runtime.system.user_cache import expand_home, own_folder

REGISTRY_VARIABLE = "npm_config_registry"
"""npm's own variable for its registry; with it, the package is fetched where npm is not installed, too."""
_TIMEOUT_S = 30.0
_NPM_S = 300.0
_CHUNK = 1 << 18


class _NotFetchedError(Exception):
    """A source could not deliver; the text is the reason."""


def obtain_web_runtime(given: str | Path | None, *, progress: ProgressFn, note: MessageFn) -> WebRuntime:
    """Read ONNX Runtime Web's files, which are fetched where they are not on this machine.

    Args:
        given: the package's file; None for the one that `EDGEFM_WEB_RUNTIME` names, else the one in the cache folder,
            where it is put once it was fetched.
        progress: called with bytes.
        note: called with what is fetched.

    Raises:
        ExportError: the file is not the release that this edge-fm takes.
        DownloadError: it is not here, and no source delivers it.
    """
    path = expand_home(given) if given is not None else find_package()
    if path is not None and (path != cached_file() or _is_whole(path)):
        return read_package(path)
    folder = own_folder(CACHE_FOLDER)
    if folder is not None:
        return read_package(_fetched(folder, progress, note))
    with scratch_folder() as scratch:
        note(f"There is no cache folder to keep {FILE_NAME} in: it will be fetched again. Or: {HOW_TO_SUPPLY}")
        return read_package(_fetched(scratch, progress, note))


def _is_whole(path: Path) -> bool:
    try:
        return is_package(path.read_bytes())
    except OSError:
        return False


def _fetched(folder: Path, progress: ProgressFn, note: MessageFn) -> Path:
    """Fetch the package into `folder`, from the registry that is named or through npm, which knows one."""
    target = folder / FILE_NAME
    sources: list[tuple[str, Callable[[Path], None]]] = []
    reasons = []
    if registry := os.environ.get(REGISTRY_VARIABLE):
        sources.append((registry.rstrip("/"), lambda file: _download(registry.rstrip("/"), file, progress)))
    if shutil.which("npm"):
        sources.append(("npm pack", _npm_pack))
    else:
        reasons.append("npm is not installed")
    for name, fetch in sources:
        note(f"Fetching {PACKAGE} {VERSION} ({BYTES / 1e6:.0f} MB, once) from {name} ...")
        try:
            with replacing(target) as file:
                fetch(file)
                if not is_package(file.read_bytes()):
                    raise _NotFetchedError("what it delivers has another SHA-512")
            return target
        except _NotFetchedError as error:
            reasons.append(f"{name}: {error}")
        except OSError as error:
            reasons.append(f"{name}: {failure_reason(error)}")
    raise DownloadError(
        f"{PACKAGE} {VERSION}, which the web format needs, cannot be fetched: {'; '.join(reasons)}.",
        hint=f"{HOW_TO_SUPPLY} Without npm, name its registry: {REGISTRY_VARIABLE}=URL.",
    )


def _download(registry: str, file: Path, progress: ProgressFn) -> None:
    url = f"{registry}/{PACKAGE}/-/{FILE_NAME}"
    if not url.startswith(("http://", "https://")):
        raise _NotFetchedError(f"{REGISTRY_VARIABLE} is no http or https address")
    try:
        require_reachable(url)
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response, file.open("wb") as out:
            done = 0
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if done > BYTES:
                    raise _NotFetchedError(f"it sends more than {BYTES} bytes")
                out.write(chunk)
                progress(f"Fetching {PACKAGE}", done, BYTES)
    except urllib.error.HTTPError as error:
        with error:
            raise _NotFetchedError(f"status {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _NotFetchedError(failure_reason(error.reason)) from error
    except (http.client.HTTPException, ValueError) as error:
        raise _NotFetchedError(failure_reason(error)) from error


def _npm_pack(file: Path) -> None:
    with scratch_folder("edgefm-npm-") as folder:
        options = (
            "--ignore-scripts",
            "--loglevel",
            "error",
            "--fetch-retries",
            "1",
            "--fetch-timeout",
            "60000",
            "--pack-destination",
            ".",
        )
        command = ["npm", "pack", f"{PACKAGE}@{VERSION}", *options]
        try:
            run = subprocess.run(
                command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=_NPM_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise _NotFetchedError(f"it did not end within {_NPM_S:.0f} s") from error
        packed = folder / FILE_NAME
        if run.returncode or not packed.is_file():
            lines = run.stderr.decode(errors="replace").strip().splitlines()
            raise _NotFetchedError(lines[-1] if lines else f"exit code {run.returncode}")
        shutil.copyfile(packed, file)
