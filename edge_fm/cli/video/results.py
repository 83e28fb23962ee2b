"""`edgefm infer --video`: a JSON line for each frame, or a line of text whenever the label changes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import Console
from edge_fm.cli.console.infer_rows import classes_text
from edge_fm.cli.console.printable import printable_json, printable_message
from edge_fm_runtime.classification import Best, Failure
from edge_fm_runtime.errors import VideoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.streams.frames import FrameResult

if TYPE_CHECKING:
    from edge_fm_runtime.streams.video import Video


def print_video(console: Console, **options: Any) -> None:
    """Classify a video and print its results; ends the process where frames failed.

    Args:
        console: whether rows are JSON, and where notes go.
        options: of `edge_fm.classify_video`.

    Raises:
        VideoError: the video cannot be read, or holds no frames.
    """
    from edge_fm.api.artifacts.video import open_video_results

    with open_video_results(**options, note=console.note) as opened:
        counts = _Counts()
        with _summary(console, counts), _progress(console) as progress:
            changes = _Changes()
            total = _expected(opened.video, options)
            for result in opened.results:
                first_failure = isinstance(result.prediction, Failure) and not counts.failed
                counts.add(result)
                if console.as_json:
                    click.echo(printable_json(result.to_json()))
                elif (text := changes.line(result)) is not None:
                    click.echo(text)
                if first_failure and isinstance(result.prediction, Failure):
                    console.note(str(result.prediction.error))
                progress("classifying", counts.classified, total)
        if not counts.classified and not counts.failed:
            raise VideoError(f"{shown_name(opened.video.name)} holds no frames.", hint="Name another video.")
        if (missing := opened.video.missing_s) > 0:
            console.warn(
                f"The video ended {missing:.1f} s before the length that its file states: it may be cut short."
            )
    if counts.failed:
        sys.exit(4 if counts.classified else 1)


@dataclass
class _Counts:
    """What was done so far."""

    classified: int = 0
    failed: int = 0
    dropped: int = 0

    def add(self, result: FrameResult) -> None:
        self.dropped += result.dropped
        if isinstance(result.prediction, Failure):
            self.failed += 1
        else:
            self.classified += 1


class _Changes:
    """A line for each frame whose label is another than that of the frame before; the window's, where there is one."""

    def __init__(self) -> None:
        self._before: object = None
        self._dropped = 0

    def line(self, result: FrameResult) -> str | None:
        self._dropped += result.dropped
        prediction = result.prediction
        if isinstance(prediction, Failure):
            shown: object = prediction
            text = f"error: {printable_message(prediction.error.message, lines=False)}"
        else:
            best: Best = result.vote or prediction
            shown = best.label if best.labels is None else tuple(one.label for one in best.labels)
            shown, text = (shown, best.rejected), classes_text(best)
        if shown == self._before:
            return None
        dropped, self._dropped, self._before = self._dropped, 0, shown
        time = [] if result.time_s is None else [f"{result.time_s:.3f} s"]
        more = [f"{dropped} dropped"] if dropped else []
        return f"{', '.join([*time, f'frame {result.frame}', *more])}: {text}"


@contextmanager
def _summary(console: Console, counts: _Counts) -> Iterator[None]:
    """One line on stderr about what was done, also where Ctrl-C ended it: a camera has no other end."""
    start = perf_counter()
    try:
        yield
    finally:
        done, seconds = counts.classified, perf_counter() - start
        parts = [f"{done:,} {'frame' if done == 1 else 'frames'}, {done / max(seconds, 1e-9):.1f} frames/s"]
        parts += [f"{counts.dropped:,} dropped (newer ones had arrived)"] if counts.dropped else []
        parts += [f"{counts.failed:,} {'error' if counts.failed == 1 else 'errors'}"] if counts.failed else []
        console.note(", ".join(parts))


@contextmanager
def _progress(console: Console) -> Iterator[ProgressFn]:
    """A bar where it stands between no rows: stderr is a terminal, and stdout is not."""
    if console.quiet or not sys.stderr.isatty() or sys.stdout.isatty():
        yield silent
    else:
        with console.progress() as progress:
            yield progress


def _expected(video: Video, options: dict[str, Any]) -> int | None:
    """How many frames will be classified, about; None where that cannot be known."""
    if video.live or not video.duration_s or not video.fps:
        return None
    seconds = min(video.duration_s, options["duration_s"] or video.duration_s)
    rate = min(video.fps / options["stride"], options["fps"] or video.fps)
    frames: int = max(1, round(seconds * rate))
    most = int(options["max_frames"] or frames)
    return min(frames, most)
