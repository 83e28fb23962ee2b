"""`classify_video`: the frames of a video, a camera or a network stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from edge_fm.api.common.places import select_artifact
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.defaults import STREAM_BATCH_SIZE
from edge_fm_runtime.errors import EngineError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.progress import MessageFn, ignore_message
from edge_fm_runtime.streams.frames import FrameResult, check_positive, until
from edge_fm_runtime.streams.opening import open_video
from edge_fm_runtime.streams.video import Video


@dataclass(frozen=True, eq=False)
class OpenedVideo:
    """A video that is being classified.

    Attributes:
        classifier: the opened artifact.
        video: where the frames come from.
        results: one for each frame that is classified, in order.
    """

    classifier: Classifier
    video: Video
    results: Generator[FrameResult]


def classify_video(
    video: str | Path,
    model: str | Path | None = None,
    *,
    live: bool | None = None,
    stride: int = 1,
    fps: float | None = None,
    window: int | None = None,
    max_frames: int | None = None,
    duration_s: float | None = None,
    timeout_s: float = 10.0,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = STREAM_BATCH_SIZE,
    top_k: int = 1,
    max_pixels: int | None = None,
    min_score: float | Literal["auto"] | None = None,
    note: MessageFn = ignore_message,
) -> Iterator[FrameResult]:
    """Classify the frames of a video, a camera or a network stream with an exported artifact, lazily and in order.

    To classify frames from elsewhere, use `Classifier.classify_stream`.

    Args:
        video: a file, `-` for stdin, a camera (`/dev/video0`, or 0), or an address such as `rtsp://camera/stream`.
        model: the artifact; None for $EDGEFM_MODEL, else the newest export under runs/, else the one in the package.
        live: classify the newest frame only, and drop what is older; a file is then read at the pace of its timestamps.
            None for cameras and streams without an end.
        stride: classify every Nth frame, from the first; not together with `fps`.
        fps: classify so many frames of a second, at most, by their timestamps.
        window: vote over the last N predictions, by the mean of their probabilities; None for no vote.
        max_frames: end after so many results; None for all.
        duration_s: end so many seconds after the first frame, by the timestamps; None for all.
        timeout_s: how long a server or a camera may send nothing.
        engine: library that runs the artifact.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        batch_size: images through the engine at once; one by one if live.
        top_k: how many classes each frame gets.
        max_pixels: refuse larger frames; None for `DEFAULT_MAX_PIXELS`, 50,000,000.
        min_score: give no label to a frame, or a vote, whose best score is below this; "auto" for the threshold that
            the artifact records, None to label every frame.
        note: called with the choices that were made, and what a person should know of the video.

    Yields:
        A result for each frame; its `to_json()` is what `edgefm infer --video --json` prints.

    Raises:
        MissingDependencyError: PyAV, which the extra `video` brings, is not installed.
        VideoError: there is no such video, or it cannot be read.
        EdgeFMError: there is no artifact, or it cannot be run here.
    """
    with open_video_results(
        video,
        model,
        live=live,
        stride=stride,
        fps=fps,
        window=window,
        max_frames=max_frames,
        duration_s=duration_s,
        timeout_s=timeout_s,
        engine=engine,
        device=device,
        threads=threads,
        batch_size=batch_size,
        top_k=top_k,
        max_pixels=max_pixels,
        min_score=min_score,
        note=note,
    ) as opened:
        yield from opened.results


@contextmanager
def open_video_results(
    video: str | Path,
    model: str | Path | None = None,
    *,
    live: bool | None = None,
    max_frames: int | None = None,
    duration_s: float | None = None,
    timeout_s: float = 10.0,
    max_pixels: int | None = None,
    note: MessageFn = ignore_message,
    **options: Any,
) -> Iterator[OpenedVideo]:
    """Open the artifact and the video; arguments as for `classify_video`."""
    if max_frames is not None and max_frames < 1:
        raise EngineError(f"max_frames is {max_frames}; at least one is classified.", hint="Leave it out for all.")
    if duration_s is not None:
        check_positive("duration_s", duration_s)
    selected = {name: options.pop(name) for name in _OF_THE_STREAM if name in options}
    limit = max_pixels or DEFAULT_MAX_PIXELS
    with (
        open_video(video, live=live, timeout_s=timeout_s, max_pixels=limit) as opened,
        # Threads of the engine do not spin while they wait, which would take the cores from decoding.
        Classifier.load(select_artifact(model, note), one_shot=True, max_pixels=limit, **options) as classifier,
    ):
        for text in (*opened.notes, *filter(None, [classifier.profile_note])):
            note(text)
        frames = opened if duration_s is None else until(opened, duration_s)
        results = classifier.classify_stream(frames, live=opened.live, **selected)
        try:
            yield OpenedVideo(classifier, opened, _first(results, max_frames))
        finally:
            results.close()


_OF_THE_STREAM = ("stride", "fps", "window", "batch_size", "top_k")


def _first(results: Iterable[FrameResult], most: int | None) -> Generator[FrameResult]:
    yield from islice(results, most)
