"""`Classifier.classify_stream` on any iterable of frames: every one in order, or the newest; no PyAV is needed."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edge_fm_runtime import Classification, Classifier, Failure, Frame, FrameResult, PhotoError, load_artifact
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.errors import ClosedError, EngineError, VideoError

FRAMES = [np.random.default_rng(n).integers(0, 256, (6, 9, 3), dtype=np.uint8) for n in range(11)]


class SlowEngine:
    """Computes what it saw, after a while: the frame's brightness decides between two classes."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait = wait
        self.batches: list[int] = []

    def infer(self, batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        self.wait()
        self.batches.append(len(batch))
        first = batch.reshape(len(batch), -1).mean(axis=1).astype(np.float32) / 255
        return np.stack([first, 1 - first, np.zeros_like(first)], axis=1)

    def close(self) -> None: ...


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("decode_ms", "infer_ms")}


def numbers(results: list[FrameResult]) -> list[int]:
    return [one.frame for one in results]


def test_frames_get_the_predictions_of_the_same_photos(artifact_folder: Path) -> None:
    with Classifier.load(artifact_folder) as classifier:
        frames = [*FRAMES, FRAMES[0][..., 0], Image.fromarray(FRAMES[1]), Frame(FRAMES[2], 1.25)]
        results = list(classifier.classify_stream(frames, top_k=3, batch_size=4))
        singles = [classifier.classify(frame, top_k=3) for frame in (*frames[:-1], FRAMES[2])]
    assert numbers(results) == list(range(14))
    assert [untimed(r.prediction.to_json()) for r in results] == [untimed(one.to_json()) for one in singles]
    assert [r.prediction.top for r in results if isinstance(r.prediction, Classification)] == [s.top for s in singles]
    assert results[-1].time_s == 1.25 and results[0].time_s is None
    assert all(r.dropped == 0 and r.vote is None for r in results)


def test_json_has_the_keys_of_a_photo_and_those_of_a_frame(artifact_folder: Path) -> None:
    with Classifier.load(artifact_folder) as classifier:
        photo = classifier.classify(FRAMES[0]).to_json()
        (result,) = classifier.classify_stream([Frame(FRAMES[0], 0.1, name="clip.mp4")], window=2)
    row = result.to_json()
    assert set(row) == {*photo, "frame", "time_s", "dropped", "vote"} and list(row)[:4] == [
        "input",
        "frame",
        "time_s",
        "dropped",
    ]
    assert row["input"] == "clip.mp4" and row["time_s"] == 0.1
    assert row["vote"] == {"frames": 1, **{key: photo[key] for key in ("label", "index", "score", "top")}}


def test_every_nth_frame_is_taken(artifact_folder: Path) -> None:
    with Classifier.load(artifact_folder) as classifier:
        assert numbers(list(classifier.classify_stream(FRAMES, stride=4))) == [0, 4, 8]


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        ([n / 30 for n in range(31)], 10, list(range(0, 31, 3))),
        ([n / 30 for n in range(10)], 60, list(range(10))),
        ([round(n / 29.97, 3) for n in range(91)], 29.97, list(range(91))),
        ([round(n / 30, 3) for n in range(61)], 15, list(range(0, 61, 2))),
        # One that is late delays none of those that follow; none is taken twice.
        ([5.0, 5.17, 5.2, 5.29, 5.3, 5.31, 5.8], 10, [0, 1, 2, 4, 6]),
    ],
)
def test_a_rate_is_kept_by_the_timestamps(
    artifact_folder: Path, times: list[float], fps: float, expected: list[int]
) -> None:
    frames = [Frame(FRAMES[0], time_s) for time_s in times]
    with Classifier.load(artifact_folder) as classifier:
        assert numbers(list(classifier.classify_stream(frames, fps=fps))) == expected


def test_a_vote_is_the_mean_of_the_last_probabilities(artifact_folder: Path) -> None:
    with Classifier.load(artifact_folder) as classifier:
        results = list(classifier.classify_stream(FRAMES, window=4, top_k=3, batch_size=5))
        rows = np.concatenate([classifier.predict_pixels(classifier.canvas(frame)[None]) for frame in FRAMES])
    for number, result in enumerate(results):
        last = rows[max(0, number - 3) : number + 1]
        assert result.vote is not None and result.vote.frames == len(last)
        scores = {one.index: one.score for one in result.vote.top}
        np.testing.assert_allclose([scores[n] for n in range(3)], last.mean(axis=0), atol=1e-6)
        assert result.vote.index == last.mean(axis=0).argmax()
    assert results[0].vote is not None and isinstance(results[0].prediction, Classification)
    assert results[0].vote.top == results[0].prediction.top


def test_a_rejected_frame_votes_and_a_vote_may_be_rejected(artifact_folder: Path) -> None:
    engine = SlowEngine(lambda: None)
    frames = [np.full((4, 4), value, np.uint8) for value in (255, 128, 128, 128)]
    classifier = Classifier(load_artifact(artifact_folder), engine)
    classifier.min_score = 0.7
    results = list(classifier.classify_stream(frames, window=2))
    predictions = [one.prediction for one in results if isinstance(one.prediction, Classification)]
    assert [one.rejected for one in predictions] == [False, True, True, True]
    votes = [one.vote for one in results if one.vote is not None]
    assert [one.rejected for one in votes] == [False, False, True, True]  # 1.0, (1.0 + 0.5) / 2, 0.5, 0.5
    assert [one.label for one in votes] == ["T-shirt/top", "T-shirt/top", None, None]
    assert votes[-1].to_json()["rejected"] is True


def test_a_multi_label_vote_compares_means_with_thresholds(
    make_artifact: Callable[..., Path], metadata: Metadata
) -> None:
    folder = make_artifact("multi", metadata=replace(metadata, task="multi-label"))
    frames = [np.full((4, 4), value, np.uint8) for value in (255, 51, 51)]
    classifier = Classifier(load_artifact(folder), SlowEngine(lambda: None))
    votes = [one.vote for one in classifier.classify_stream(frames, window=2)]
    labels = [[one.label for one in vote.labels or ()] for vote in votes if vote is not None]
    assert labels == [["T-shirt/top"], ["T-shirt/top"], ["Ankle boot"]]  # means of 1 and 0.2: 1, 0.6, 0.2


def test_a_slow_model_stays_at_the_newest_frame(artifact_folder: Path) -> None:
    """Each call of the model lasts until five more frames have come."""
    permits, arrived = threading.Semaphore(1), threading.Condition()
    put = 0

    def camera() -> Iterator[npt.NDArray[np.uint8]]:
        nonlocal put
        for number in range(60):
            permits.acquire(timeout=10)
            yield FRAMES[0]
            with arrived:  # asked for the next frame: this one is in the buffer
                put = number + 1
                arrived.notify_all()

    def wait() -> None:
        with arrived:
            until = min(put + 5, 60) if put else 6
            permits.release(5)
            arrived.wait_for(lambda: put >= until, timeout=10)

    classifier = Classifier(load_artifact(artifact_folder), SlowEngine(wait))
    results = list(classifier.classify_stream(camera(), live=True))
    taken = numbers(results)
    assert taken == [0, *range(5, 60, 5), 59]
    assert [one.dropped for one in results] == [0] + [4] * 11 + [3]


def test_a_fast_model_drops_nothing_of_a_live_stream(artifact_folder: Path) -> None:
    seen = threading.Semaphore(1)

    def camera() -> Iterator[npt.NDArray[np.uint8]]:
        for frame in FRAMES:
            seen.acquire(timeout=10)
            yield frame

    classifier = Classifier(load_artifact(artifact_folder), SlowEngine(lambda: None))
    results = []
    for result in classifier.classify_stream(camera(), live=True):
        results.append(result)
        seen.release()
    assert numbers(results) == list(range(len(FRAMES))) and not any(one.dropped for one in results)


def test_what_is_dropped_is_never_converted(artifact_folder: Path) -> None:
    converted = []

    def frame(number: int) -> Frame:
        def make() -> npt.NDArray[np.uint8]:
            converted.append(number)
            return FRAMES[0]

        return Frame(make)

    classifier = Classifier(load_artifact(artifact_folder), SlowEngine(lambda: None))
    results = list(classifier.classify_stream(map(frame, range(20)), live=True))
    assert converted == numbers(results)
    assert numbers(list(classifier.classify_stream(map(frame, range(20)), stride=7))) == [0, 7, 14]
    assert converted[len(results) :] == [0, 7, 14]


def test_a_source_is_never_far_ahead_and_ends_with_its_reader(artifact_folder: Path) -> None:
    drawn = 0
    ended = threading.Event()

    def endless() -> Iterator[npt.NDArray[np.uint8]]:
        nonlocal drawn
        try:
            for number in itertools.count(1):
                drawn = number
                yield FRAMES[0]
        finally:
            ended.set()

    classifier = Classifier(load_artifact(artifact_folder), SlowEngine(lambda: None))
    stream = classifier.classify_stream(endless(), batch_size=4)
    assert numbers(list(itertools.islice(stream, 10))) == list(range(10))
    assert drawn <= 10 + 4 + 2 * 4 + 2
    stream.close()
    assert ended.wait(10)


def test_a_damaged_frame_is_a_failure_and_does_not_vote(artifact_folder: Path) -> None:
    damaged = Frame(None, 0.5, VideoError("A frame of clip.mp4 is damaged."), "clip.mp4")
    bad = FRAMES[0].astype(np.float32)
    with Classifier.load(artifact_folder) as classifier:
        results = list(classifier.classify_stream([FRAMES[0], damaged, bad, FRAMES[1]], window=9))
        assert numbers(list(classifier.classify_stream([FRAMES[0], damaged, bad, FRAMES[1]], stride=3))) == [0, 1, 3]
    kinds = [isinstance(one.prediction, Failure) for one in results]
    assert kinds == [False, True, True, False] and [one.vote is None for one in results] == kinds
    assert results[3].vote is not None and results[3].vote.frames == 2
    row = results[1].to_json()
    assert row["input"] == "clip.mp4" and row["error"] == "A frame of clip.mp4 is damaged." and row["vote"] is None
    assert isinstance(results[2].prediction, Failure) and "float32" in str(results[2].prediction.error)


def test_the_error_of_a_source_comes_after_its_last_frame(artifact_folder: Path) -> None:
    def broken() -> Iterator[npt.NDArray[np.uint8]]:
        yield from FRAMES[:3]
        raise OSError("the cable")

    with Classifier.load(artifact_folder) as classifier:
        stream = classifier.classify_stream(broken())
        assert numbers([next(stream) for _ in range(3)]) == [0, 1, 2]
        with pytest.raises(OSError, match="the cable"):
            next(stream)
        assert list(classifier.classify_stream([])) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride": 0}, EngineError, "stride is 0"),
        ({"fps": 0.0}, EngineError, "fps is 0"),
        ({"fps": float("nan")}, EngineError, "fps is nan"),
        ({"stride": 2, "fps": 3.0}, EngineError, "exclude each other"),
        ({"window": 0}, EngineError, "window is 0"),
        ({"window": 10_001}, EngineError, "1 to 10,000"),
        ({"batch_size": 0}, EngineError, "batch_size is 0"),
        ({"top_k": 0}, EngineError, "top_k is 0"),
    ],
)
def test_what_is_out_of_range_is_refused_at_once(
    artifact_folder: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with Classifier.load(artifact_folder) as classifier, pytest.raises(error, match=message):
        classifier.classify_stream(FRAMES, **options)


def test_a_rate_needs_timestamps_and_a_stream_is_not_one_photo(artifact_folder: Path) -> None:
    with Classifier.load(artifact_folder) as classifier:
        with pytest.raises(VideoError, match="Frame 0 has no timestamp"):
            list(classifier.classify_stream(FRAMES, fps=5))
        with pytest.raises(PhotoError, match="got one str"):
            classifier.classify_stream("clip.mp4")
        with pytest.raises(PhotoError, match="got one ndarray"):  # whose rows would be taken for frames
            classifier.classify_stream(FRAMES[0])
        assert len(list(classifier.classify_stream(np.stack(FRAMES)))) == len(FRAMES)
        assert len(list(classifier.classify_stream(np.stack(FRAMES)[..., 0]))) == len(FRAMES)
        stream = classifier.classify_stream(FRAMES, batch_size=1)
        next(stream)
    with pytest.raises(ClosedError, match="The classifier is closed"):
        list(stream)
