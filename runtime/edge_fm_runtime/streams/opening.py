"""Open videos, cameras and network streams by PyAV (FFmpeg), which the extra `video` brings."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import Any

from edge_fm_runtime.errors import MissingDependencyError, VideoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.streams.source import VideoSource, cameras, parse_source, why_unreachable
from edge_fm_runtime.streams.video import Video
from edge_fm_runtime.system.machine import usable_cpus

_NO_VIDEO = ("tty", "image2", "lrc", "bin", "xbin", "adf", "idf", "ffmetadata")
"""Formats of texts and single images that FFmpeg takes for videos."""
_PLAYLISTS = ("concat", "sdp", "hls", "dash", "applehttp")
"""Files that name others."""
_MOST_THREADS = 4
"""Of a decoder: each holds a frame."""


def open_video(
    source: str | os.PathLike[str],
    *,
    live: bool | None = None,
    timeout_s: float = 10.0,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Video:
    """Open a video, a camera or a network stream.

    Frames are RGB as PyAV's `to_image` converts them, turned upright as the display matrix says. Their timestamps are
    the stream's own, PTS times time base.

    Args:
        source: path of a file or a FIFO, `-` for stdin, a camera (`/dev/video0`, or 0), or the address of a stream:
            rtsp, rtsps, rtmp, rtmps, http, https, udp, rtp or srt.
        live: give frames at the pace of their timestamps, as if a file were a camera. Default: for cameras and streams
            without an end. Cameras and network streams that have one are never held up.
        timeout_s: how long a server or a camera may send nothing.
        max_pixels: videos with larger frames are refused.

    Returns:
        The video; iterating over it gives frames (`Frame`).

    Raises:
        MissingDependencyError: PyAV is not installed.
        VideoError: there is no such source, it holds no video that can be read, or its frames are too large.

    Example:
        >>> with open_video("clip.mp4") as video:  # doctest: +SKIP
        ...     for frame in video:
        ...         print(frame.time_s, frame.load().size)
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("av (PyAV)", "video", "Reading a video") from error
    found = parse_source(source)
    try:
        container = _open(found, timeout_s, max_pixels)
    except av.FFmpegError as error:
        raise _cannot_open(found, error, timeout_s) from error
    try:
        stream = _video_stream(found, container, max_pixels)
        natural = container.duration is None if found.live is None else found.live
        is_live = natural if live is None else live
        codec = stream.codec_context
        codec.options = {"max_pixels": str(max_pixels)}
        codec.thread_count = min(usable_cpus(), _MOST_THREADS)
        # Threads that take a frame each hold it back until the next ones have come.
        codec.thread_type = "SLICE" if is_live else "AUTO"
        return Video(found, container, stream, live=is_live)
    except BaseException:
        container.close()
        raise


def _open(source: VideoSource, timeout_s: float, max_pixels: int) -> Any:
    """Open on a thread where that may take long, so that a signal ends the waiting."""
    import av

    options = {**source.options, "max_pixels": str(max_pixels)}
    opening = partial(av.open, source.url, format=source.format, options=options)
    if source.kind == "file":
        return opening()
    opened: list[Any] = []
    given_up, done = threading.Event(), threading.Event()

    def work() -> None:
        try:
            opened.append(opening(timeout=timeout_s))
        except BaseException as error:  # noqa: BLE001  # raised below
            opened.append(error)
        if given_up.is_set() and not isinstance(opened[0], BaseException):
            opened[0].close()
        done.set()

    threading.Thread(target=work, name="edgefm-open", daemon=True).start()
    try:
        done.wait()
    except BaseException:
        given_up.set()
        raise
    if isinstance(opened[0], BaseException):
        raise opened[0]
    return opened[0]


def _video_stream(source: VideoSource, container: Any, max_pixels: int) -> Any:
    from av.stream import Disposition

    name = shown_name(source.name)
    kind = container.format.name
    playlist = source.kind != "network" and any(part in _PLAYLISTS for part in kind.split(","))
    if kind.endswith("_pipe") or playlist or any(part in _NO_VIDEO for part in kind.split(",")):
        raise VideoError(f"{name} is not a video (FFmpeg takes it for {kind}).", hint="Name a video file.")
    found = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not found:
        others = sorted({stream.type for stream in container.streams if stream.type != "video"})
        instead = f", but {' and '.join(others)}" if others else ""
        raise VideoError(f"{name} holds no video{instead}.", hint="Name another file.")
    best = container.streams.best("video")
    stream = best if best in found else found[0]
    if stream.codec_context is None:
        raise VideoError(f"{name} is coded in a way that this PyAV cannot decode.", hint="Convert it to H.264.")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > max_pixels:
        raise VideoError(
            f"{name} has frames of {width}x{height} pixels; they are read up to {max_pixels:,} pixels.",
            hint="Make the video smaller, or raise the limit (max_pixels) if you trust it.",
        )
    return stream


def _cannot_open(source: VideoSource, error: Any, timeout_s: float) -> VideoError:
    import av

    name, reason = shown_name(source.name), str(error.strerror)
    if source.kind == "network":
        reason = why_unreachable(source.url, timeout_s) or (
            f"it sent nothing within {timeout_s:g} s" if isinstance(error, av.error.ExitError) else reason
        )
        return VideoError(f"{name} cannot be opened: {reason}.", hint="Check the address, the network and --timeout.")
    if source.kind == "camera":
        return VideoError(f"{name} cannot be opened as a camera: {reason}.", hint=cameras())
    if isinstance(error, av.error.InvalidDataError | EOFError):
        again = (
            "Name the file: some formats can be read from files only." if source.kind == "pipe" else "Copy it again."
        )
        return VideoError(f"{name} is not a video that can be read, or is cut short ({reason}).", hint=again)
    return VideoError(f"{name} cannot be opened: {reason}.", hint="Check the path and its rights.")
