"""What a video may be read from, and the error for what is none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from PIL import Image

from edge_fm_runtime.errors import VideoError
from edge_fm_runtime.streams.source import parse_source, why_unreachable


def test_files_pipes_and_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a:b.mp4", "two\nlines.mp4", "0", "rtsp:x"):
        Path(name).write_bytes(b"RIFF....AVI ")
        source = parse_source(name)
        assert (source.kind, source.url, source.name, source.live) == ("file", f"file:{name}", name, False)
        assert source.options["protocol_whitelist"] == "file"  # a playlist in it reaches no network
    os.mkfifo("fifo")
    assert parse_source("fifo").kind == parse_source(Path("fifo")).kind == "pipe"
    camera = parse_source("/dev/null")  # a device; whether it is a camera shows when it is opened
    assert (camera.kind, camera.format, camera.live) == ("camera", "v4l2", True)
    stream = parse_source("RTSP://host/a?channel=1")
    assert (stream.kind, stream.url, stream.live) == ("network", "rtsp://host/a?channel=1", True)
    assert parse_source("https://host/live.m3u8").live is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://user:secret@host:8554/a", "rtsp://host:8554/a"),
        ("rtsp://us@er:sec@ret@host/a", "rtsp://host/a"),
        ("http://host/a?channel=1&password=secret&x=2", "http://host/a?channel=1&password=***&x=2"),
        ("http://host/a?user=u&pwd=secret", "http://host/a?user=u&pwd=***"),
        ("http://host/a?api_key=secret", "http://host/a?api_key=***"),
    ],
)
def test_passwords_are_never_shown(address: str, name: str) -> None:
    assert parse_source(address).name == name


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("", "is empty", "camera"),
        ("missing.mp4", "missing.mp4 does not exist", "Check the path"),
        ("clips/*.mp4", "does not exist", "a pattern is not taken"),
        ("987", "/dev/video987 does not exist", ""),
        (".", ". is a folder", "Name one video"),
        ("empty.mp4", "is empty (0 bytes)", "Copy the video again"),
        ("photo.mp4", "is a JPEG photo, not a video", "without --video"),
        ("a\0b", "cannot be opened", "Check the path"),
        ("x" * 5000, "cannot be opened", "Check the path"),
        ("foo://host/a", "foo:// is not a protocol", "rtsp://"),
        ("file:///etc/passwd", "file:// is not a protocol", "rtsp://"),
        ("concat://a|b", "concat:// is not a protocol", "rtsp://"),
        ("rtsp://", "names no server", "rtsp://"),
        ("rtsp://host:99999/a", "is not an address", "rtsp://"),
        ("rtsp://user:secret@[::1/a", "is not an address", "rtsp://"),
    ],
)
def test_what_is_no_source(
    given: str, message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.mp4").touch()
    Image.new("RGB", (8, 8)).save("photo.mp4", "JPEG")
    with pytest.raises(VideoError) as raised:
        parse_source(given)
    assert message in raised.value.message and hint in str(raised.value.hint)
    assert "secret" not in str(raised.value) and len(raised.value.message) < 400


def test_a_socket_is_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(VideoError, match="is a socket"):
            parse_source("socket")


def test_why_a_server_is_not_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert why_unreachable(f"rtsp://127.0.0.1:{port}/a", 1) is None
    assert why_unreachable(f"rtsp://127.0.0.1:{port}/a", 1) == "Connection refused"
    assert why_unreachable("udp://127.0.0.1:9", 1) is None
