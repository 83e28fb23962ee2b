"""The files of a page beside model, metadata and golden predictions, and the service worker that keeps them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from edge_fm_export.browser_runtime.package import CPU_FILES, WEBGPU_FILES, WebRuntime
from edge_fm_export.documents.card import CARD_FILE
from edge_fm_runtime.artifacts.files import GOLDEN_FILE, hash_file
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, Metadata

SOURCES = Path(__file__).parent / "page"
INDEX = "index.html"
WORKER = "sw.js"
MANIFEST = "manifest.json"
RUNTIME_FOLDER = "ort"
_PLACEHOLDER = '"EDGEFM_FILES"'
_LICENCE = "ort-license.txt"
_NOT_KEPT = ("edgefm.d.ts", f"{RUNTIME_FOLDER}/LICENSE")
"""What no page loads."""


def page_sources() -> dict[str, bytes]:
    """The page's own files by their names in the folder, less those that are written for each model."""
    found = {file.relative_to(SOURCES).as_posix(): file for file in sorted(SOURCES.rglob("*")) if file.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if name not in (WORKER, _LICENCE)}


def write_page(folder: Path, metadata: Metadata, runtime: WebRuntime) -> None:
    """Write the page into the folder of an artifact that is otherwise complete but for `edgefm.json`.

    int8 runs on WebAssembly alone, which has kernels for it, so its page holds no files for WebGPU.

    Args:
        folder: holds the payload, the golden predictions and the model card.
        metadata: of the artifact.
        runtime: ONNX Runtime Web's files.

    Raises:
        OSError: the folder cannot be written.
    """
    later = {} if metadata.precision == "int8" else WEBGPU_FILES
    contents = page_sources()
    for name in (*CPU_FILES.values(), *later.values()):
        contents[f"{RUNTIME_FOLDER}/{name}"] = runtime.files[name]
    contents[f"{RUNTIME_FOLDER}/LICENSE"] = (SOURCES / _LICENCE).read_bytes()
    contents[MANIFEST] = _manifest(metadata)
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    kept = [name for name in contents if name not in _NOT_KEPT]
    sums = {name: _integrity(folder / name) for name in (*kept, metadata.payload, GOLDEN_FILE, CARD_FILE)}
    large = [f"{RUNTIME_FOLDER}/{name}" for name in later.values()]
    (folder / WORKER).write_text(_worker(metadata, sums, large), encoding="utf-8")


def page_bytes(runtime: WebRuntime, *, webgpu: bool) -> int:
    """How many bytes the page adds to a model."""
    names = (*CPU_FILES.values(), *(WEBGPU_FILES.values() if webgpu else ()))
    return sum(len(runtime.files[name]) for name in names) + sum(map(len, page_sources().values()))


def _integrity(file: Path) -> str:
    return "sha256-" + base64.b64encode(bytes.fromhex(hash_file(file).sha256)).decode()


def _worker(metadata: Metadata, sums: Mapping[str, str], large: list[str]) -> str:
    """The service worker with its list of files; its version changes with any of them, and with the metadata."""
    text = (SOURCES / WORKER).read_text(encoding="utf-8")
    described = json.dumps([metadata.to_json(), sums, text], sort_keys=True)
    files = {name: value for name, value in sorted(sums.items()) if name not in large}
    listed = {
        "version": hashlib.sha256(described.encode()).hexdigest()[:16],
        # Its own hash stands in edgefm.json, so that file has none here.
        "files": {**files, METADATA_FILE: ""},
        "later": {name: sums[name] for name in large},
    }
    return text.replace(_PLACEHOLDER, json.dumps(listed, indent=2))


def _manifest(metadata: Metadata) -> bytes:
    """The web app manifest (W3C), with which browsers install the page."""
    content = {
        "name": metadata.name,
        "short_name": (metadata.source or {}).get("name") or metadata.name,
        "description": "Classifies photos in the browser.",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#ffffff",
        "theme_color": "#2f6fd0",
        "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}],
    }
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
