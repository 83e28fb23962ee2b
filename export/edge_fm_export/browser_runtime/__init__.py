"""ONNX Runtime Web, which runs models in browsers: its package, and headless Chromium as an engine."""

from __future__ import annotations

from edge_fm_runtime.engines import Registry

BROWSER_ENGINES: Registry = {"web": "edge_fm_export.browser_runtime.browser_engine:BrowserEngine"}
"""Run web artifacts in a browser of this machine; merged with the others by the layers above."""
