"""ImageNet weights: which file, from where, into which cache; and what is said when it does not come."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge_fm.models.architectures.backbones import BACKBONES, WeightsFile, imagenet_file
from edge_fm.models.published_weights import cached_path, fetch_weights
from edge_fm_runtime.errors import ModelError

CONTENT = b"weights " * 1000


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "w.h5").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "keras-home"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    return home


class Asked(Exception):
    pass


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("mobilenet", {"alpha": 1.0}, 128),
        ("mobilenet", {"alpha": 0.75}, 160),
        ("mobilenet", {"alpha": 0.5}, 192),
        ("mobilenet", {"alpha": 0.25}, 224),
        ("mobilenet-v2", {"alpha": 0.35}, 96),
        ("mobilenet-v2", {"alpha": 1.0}, 128),
        ("mobilenet-v2", {"alpha": 1.4}, 224),
        ("resnet50", {}, 32),
        ("resnet152-v2", {}, 32),
        ("vgg16", {}, 32),
        ("vgg19", {}, 32),
    ],
)
def test_keras_asks_for_the_same_file(
    name: str, options: dict[str, float], shape: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    from keras.src.utils import file_utils

    asked: dict[str, Any] = {}

    def get_file(fname: str, origin: str, **others: Any) -> str:
        asked.update(others, fname=fname, origin=origin)
        raise Asked

    monkeypatch.setattr(file_utils, "get_file", get_file)
    application = BACKBONES[name].application
    assert application is not None
    with pytest.raises(Asked):
        getattr(keras.applications, application)(
            weights="imagenet", include_top=False, input_shape=(shape, shape, 3), **options
        )
    file = imagenet_file(name, side=shape, **options)
    assert (file.name, file.url, file.checksum) == (asked["fname"], asked["origin"], asked.get("file_hash") or "")
    assert asked["cache_subdir"] == "models"


def test_another_side_takes_the_largest_mobilenet() -> None:
    assert imagenet_file("mobilenet-v2", side=100, alpha=0.5).name.endswith("_0.5_224_no_top.h5")


def test_an_alpha_without_weights() -> None:
    with pytest.raises(ModelError, match=r"0\.25, 0\.5, 0\.75, 1\.0; got 0\.35"):
        imagenet_file("mobilenet", side=128, alpha=0.35)


def test_a_file_is_fetched_once_and_stdout_stays_clean(server: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = WeightsFile(f"{server}/w.h5", "w.h5", hashlib.md5(CONTENT).hexdigest())
    path = fetch_weights(file)
    assert path == cached_path(file) and path.read_bytes() == CONTENT
    gone = WeightsFile("http://127.0.0.1:1/w.h5", "w.h5", file.checksum)
    assert fetch_weights(gone) == path
    assert capsys.readouterr().out == ""


def test_a_file_that_is_not_what_its_sum_says(server: str, keras_home: Path) -> None:
    with pytest.raises(ModelError, match="cannot be fetched"):
        fetch_weights(WeightsFile(f"{server}/w.h5", "w.h5", "0" * 32))


def test_weights_without_a_sum_that_everybody_may_write_to_are_not_believed(server: str) -> None:
    file = WeightsFile(f"{server}/w.h5", "w.h5", "")
    fetch_weights(file).chmod(0o666)
    with pytest.raises(ModelError, match="no published checksum, and everybody may write to"):
        fetch_weights(file)
    known = WeightsFile(file.url, file.name, hashlib.md5(CONTENT).hexdigest())  # its sum says what it is
    assert fetch_weights(known).read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["none.h5", "w.h5"])
def test_what_does_not_come_is_named_with_its_place(path: str, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "w.h5":  # there, but the name of the host is unknown

        def unknown(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    file = WeightsFile(f"{server}/{path}", path, "")
    with pytest.raises(ModelError) as caught:
        fetch_weights(file)
    for part in (path, server, str(cached_path(file)), "--weights FILE", "--weights none"):
        assert part in str(caught.value)
    assert ("404" if path == "none.h5" else "Name or service not known") in str(caught.value)
    assert not cached_path(file).exists()
