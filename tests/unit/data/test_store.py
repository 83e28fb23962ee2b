"""Known files: fetched from real servers on this machine, checked on every use, mended, never taken from a person."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from edge_fm.data.download import DebianPackage, WebFolder
from edge_fm.data.store import FETCHED_FILE, FileSpec, Found, Source, obtain
from edge_fm_runtime.errors import DataError, DownloadError
from edge_fm_runtime.progress import silent

CONTENTS = {"images": bytes(range(256)) * 40, "labels": b"0123456789"}
FILES = [FileSpec(name, len(c), hashlib.sha256(c).hexdigest()) for name, c in CONTENTS.items()]


class _Handler(BaseHTTPRequestHandler):
    """Serves `pages`; a page of (status, body, length to claim)."""

    pages: ClassVar[dict[str, tuple[int, bytes, int]]] = {}

    def do_GET(self) -> None:
        status, body, length = self.pages.get(self.path, (404, b"", 0))
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    _Handler.pages = {}
    for name, content in CONTENTS.items():
        packed = gzip.compress(content)
        _Handler.pages[f"/good/{name}.gz"] = (200, packed, len(packed))
        _Handler.pages[f"/short/{name}.gz"] = (200, packed[:20], len(packed))
        _Handler.pages[f"/other/{name}.gz"] = (200, (other := gzip.compress(content[::-1])), len(other))
        _Handler.pages[f"/page/{name}.gz"] = (200, b"<html>please log in</html>", 26)
    bomb = gzip.compress(b"\0" * 2_000_000)
    _Handler.pages["/bomb/images.gz"] = (200, bomb, len(bomb))
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def get(folders: list[Path], *sources: Source, notes: list[str] | None = None, cache: Path | None = None) -> Found:
    notify = notes.append if notes is not None else lambda line: None
    return obtain(
        "Toys",
        FILES,
        folders,
        cache=cache or folders[-1],
        sources=lambda: sources,
        progress=silent,
        note=notify,
    )


def test_sources_are_tried_in_turn_until_one_delivers(server: str, tmp_path: Path) -> None:
    bad = [
        WebFolder("closed", f"http://127.0.0.1:{closed_port()}"),
        WebFolder("absent", f"{server}/absent"),
        WebFolder("short", f"{server}/short"),
        WebFolder("other", f"{server}/other"),
        WebFolder("page", f"{server}/page"),
        WebFolder("bomb", f"{server}/bomb"),
    ]
    notes: list[str] = []
    found = get([tmp_path / "cache"], *bad, WebFolder("good", f"{server}/good"), notes=notes)
    assert found.contents == CONTENTS
    assert {p.name: p.read_bytes() for p in found.paths.values()} == CONTENTS
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == sorted([*CONTENTS, FETCHED_FILE])
    assert json.loads((tmp_path / "cache" / FETCHED_FILE).read_text())["from"] == "good"
    text = "\n".join(notes)
    for reason in ("404", "ended after 20 of", "SHA-256", "cannot be read", "Connection refused", "Got Toys from good"):
        assert reason in text, text


def test_when_nothing_delivers_all_reasons_and_the_way_by_hand_are_said(server: str, tmp_path: Path) -> None:
    sources = [WebFolder("closed", f"http://127.0.0.1:{closed_port()}"), WebFolder("absent", f"{server}/absent")]
    with pytest.raises(DownloadError) as caught:
        get([tmp_path / "cache"], *sources)
    text = str(caught.value)
    for part in ("closed: Connection refused", "absent: ", "404", str(tmp_path / "cache"), "EDGEFM_DATA"):
        assert part in text
    assert all(spec.sha256 in text and spec.name in text for spec in FILES)
    assert not list((tmp_path / "cache").iterdir())


def test_what_is_there_is_used_without_any_source(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(CONTENTS["images"])
    (tmp_path / "labels.gz").write_bytes(gzip.compress(CONTENTS["labels"]))
    found = get([tmp_path])
    assert found.contents == CONTENTS and found.paths["labels"] == tmp_path / "labels.gz"


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "remove"])
def test_a_damaged_cache_is_noticed_and_mended(server: str, tmp_path: Path, change: str) -> None:
    good = WebFolder("good", f"{server}/good")
    path = get([tmp_path], good).paths["images"]
    content = path.read_bytes()
    if change == "remove":
        path.unlink()
    else:
        flipped = content[:77] + bytes([content[77] ^ 1]) + content[78:]
        path.write_bytes({"flip": flipped, "cut": content[:-1], "empty": b""}[change])
    notes: list[str] = []
    assert get([tmp_path], good, notes=notes).contents == CONTENTS
    assert path.read_bytes() == content
    assert (str(path) in " ".join(notes)) == (change != "remove")


def test_a_damaged_cache_that_cannot_be_mended_is_an_error(server: str, tmp_path: Path) -> None:
    path = get([tmp_path], WebFolder("good", f"{server}/good")).paths["images"]
    path.write_bytes(b"x" * len(CONTENTS["images"]))
    with pytest.raises(DownloadError):
        get([tmp_path])
    assert path.read_bytes() == b"x" * len(CONTENTS["images"])


def test_files_put_there_by_hand_are_never_replaced(server: str, tmp_path: Path) -> None:
    mine, good = tmp_path / "mine", WebFolder("good", f"{server}/good")
    mine.mkdir()
    (mine / "labels.gz").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"labels\.gz[\s\S]*left alone") as caught:
        get([mine, tmp_path / "cache"], good)
    assert not isinstance(caught.value, DownloadError)
    assert (mine / "labels.gz").read_bytes() == b"mine" and [p.name for p in mine.iterdir()] == ["labels.gz"]


def test_files_fetched_into_a_persons_folder_are_mended_there(server: str, tmp_path: Path) -> None:
    mine, good = tmp_path / "mine", WebFolder("good", f"{server}/good")
    path = get([mine, tmp_path / "cache"], good).paths["images"]
    assert path.parent == mine
    path.write_bytes(b"x")
    assert get([mine, tmp_path / "cache"], good).contents == CONTENTS
    assert path.read_bytes() == CONTENTS["images"]


def test_what_is_missing_beside_files_of_a_person_is_added(server: str, tmp_path: Path) -> None:
    (tmp_path / "labels.gz").write_bytes(gzip.compress(CONTENTS["labels"]))
    found = get([tmp_path, tmp_path / "cache"], WebFolder("good", f"{server}/good"))
    assert found.paths == {"labels": tmp_path / "labels.gz", "images": tmp_path / "images"}
    assert json.loads((tmp_path / FETCHED_FILE).read_text())["files"] == ["images"]


def test_a_full_cache_serves_an_empty_folder(server: str, tmp_path: Path) -> None:
    get([tmp_path / "cache"], WebFolder("good", f"{server}/good"))
    assert get([tmp_path / "mine", tmp_path / "cache"]).folder == tmp_path / "cache"


def test_a_folder_that_cannot_be_written_to_is_passed_over(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")  # a folder below a file can be made by nobody, not even root
    notes: list[str] = []
    blocked = tmp_path / "file" / "data"
    found = get([blocked, tmp_path / "cache"], WebFolder("good", f"{server}/good"), notes=notes)
    assert found.folder == tmp_path / "cache" and any(str(blocked) in note for note in notes)
    with pytest.raises(DataError, match="no folder to keep Toys"):
        get([blocked])


def test_a_silent_host_costs_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as sock:
        # A full backlog drops further connections, as a firewall does.
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        port = sock.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            with pytest.raises(DownloadError, match="silent: no response within 3 s"):
                get([tmp_path], WebFolder("silent", f"http://127.0.0.1:{port}"))
        finally:
            for filler in fillers:
                filler.close()


def test_a_system_without_apt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(DownloadError, match="Debian's package toys: this system has no apt-get"):
        get([tmp_path / "cache"], DebianPackage("toys", "usr/share/toys"))
