"""What `--video` may name: a file, a pipe, a camera or a network stream, and how FFmpeg is to open it."""

from __future__ import annotations

import os
import re
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from edge_fm_runtime.errors import VideoError
from edge_fm_runtime.photos.file import shown_name, sniff

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}
"""Protocols over TCP, and their ports."""
_DATAGRAMS = ("udp", "rtp", "srt")
SCHEMES = (*_PORTS, *_DATAGRAMS)
_OVER_NETWORK = "rtsp,rtsps,rtp,rtcp,srtp,udp,tcp,tls,http,https,httpproxy,rtmp,rtmps,srt,crypto,data"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SECRET = re.compile(r"(?i)\b(pass\w*|pwd|token|auth\w*|\w*key|secret)=[^&]*")
_HINT = f"Name a video file, a camera (/dev/video0), - for stdin, or a stream ({'://, '.join(SCHEMES)}://)."
_EXAMPLE = "Such as rtsp://camera.local:554/stream"


@dataclass(frozen=True)
class VideoSource:
    """What is opened.

    Attributes:
        kind: file, pipe (stdin and FIFOs), camera or network.
        url: as FFmpeg takes it.
        name: as it can be shown: a network address without user, password and keys.
        live: whether frames come as they happen, however late the reader is; None where that shows once it is open.
        format: FFmpeg's name of how it is read; None to find out.
        options: for FFmpeg.
    """

    kind: Literal["file", "pipe", "camera", "network"]
    url: str
    name: str
    live: bool | None = False
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def parse_source(given: str | os.PathLike[str]) -> VideoSource:
    """Find out what a video is read from.

    Args:
        given: path of a file or a FIFO, `-` for stdin, a camera's device or its number, or the address of a stream.

    Raises:
        VideoError: there is no such thing, or it is no video source.
    """
    text = os.fspath(given)
    if not text:
        raise VideoError("The name of the video is empty.", hint=_HINT)
    if text == "-":
        if os.isatty(0):
            raise VideoError("- reads a video from stdin, which is a terminal.", hint="Pipe one into it.")
        return VideoSource("pipe", "pipe:0", "-", options={"protocol_whitelist": "pipe"})
    if match := _SCHEME.match(text):
        return _network(text, match[1].lower())
    path = f"/dev/video{text}" if text.isascii() and text.isdigit() and not os.path.lexists(text) else text
    shown = shown_name(path)
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError as error:
        raise VideoError(f"{shown} does not exist.", hint=_missing(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise VideoError(f"{shown} cannot be opened: {reason}.", hint="Check the path and its rights.") from error
    if stat.S_ISDIR(mode):
        raise VideoError(f"{shown} is a folder, not a video.", hint="Name one video in it.")
    if stat.S_ISCHR(mode):
        return VideoSource("camera", path, path, live=True, format="v4l2")
    if stat.S_ISREG(mode):
        _check_file(path, shown)
    elif not stat.S_ISFIFO(mode):
        raise VideoError(f"{shown} is a socket or a block device, not a video.", hint=_HINT)
    # The prefix: a name with a colon would be taken for an address.
    kind: Literal["file", "pipe"] = "file" if stat.S_ISREG(mode) else "pipe"
    return VideoSource(kind, f"file:{path}", path, options={"protocol_whitelist": "file"})


def why_unreachable(url: str, timeout_s: float) -> str | None:
    """Why the server of a stream cannot be reached; None where it can, or where asking costs no connection.

    FFmpeg gives "Invalid data" or "Input/output error" for a server that does not exist.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or parts.hostname is None:
        return None
    try:
        socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), timeout_s).close()
    except OSError as error:
        return f"no connection within {timeout_s:g} s" if isinstance(error, TimeoutError) else error.strerror
    return None


def _network(text: str, scheme: str) -> VideoSource:
    name = _masked(text)
    try:
        parts = urlsplit(text)
        host = parts.hostname if parts.port != 0 else None
    except ValueError as error:
        raise VideoError(
            f"{name} is not an address: {error}.", hint="Such as rtsp://camera.local:554/stream"
        ) from error
    if scheme not in SCHEMES:
        raise VideoError(f"{scheme}:// is not a protocol that videos are read by.", hint=_HINT)
    if not host and scheme not in _DATAGRAMS:
        raise VideoError(f"{name} names no server.", hint=_EXAMPLE)
    options = {"protocol_whitelist": _OVER_NETWORK}
    if scheme.startswith("rtsp"):
        options["rtsp_flags"] = "prefer_tcp"  # which loses no packets; UDP where the camera has no TCP
    live = None if scheme.startswith("http") else True
    return VideoSource("network", f"{scheme}{text[len(scheme) :]}", name, live, None, options)


def _masked(url: str) -> str:
    """The address without user and password, and without values that are called a password, a token or a key."""
    scheme, separator, rest = url.partition("://")
    server, slash, path = rest.partition("/")
    return _SECRET.sub(r"\1=***", f"{scheme}{separator}{server.rpartition('@')[2]}{slash}{path}")


def cameras() -> str:
    """Which cameras there are, as a hint."""
    found = sorted(str(device) for device in Path("/dev").glob("video*"))
    return f"There is {', '.join(found)}." if found else "No camera is connected, or this user or container sees none."


def _missing(path: str) -> str:
    if path.startswith("/dev/video"):
        return cameras()
    return "Name one video: a pattern is not taken." if any(c in path for c in "*?[") else "Check the path."


def _check_file(path: str, shown: str) -> None:
    """Refuse what can be told from its first bytes; photos, which FFmpeg would read, are classified as photos."""
    try:
        with open(path, "rb") as stream:  # noqa: PTH123  # as bytes of a name that is no UTF-8 may be in it
            head = stream.read(64)
    except OSError as error:
        raise VideoError(f"{shown} cannot be opened: {error.strerror}.", hint="Check its rights.") from error
    if not head:
        raise VideoError(f"{shown} is empty (0 bytes).", hint="Copy the video again.")
    kind = sniff(head)
    if kind in ("JPEG", "TIFF", "BMP", "PPM", "WebP", "HEIC"):
        raise VideoError(f"{shown} is a {kind} photo, not a video.", hint="Classify it without --video.")
