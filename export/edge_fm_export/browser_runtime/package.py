"""ONNX Runtime Web: which release the page takes, where its package lies on this machine, and its checked files."""

from __future__ import annotations

import base64
import hashlib
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.user_cache import cache_root, expand_home

PACKAGE = "onnxruntime-web"
VERSION = "1.30.0"
FILE_NAME = f"{PACKAGE}-{VERSION}.tgz"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package's file, as the npm registry publishes it (Subresource Integrity, W3C)."""
BYTES = 33_106_585
LICENCE = "MIT"
ENVIRONMENT = "EDGEFM_WEB_RUNTIME"
CACHE_FOLDER = "onnxruntime-web"

WASM = "ort-wasm-simd-threaded"
WEBGPU = "ort-wasm-simd-threaded.asyncify"
CPU_FILES: Mapping[str, str] = {
    "ort.wasm.min.mjs": "ort.wasm.min.js",
    f"{WASM}.mjs": f"{WASM}.js",
    f"{WASM}.wasm": f"{WASM}.wasm",
}
"""Name in the package's `dist` -> name in the page's `ort`: `.js`, as some hosts do not know `.mjs` as JavaScript."""
WEBGPU_FILES: Mapping[str, str] = {
    "ort.webgpu.min.mjs": "ort.webgpu.min.js",
    f"{WEBGPU}.mjs": f"{WEBGPU}.js",
    f"{WEBGPU}.wasm": f"{WEBGPU}.wasm",
}
HOW_TO_SUPPLY = (
    f"Fetch it elsewhere (npm pack {PACKAGE}@{VERSION}) and give the file: --web-runtime {FILE_NAME}, or name it in "
    f"{ENVIRONMENT}."
)


@dataclass(frozen=True, eq=False)
class WebRuntime:
    """ONNX Runtime Web's files.

    Attributes:
        version: of the release.
        files: bytes by their names in the page's folder `ort`.
    """

    version: str
    files: Mapping[str, bytes]


def cached_file() -> Path | None:
    """Where the package is kept in the user's cache folder; None for a user without one."""
    root = cache_root()
    return None if root is None else root / CACHE_FOLDER / FILE_NAME


def find_package() -> Path | None:
    """The package's file on this machine: what `EDGEFM_WEB_RUNTIME` names, else the one in the cache; None without."""
    if given := os.environ.get(ENVIRONMENT):
        return expand_home(given)
    kept = cached_file()
    return kept if kept is not None and kept.is_file() else None


def is_package(content: bytes) -> bool:
    """Whether these are the bytes of the release that this edge-fm takes."""
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode() == INTEGRITY


def read_package(path: Path) -> WebRuntime:
    """Check the package's file and read what a page needs.

    Raises:
        ExportError: it cannot be read, or is not the release that this edge-fm takes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"{path} cannot be read: {error.strerror or error}.", hint=HOW_TO_SUPPLY) from error
    if not is_package(content):
        raise ExportError(
            f"{path} ({len(content):,} bytes) is not {FILE_NAME} of the npm registry: its SHA-512 is another.",
            hint=HOW_TO_SUPPLY,
        )
    names = {**CPU_FILES, **WEBGPU_FILES}
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            folder, _, name = member.name.rpartition("/")
            stream = archive.extractfile(member) if folder == "package/dist" and name in names else None
            if stream is not None:
                files[names[name]] = stream.read()
    return WebRuntime(VERSION, files)
