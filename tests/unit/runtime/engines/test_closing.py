"""Closing a classifier or an engine under busy threads: calls in flight end, later ones are refused."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from time_limits import HANG_S

from edge_fm_export.targets import Target
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.engines import Engine, EngineOptions, create_engine
from edge_fm_runtime.engines.calls import Calls
from edge_fm_runtime.errors import ClosedError, EngineError
from edge_fm_runtime.system.machine import thread_limit

FORMATS = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "litert", "null": "onnx"}
PIXELS = np.zeros((1, 28, 28, 1), np.uint8)


@pytest.fixture(params=FORMATS)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(engine_name: str, exported: Callable[..., Any]) -> Artifact:
    return load_artifact(exported("grey", Target(FORMATS[engine_name], "fp32")).path)


def close_under_load(call: Callable[[], Any], close: Callable[[], None], *, threads: int = 8) -> list[str]:
    """Close while `threads` call in a loop; the errors that ended the loops, by their class's name."""
    ends: list[str] = []
    begun = threading.Barrier(threads + 1)

    def work() -> None:
        begun.wait()
        try:
            while True:
                call()
        except Exception as error:  # noqa: BLE001  # whatever it is, its name is compared
            ends.append(type(error).__name__)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    begun.wait()
    closer = threading.Thread(target=close, daemon=True)
    closer.start()
    for thread in (closer, *workers):
        thread.join(HANG_S)
        assert not thread.is_alive(), "close() or a call does not come back"
    return ends


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_an_engine_closes_under_busy_threads(opened: Artifact, engine_name: str, hint: Any) -> None:
    engine = create_engine(opened, engine_name, options=EngineOptions(threads=2, hint=hint))
    assert close_under_load(lambda: engine.infer(PIXELS), engine.close) == ["ClosedError"] * 8
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(PIXELS)


def test_an_engine_closed_amid_a_stream(opened: Artifact, engine_name: str) -> None:
    engine = create_engine(opened, engine_name, options=EngineOptions(threads=2, hint="throughput"))
    results = engine.infer_many(PIXELS for _ in range(1000))
    next(results)
    engine.close()
    with pytest.raises(ClosedError):
        list(results)


@pytest.mark.parametrize("name", ["keras", "keras-predict"])
def test_the_original_closes_too(name: str, tiny_sources: dict[str, Any]) -> None:
    from edge_fm.api.common.engines import ALL_ENGINES
    from edge_fm_export.engines.keras_engine import KerasEngine, KerasPredictEngine

    assert name in ALL_ENGINES
    kind = KerasEngine if name == "keras" else KerasPredictEngine
    engine: Engine = kind(tiny_sources["grey"], EngineOptions())
    engine.infer(PIXELS)
    engine.close()
    engine.close()
    with pytest.raises(ClosedError):
        engine.infer(PIXELS)


def test_a_classifier_closes_under_busy_threads(artifact_folder: Path) -> None:
    photo = np.zeros((40, 30), np.uint8)
    classifier = Classifier.load(artifact_folder)
    assert close_under_load(lambda: classifier.classify(photo), classifier.close) == ["ClosedError"] * 8


def test_every_use_after_closing_is_one_error(artifact_folder: Path) -> None:
    photo = np.zeros((4, 4), np.uint8)
    with Classifier.load(artifact_folder) as classifier:
        begun = classifier.classify_many([photo] * 3, batch_size=1)
        next(begun)
    classifier.close()
    for use in (
        lambda: classifier.classify(photo),
        lambda: classifier.predict_pixels(photo[None, ..., None]),
        lambda: list(classifier.classify_many([photo])),
        lambda: list(begun),
    ):
        with pytest.raises(ClosedError, match="The classifier is closed"):
            use()


def test_close_waits_for_the_calls_in_flight() -> None:
    calls = Calls("The engine")
    closed = threading.Event()
    with calls:
        closer = threading.Thread(target=lambda: (calls.close(), closed.set()), daemon=True)
        closer.start()
        while True:  # until close() has begun, calls are let in
            try:
                with calls:
                    pass
            except ClosedError:
                break
        assert not closed.is_set()
    closer.join(60)
    assert closed.is_set()


def test_close_does_not_wait_for_a_call_that_a_signal_ended() -> None:
    calls = Calls("The engine")
    calls.__enter__()  # a signal's exception came before it could be counted out
    calls._changed.acquire()  # and another one before the lock was given back
    closed: list[bool] = []
    # In this thread, as a command's own clean-up does; SIGALRM ends a wait that would last for ever.
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(60)
    try:
        closed.append(calls.close())
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert closed == [True]


def test_close_comes_back_where_a_signal_ended_a_call_before_it_told_so() -> None:
    calls = Calls("The engine")
    calls.__enter__()
    closer = threading.Thread(target=calls.close, daemon=True)
    closer.start()
    while not calls._closed:
        pass
    with calls._changed:  # held by close() until it waits
        calls._running.remove(threading.get_ident())  # what __exit__ does before it wakes who waits
    closer.join(HANG_S)
    assert not closer.is_alive()


def test_a_model_is_changed_while_threads_classify(make_artifact: Callable[..., Path]) -> None:
    """As documented: no request fails, and each is served by the model before the change or by the one after it."""
    current = {"classifier": Classifier.load(make_artifact("old"))}
    new = Classifier.load(make_artifact("new"))
    photo = np.zeros((4, 4), np.uint8)
    enough = threading.Event()

    def classify(number: int) -> str:
        if number == 200:
            enough.set()
        while True:
            try:
                return current["classifier"].classify(photo).label
            except ClosedError:
                continue

    with ThreadPoolExecutor(8) as pool:
        results = [pool.submit(classify, number) for number in range(400)]
        assert enough.wait(HANG_S)
        old, current["classifier"] = current["classifier"], new
        old.close()
        assert len({future.result(HANG_S) for future in results}) == 1
    with pytest.raises(ClosedError):
        old.classify(photo)
    new.close()


@pytest.mark.parametrize("threads", [0, -1, 100_000])
def test_threads_that_the_machine_has_not_are_refused(artifact_folder: Path, threads: int) -> None:
    with pytest.raises(EngineError, match=f"this machine takes 1 to {thread_limit()}"):
        Classifier.load(artifact_folder, threads=threads)
