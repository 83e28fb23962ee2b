"""Photos decoded in threads and in child processes: same results, errors where they belong, nothing left over."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from time_limits import HANG_S

from edge_fm_runtime import Classifier, Failure, PhotoSpec
from edge_fm_runtime.errors import EngineError, PhotoError
from edge_fm_runtime.photos import decoding
from edge_fm_runtime.photos.decode_worker import DecodeWorker
from edge_fm_runtime.photos.decoding import ParallelDecoder
from edge_fm_runtime.photos.photo import DEFAULT_MAX_PIXELS, load_canvas

SHAPE = (8, 8, 1)


def noise(path: Path, side: int = 20) -> Path:
    Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def worker() -> Iterator[DecodeWorker]:
    worker = DecodeWorker(SHAPE, PhotoSpec(), DEFAULT_MAX_PIXELS)
    yield worker
    worker.close()


def test_a_child_makes_the_same_canvas_and_tells_the_same_error(worker: DecodeWorker, tmp_path: Path) -> None:
    good = noise(tmp_path / "with\nnewline.png")
    odd = Path(os.fsdecode(bytes(tmp_path) + b"/\xff.png"))
    noise(good).rename(odd)
    noise(good)
    for path in (good, odd):
        np.testing.assert_array_equal(worker.canvas(str(path))[0], load_canvas(path, SHAPE, PhotoSpec()))
    (tmp_path / "bad.jpg").write_bytes(b"<html>")
    with pytest.raises(PhotoError) as caught:
        worker.canvas(str(tmp_path / "bad.jpg"))
    with pytest.raises(PhotoError) as expected:
        load_canvas(tmp_path / "bad.jpg", SHAPE, PhotoSpec())
    assert str(caught.value) == str(expected.value)


def test_a_child_that_dies_costs_one_photo(worker: DecodeWorker, tmp_path: Path) -> None:
    photo = str(noise(tmp_path / "a.png"))
    worker.canvas(photo)
    worker._process.send_signal(signal.SIGKILL)
    with pytest.raises(PhotoError, match="-9"):
        worker.canvas(photo)
    assert worker.canvas(photo)[0].shape == SHAPE


def test_a_child_imports_nothing_from_where_the_photos_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    worker = DecodeWorker(SHAPE, PhotoSpec(), DEFAULT_MAX_PIXELS)
    assert worker.canvas(str(noise(tmp_path / "a.png")))[0].shape == SHAPE
    worker.close()


def test_processes_decode_like_threads(artifact_folder: Path, tmp_path: Path) -> None:
    paths = [noise(tmp_path / f"{i}.png", 4 + i % 30) for i in range(150)]
    paths[120].write_bytes(b"not an image")
    with Classifier.load(artifact_folder) as classifier:
        plain = list(classifier.classify_many(paths))
        many = list(classifier.classify_many(paths, processes=True))
    assert [a.input for a in many] == [str(p) for p in paths]
    assert [i for i, a in enumerate(many) if isinstance(a, Failure)] == [120]
    for a, b in zip(plain, many, strict=True):
        assert str(a.error) == str(b.error) if isinstance(a, Failure) else a.top == pytest.approx(b.top)


def test_what_has_arrived_is_classified_while_the_source_waits(artifact_folder: Path) -> None:
    more = threading.Event()

    def slow() -> Iterator[np.ndarray]:
        yield np.zeros((4, 4), np.uint8)
        assert more.wait(HANG_S)
        yield np.ones((4, 4), np.uint8)

    with Classifier.load(artifact_folder) as classifier:
        results = classifier.classify_many(slow())
        assert next(results).input == "<image>"  # with the second still to come
        more.set()
        assert len(list(results)) == 1


def test_errors_of_the_source_and_of_decoding_reach_the_reader() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the list ended badly")

    decoder = ParallelDecoder(broken(), lambda item, _: 10 * item, workers=2, ahead=4)
    batches = decoder.batches(4)
    with pytest.raises(OSError, match="ended badly"):
        assert next(batches) == [10]
        next(batches)
    decoder.close()
    decoder = ParallelDecoder([1, 0], lambda item, _: 1 // item, workers=2, ahead=4)
    with pytest.raises(ZeroDivisionError):
        list(decoder.batches(4))
    decoder.close()


def test_closing_early_leaves_no_decoding_thread(artifact_folder: Path) -> None:
    def endless() -> Iterator[np.ndarray]:
        while True:
            yield np.zeros((4, 4), np.uint8)

    with Classifier.load(artifact_folder) as classifier:
        results = classifier.classify_many(endless(), batch_size=4)
        next(results)
        results.close()
    assert not [t for t in threading.enumerate() if t.name == "edgefm-decode"]


def test_where_no_process_can_be_started_threads_go_on() -> None:
    def refuse() -> DecodeWorker:
        raise OSError("no more processes")

    decoder = ParallelDecoder([str(n) for n in range(200)], lambda item, _: item, workers=2, ahead=8, start=refuse)
    assert [x for batch in decoder.batches(4) for x in batch] == [str(n) for n in range(200)]
    decoder.close()


@pytest.mark.parametrize(
    ("cores_busy", "only_if_idle", "started"), [(2, True, False), (2, False, True), (1, True, True)]
)
def test_processes_are_started_where_threads_leave_cores_idle(
    cores_busy: int, only_if_idle: bool, started: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that waits for Python's lock keeps one core busy; beside a large network there is no core to win."""
    monkeypatch.setattr(decoding, "wanted_cpu_s", lambda: cores_busy * decoding.perf_counter())
    starts: list[int] = []

    def refuse() -> DecodeWorker:
        starts.append(1)
        raise OSError("no more processes")

    decoder = ParallelDecoder(
        [str(n) for n in range(400)],
        lambda item, _: time.sleep(0.0005) or item,
        workers=2,
        ahead=100,
        start=refuse,
        only_if_idle=only_if_idle,
    )
    assert [x for batch in decoder.batches(4) for x in batch] == [str(n) for n in range(400)]
    decoder.close()
    assert bool(starts) == started


def test_a_slow_source_starts_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "wanted_cpu_s", lambda: 0.0)

    def slow() -> Iterator[str]:
        for number in range(200):
            time.sleep(0.001)
            yield str(number)

    def refuse() -> DecodeWorker:
        raise AssertionError("a process was started")

    decoder = ParallelDecoder(slow(), lambda item, _: item, workers=2, ahead=8, start=refuse, only_if_idle=True)
    assert len([x for batch in decoder.batches(4) for x in batch]) == 200
    decoder.close()


def test_an_unknown_way_to_decode_is_refused(artifact_folder: Path) -> None:
    with (
        Classifier.load(artifact_folder) as classifier,
        pytest.raises(EngineError, match="processes is 'never'; it is True, False or 'auto'"),
    ):
        list(classifier.classify_many([], processes="never"))  # type: ignore[arg-type]
