"""Frames of video files, cameras and network streams, read by PyAV (FFmpeg)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any

from PIL import Image

from edge_fm_runtime.errors import VideoError
from edge_fm_runtime.photos.colour import orient
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.streams.frames import Frame
from edge_fm_runtime.streams.source import VideoSource
from edge_fm_runtime.streams.upright import orientation_of

_NO_VIDEO = (
    "tty",
    "concat",
    "sdp",
    "image2",
    "hls",
    "dash",
    "applehttp",
    "lrc",
    "bin",
    "xbin",
    "adf",
    "idf",
    "ffmetadata",
)
"""Formats of texts, lists and single images that FFmpeg takes for videos."""
_MOST_THREADS = 4
"""Of a decoder: each holds a frame."""
_CLOSE_S = 0.5
_HDR = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR, by their number in ISO/IEC 23091-2."""


class Video:
    """The frames of a video, a camera or a network stream, in order; can be read once; a context manager.

    Attributes:
        name: what it is called: the path, or the address without user and password.
        live: whether its frames come as they happen; a classifier then takes the newest one.
        width: of the stored frames, in pixels; 0 where it is not known yet.
        height: likewise.
        fps: frames of a second, on average; None where it is not known.
        duration_s: length in seconds; None where it is not known, or has no end.
        notes: what a person should know of its pixels.
        missing_s: once it was read to its end, how many seconds of its stated length had no frames: a file that was
            cut short. 0.0 where the difference is less than a second or a twentieth, as sound may be longer.
    """

    def __init__(self, source: VideoSource, container: Any, stream: Any, *, live: bool) -> None:
        self.name, self.live = source.name, live
        codec = stream.codec_context
        self.width, self.height = int(codec.width or 0), int(codec.height or 0)
        self.fps = float(stream.average_rate) if stream.average_rate else None
        self.duration_s = container.duration / 1e6 if container.duration else None
        self.notes = tuple(_notes(stream, codec))
        self._container, self._stream = container, stream
        self._paced = live and source.kind != "camera" and (source.kind != "network" or self.duration_s is not None)
        self._wait_for_whole = live and source.kind == "network"
        self._stopped, self._in_ffmpeg, self._converting = threading.Event(), threading.Lock(), threading.Lock()
        self._begun = False
        self._turned: tuple[object, int] = None, 1
        self._has_alpha: dict[str, bool] = {}
        self.missing_s = 0.0
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End reading; one that a camera or a server holds up is left to its thread."""
        self._stopped.set()
        if self._in_ffmpeg.acquire(timeout=_CLOSE_S):
            self._container.close()
            self._in_ffmpeg.release()

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they are decoded; one that cannot be decoded has an `error`.

        Raises:
            VideoError: it was read before.
        """
        if self._begun or self._stopped.is_set():
            raise VideoError(f"{shown_name(self.name)} has been read or closed.", hint="Open it again: open_video(...)")
        self._begun = True
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        import av

        start: tuple[float, float] | None = None
        first: float | None = None
        last = 0.0
        packets = self._container.demux(self._stream)
        while not self._stopped.is_set():
            try:
                with self._in_ffmpeg:
                    packet = None if self._stopped.is_set() else next(packets, None)
            except av.FFmpegError as error:
                yield Frame(None, None, self._broken(error), self.name)
                return
            if packet is None:
                if first is not None and self.duration_s is not None and not self.live:
                    missing = self.duration_s - (last - first) - 1 / (self.fps or 1)
                    self.missing_s = missing if missing > max(1.0, self.duration_s / 20) else 0.0
                return
            for frame in self._decode(packet):
                if frame.time_s is not None:
                    first, last = frame.time_s if first is None else first, frame.time_s
                if frame.time_s is not None and self._paced:
                    start = start or (monotonic(), frame.time_s)
                    self._stopped.wait(max(0.0, start[0] + frame.time_s - start[1] - monotonic()))
                yield frame

    def _decode(self, packet: Any) -> Iterator[Frame]:
        import av

        try:
            with self._in_ffmpeg:
                decoded = [] if self._stopped.is_set() else packet.decode()
        except av.FFmpegError as error:
            if not self._wait_for_whole:
                # Without a timestamp: a decoder of several threads may report the frame before this packet's.
                yield Frame(None, None, self._damaged(error.strerror), self.name)
            return
        for frame in decoded:
            if frame.is_corrupt:
                # Who joins a network stream between two key frames waits for the next one.
                if not self._wait_for_whole:
                    yield Frame(None, frame.time, self._damaged("parts of it are missing"), self.name)
                continue
            self._wait_for_whole = False
            yield Frame(partial(self._image, frame), frame.time, None, self.name)

    def _image(self, frame: Any) -> Image.Image:
        """The frame upright, as RGB, or RGBA where it has transparency."""
        import av

        kind = frame.format.name
        if kind not in self._has_alpha:
            self._has_alpha[kind] = kind == "pal8" or any(part.is_alpha for part in frame.format.components)
        alpha = self._has_alpha[kind]
        try:
            with self._converting:
                pixels = self._reformatter.reformat(frame, format="rgba" if alpha else "rgb24", threads=1).to_ndarray()
        except av.FFmpegError as error:
            raise self._damaged(error.strerror) from error
        return orient(Image.fromarray(pixels), self._orientation(frame))

    def _orientation(self, frame: Any) -> int:
        """How to turn a frame, as EXIF says it.

        The matrix is read again only where size or rotation change: PyAV's `side_data` and its frame refer to each
        other, so that the frame would stay in memory until Python collects such circles.
        """
        from av.sidedata.sidedata import Type

        shape = (frame.width, frame.height, frame.rotation)
        if shape != self._turned[0]:
            matrix = frame.side_data.get(Type.DISPLAYMATRIX)
            self._turned = shape, 1 if matrix is None else orientation_of(bytes(matrix))
        return self._turned[1]

    def _damaged(self, reason: str) -> VideoError:
        return VideoError(f"A frame of {shown_name(self.name)} is damaged: {reason}.", hint="Copy the video again.")

    def _broken(self, error: Any) -> VideoError:
        import av

        if isinstance(error, av.error.ExitError):
            return VideoError(f"{shown_name(self.name)} sends nothing any more.", hint="Check it, and start again.")
        return VideoError(
            f"{shown_name(self.name)} cannot be read on: {error.strerror}.", hint="Copy or connect it again."
        )


def _notes(stream: Any, codec: Any) -> Iterator[str]:
    if (curve := _HDR.get(int(codec.color_trc or 0))) is not None:
        yield f"The video is HDR ({curve}): without tone mapping, its colours are paler than on a screen."
    shape = stream.sample_aspect_ratio
    if shape and shape != 1:
        yield f"The video's pixels are not square ({shape.numerator}:{shape.denominator}); frames are taken as stored."
