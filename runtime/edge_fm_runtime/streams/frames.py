"""What goes into `Classifier.classify_stream`, what comes out, and which frames are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm_runtime.classification import Classification, Failure
from edge_fm_runtime.errors import EngineError, PhotoError, VideoError
from edge_fm_runtime.streams.vote import Vote

FrameImage: TypeAlias = "Image.Image | npt.NDArray[np.uint8]"


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a stream, with what is known of it beside its pixels.

    Attributes:
        image: a PIL image, or uint8 pixels `[H,W]` or `[H,W,C]`, upright; or a function that makes them, which is
            called only if the frame is classified.
        time_s: presentation timestamp in seconds; None where the stream has none.
        error: why the frame could not be decoded; None for one that could.
        name: what the stream is called.
    """

    image: FrameImage | Callable[[], FrameImage] | None
    time_s: float | None = None
    error: PhotoError | None = None
    name: str = "<image>"

    def load(self) -> FrameImage:
        """The pixels.

        Raises:
            PhotoError: the frame could not be decoded.
        """
        if self.error is not None:
            raise self.error
        if self.image is None:
            raise PhotoError("The frame has no pixels.", hint="Give a frame an image, or an error.")
        return self.image() if callable(self.image) else self.image


@dataclass(frozen=True)
class FrameResult:
    """The result for one frame of a stream.

    Attributes:
        frame: number of the frame in the stream, from 0; frames that were passed over or dropped count.
        time_s: presentation timestamp in seconds; None where the stream has none.
        dropped: how many frames were dropped since the previous result, because newer ones had arrived.
        prediction: a `Classification`, or a `Failure` for a frame that could not be decoded.
        vote: the vote over the window that ends with this frame; None without a window, and for a `Failure`.
    """

    frame: int
    time_s: float | None
    dropped: int
    prediction: Classification | Failure
    vote: Vote | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm infer --video --json` prints: that of a photo, and the frame's own keys."""
        row = self.prediction.to_json()
        time_s = None if self.time_s is None else round(self.time_s, 6)
        vote = None if self.vote is None else self.vote.to_json()
        return (
            {"input": row.pop("input"), "frame": self.frame, "time_s": time_s, "dropped": self.dropped}
            | row
            | {"vote": vote}
        )


@dataclass(frozen=True)
class Selection:
    """Which frames of a stream are classified.

    Attributes:
        stride: every how many frames one is taken, beginning with the first.
        fps: how many frames of a second are taken, at most, by their timestamps; None for all.

    Raises:
        EngineError: a value is out of range, or both are given.
    """

    stride: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        """Refuse what takes no frame."""
        if self.stride < 1:
            raise EngineError(f"stride is {self.stride}; it is 1, for every frame, or more.", hint="Leave it out.")
        if self.fps is not None:
            check_positive("fps", self.fps)
            if self.stride > 1:
                raise EngineError("stride and fps exclude each other.", hint="Give one of them.")

    def numbered(self, frames: Iterable[Any]) -> Iterator[tuple[int, Frame]]:
        """Frames that are taken, with their numbers; damaged ones always are, so that none is lost silently.

        Raises:
            VideoError: a rate is given, and a frame has no timestamp.
        """
        first: float | None = None
        due = 0.0
        for number, item in enumerate(frames):
            frame = item if isinstance(item, Frame) else Frame(item)
            if frame.error is None and self.fps is not None:
                time_s = _timestamp(frame, number)
                first = time_s if first is None else first
                # On the grid of the rate, so that a late frame does not delay all that follow.
                place = (time_s - first) * self.fps + _ROUNDING
                if place < due:
                    continue
                due = int(place) + 1
            if frame.error is not None or number % self.stride == 0:
                yield number, frame


_ROUNDING = 0.05
"""Share of the time between two frames that timestamps may be off, as those of containers are rounded."""


def until(frames: Iterable[Frame], duration_s: float) -> Iterator[Frame]:
    """The frames of the first `duration_s` seconds, by their timestamps.

    Raises:
        EngineError: the duration is not above 0.
        VideoError: a frame has no timestamp.
    """
    check_positive("duration_s", duration_s)
    first: float | None = None
    for number, frame in enumerate(frames):
        if frame.error is None:
            time_s = _timestamp(frame, number)
            first = time_s if first is None else first
            if time_s - first >= duration_s - 1e-6:
                return
        yield frame


def check_positive(name: str, value: float) -> None:
    """Refuse what is not a number above 0.

    Raises:
        EngineError: it is not.
    """
    if not 0 < value < float("inf"):
        raise EngineError(f"{name} is {value}; it is a number above 0.", hint="Leave it out for all frames.")


def _timestamp(frame: Frame, number: int) -> float:
    if frame.time_s is None:
        raise VideoError(
            f"Frame {number} has no timestamp, which a rate or a duration needs.",
            hint="Take every Nth frame (--stride), and end after a number of them (--max-frames).",
        )
    return frame.time_s
