"""What tests of the web format share: a stand-in for ONNX Runtime Web, and the real one where it can be had."""

from __future__ import annotations

import base64
import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from headless_browser import Page

from edge_fm_export.browser_runtime.package import CPU_FILES, WEBGPU_FILES, WebRuntime, find_package
from edge_fm_export.targets import Target
from edge_fm_export.web.repackage import web_from_onnx
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DownloadError, ExportError

STAND_IN = WebRuntime("0.0.0", {name: b"stand-in" for name in (*CPU_FILES.values(), *WEBGPU_FILES.values())})
"""Writes a page that cannot run."""


@functools.cache
def _obtained() -> WebRuntime | str:
    from edge_fm.web_runtime import obtain_web_runtime

    try:
        return obtain_web_runtime(None, progress=lambda *_: None, note=lambda _: None)
    except (DownloadError, ExportError) as error:
        return str(error)


def real_runtime() -> WebRuntime:
    """ONNX Runtime Web of this machine, fetched once into the user's cache; skips the test where it cannot be had."""
    found = _obtained()
    if isinstance(found, str):
        pytest.skip(f"needs ONNX Runtime Web: {found}")
    return found


def package_file() -> str:
    """Path of the npm package on this machine, once `real_runtime` has found it."""
    real_runtime()
    return str(find_package())


def make_page(artifact: Artifact, folder: Path, runtime: WebRuntime, **changes: Any) -> Artifact:
    """The page of an ONNX artifact in `folder`, with fields of its metadata replaced first."""
    changed = replace(artifact, metadata=replace(artifact.metadata, **changes))
    target = Target("web", changed.metadata.precision)
    report = web_from_onnx(changed, target, folder, runtime=runtime)
    return load_artifact(report.results[0].path)


def start_page(page: Page, address: str, **options: Any) -> None:
    """Open a page and wait until its model is loaded."""
    page.open(address, **options)
    page.wait("document.body.dataset.ready || document.getElementById('error').textContent")


def canvas_of(page: Page, content: bytes, shape: tuple[int, ...], spec: PhotoSpec) -> npt.NDArray[np.uint8] | str:
    """What the page's photo step makes of the bytes of a file: pixels, or the message of its refusal."""
    described = json.dumps({"mode": spec.mode, "background": spec.background, "fill": spec.fill})
    packed = base64.b64encode(content).decode()
    found = page.run(f"""import("/photo/photo.js").then((module) => module.loadCanvas(
        Uint8Array.from(atob("{packed}"), (one) => one.charCodeAt(0)), {list(shape)}, {described}))
      .then((pixels) => {{
        let text = "";
        for (let at = 0; at < pixels.length; at += 8192) text += String.fromCharCode(...pixels.subarray(at, at + 8192));
        return btoa(text);
      }}).catch((error) => `!${{error.name}}: ${{error.message}}`)""")
    return str(found) if found.startswith("!") else np.frombuffer(base64.b64decode(found), np.uint8).reshape(shape)
