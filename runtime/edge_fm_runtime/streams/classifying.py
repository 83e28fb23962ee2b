"""`Classifier.classify_stream`: frames in, predictions and votes out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from edge_fm_runtime.classification import Decoded, Failure
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.model_outputs import ClassifyFn
from edge_fm_runtime.streams.buffer import Buffer
from edge_fm_runtime.streams.frames import Frame, FrameImage, FrameResult, Selection
from edge_fm_runtime.streams.vote import Window

__all__ = ["Selection", "Steps", "Window", "classify_frames"]


@dataclass(frozen=True)
class Steps:
    """What a classifier does with frames.

    Attributes:
        decode: from an image, and what its frame is called, to what the model sees.
        classify: from what the model sees to predictions.
        calls: counts a call in flight.
    """

    decode: Callable[[FrameImage, str], Decoded]
    classify: ClassifyFn
    calls: AbstractContextManager[None]


@dataclass(frozen=True)
class _Waiting:
    number: int
    time_s: float | None
    image: Frame | Decoded | Failure


def classify_frames(
    frames: Iterable[Any], selection: Selection, steps: Steps, window: Window | None, *, live: bool, batch_size: int
) -> Generator[FrameResult]:
    """Classify the frames of a stream; see `Classifier.classify_stream`.

    Args:
        frames: images, or `Frame`.
        selection: which of them are classified.
        steps: what a classifier does with them.
        window: what the vote is over; None for none.
        live: one frame at a time, and only the newest waits for the model, not prepared: what is dropped costs nothing.
            Otherwise frames are prepared on the thread that reads them, beside inference, and what waits is as large as
            the model's input.
        batch_size: how many frames go through the engine at once, at most.
    """
    taken = selection.numbered(frames)
    source = (_Waiting(n, f.time_s, f if live else _prepare(f, steps)) for n, f in taken)
    buffer = Buffer(source, capacity=1 if live else 2 * batch_size, newest=live)
    try:
        while True:
            waiting, dropped = buffer.take(batch_size)
            if not waiting:
                return
            yield from _results(waiting, dropped, steps, window)
    finally:
        buffer.close()


def _prepare(frame: Frame, steps: Steps) -> Decoded | Failure:
    try:
        return steps.decode(frame.load(), frame.name)
    except PhotoError as error:
        return Failure(frame.name, error)


def _results(waiting: Sequence[_Waiting], dropped: int, steps: Steps, window: Window | None) -> Iterator[FrameResult]:
    ready = [_prepare(one.image, steps) if isinstance(one.image, Frame) else one.image for one in waiting]
    decoded = [one for one in ready if isinstance(one, Decoded)]
    with steps.calls:
        found = iter(zip(*steps.classify(decoded), strict=True) if decoded else ())
    for one, image in zip(waiting, ready, strict=True):
        if isinstance(image, Failure):
            yield FrameResult(one.number, one.time_s, dropped, image)
        else:
            prediction, row = next(found)
            vote = None if window is None else window.add(row)
            yield FrameResult(one.number, one.time_s, dropped, prediction, vote)
        dropped = 0
