"""ONNX Runtime Web's package: found, fetched once, checked, and errors that say how to supply it."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge_fm.web_runtime import obtain_web_runtime
from edge_fm_export.browser_runtime import package
from edge_fm_runtime.errors import DownloadError, ExportError
from edge_fm_runtime.progress import silent


def made_up() -> bytes:
    """A package with the names of the real one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name in ("package/package.json", *(f"package/dist/{n}" for n in package.CPU_FILES | package.WEBGPU_FILES)):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
    return stream.getvalue()


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> bytes:
    """The bytes of a made-up package, the pinned one; the cache is empty, no package is named, npm is absent."""
    found = made_up()
    digest = base64.b64encode(hashlib.sha512(found).digest()).decode()
    monkeypatch.setattr(package, "INTEGRITY", f"sha512-{digest}")
    monkeypatch.setattr("edge_fm.web_runtime.shutil.which", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(package.ENVIRONMENT, raising=False)
    return found


@pytest.fixture
def registry(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A registry that delivers it; the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            there = self.path.endswith(package.FILE_NAME)
            self.send_response(200 if there else 404)
            self.end_headers()
            self.wfile.write(content if there else b"")

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/npm/")
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def obtain(given: Path | None = None, notes: list[str] | None = None) -> package.WebRuntime:
    return obtain_web_runtime(given, progress=silent, note=(notes if notes is not None else []).append)


def test_it_is_fetched_once_and_kept(registry: list[str]) -> None:
    notes: list[str] = []
    runtime = obtain(notes=notes)
    assert runtime.files["ort.wasm.min.js"] == b"package/dist/ort.wasm.min.mjs"
    assert set(runtime.files) == {*package.CPU_FILES.values(), *package.WEBGPU_FILES.values()}
    assert "127.0.0.1" in notes[0] and "33 MB, once" in notes[0]
    assert obtain().files == runtime.files
    assert registry == [f"/npm/onnxruntime-web/-/{package.FILE_NAME}"]


def test_a_damaged_copy_is_fetched_again(registry: list[str]) -> None:
    obtain()
    kept = package.cached_file()
    assert kept is not None
    kept.write_bytes(kept.read_bytes()[:-1])
    obtain()
    assert len(registry) == 2


def test_another_content_is_refused_and_not_kept(registry: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "INTEGRITY", "sha512-other")
    with pytest.raises(DownloadError, match=r"another SHA-512") as caught:
        obtain()
    assert "--web-runtime" in str(caught.value)
    kept = package.cached_file()
    assert kept is not None and not kept.exists() and not list(kept.parent.iterdir())


def test_a_registry_that_is_not_there_says_how_to_supply_it(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match="cannot be fetched") as caught:
        obtain()
    assert package.ENVIRONMENT in str(caught.value) and "npm pack onnxruntime-web@" in str(caught.value)
    monkeypatch.setenv("npm_config_registry", "file:///etc")
    with pytest.raises(DownloadError, match="no http or https address"):
        obtain()


def test_without_npm_and_a_registry_it_says_what_to_install(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DownloadError, match="npm is not installed") as caught:
        obtain()
    assert "npm_config_registry=URL" in str(caught.value) and "--web-runtime" in str(caught.value)


def test_a_file_that_is_given_is_checked(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "package.tgz"
    file.write_bytes(content)
    assert obtain(file).version == package.VERSION
    monkeypatch.setenv(package.ENVIRONMENT, str(file))
    assert obtain().version == package.VERSION
    file.write_bytes(content + b"more")
    with pytest.raises(ExportError, match="its SHA-512 is another"):
        obtain()
    with pytest.raises(ExportError, match="cannot be read"):
        obtain(tmp_path)
    with pytest.raises(ExportError, match="cannot be read"):
        obtain(tmp_path / "absent")
