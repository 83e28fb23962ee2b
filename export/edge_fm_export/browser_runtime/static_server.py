"""Serve an artifact's folder to a browser on this machine alone, as a static host would."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, dump_metadata

ISOLATION: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
"""Headers with which a browser gives a page threads (HTML standard: cross-origin isolation)."""
_TYPES = {
    ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".json": "application/json", ".wasm": "application/wasm", ".svg": "image/svg+xml",
}  # fmt: skip


class StaticServer:
    """Serves files on a free port of 127.0.0.1 until it is closed; the files are those that edgefm.json lists.

    Args:
        artifact: of format "web"; where a signature was required, its checked bytes are served.
        isolated: send the headers with which pages get threads.
    """

    def __init__(self, artifact: Artifact, *, isolated: bool = True) -> None:
        names = set(artifact.metadata.files)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = unquote(urlsplit(self.path).path).lstrip("/") or "index.html"
                if name == METADATA_FILE:
                    content: bytes | None = dump_metadata(artifact.metadata).encode()
                else:
                    content = _content(artifact, name) if name in names else None
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Type", _TYPES.get(Path(name).suffix, "application/octet-stream"))
                self.send_header("Content-Length", str(len(content or b"")))
                for header, value in ISOLATION.items() if isolated else ():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="edgefm-page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _content(artifact: Artifact, name: str) -> bytes | None:
    checked = artifact.content(name)
    if checked is not None:
        return checked
    try:
        return (artifact.path / name).read_bytes()
    except OSError:
        return None
