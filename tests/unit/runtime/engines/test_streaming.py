"""Many batches at once give the predictions of one at a time, in order, on every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_fm_export.targets import Target
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.engines import EngineOptions, create_engine

FORMATS = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "litert"}


@pytest.fixture(params=FORMATS)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(engine_name: str, exported: Callable[..., object]) -> Artifact:
    result = exported("grey", Target(FORMATS[engine_name], "fp32"))  # type: ignore[arg-type]
    return load_artifact(result.path)  # type: ignore[attr-defined]


def batches(sizes: list[int]) -> Iterator[Pixels]:
    rng = np.random.default_rng(0)
    for size in sizes:
        yield rng.integers(0, 256, (size, 28, 28, 1), dtype=np.uint8)


@pytest.mark.parametrize("hint", ["latency", "throughput"])
@pytest.mark.parametrize("sizes", [[1] * 50, [2] * 9, [1, 1, 3, 1, 2, 2, 1], []])
def test_predictions_are_those_of_single_calls_in_order(
    opened: Artifact, engine_name: str, hint: str, sizes: list[int]
) -> None:
    engine = create_engine(opened, engine_name, options=EngineOptions(threads=2, hint=hint))  # type: ignore[arg-type]
    assert engine.streams >= 1
    expected = [engine.infer(batch).copy() for batch in batches(sizes)]
    found = list(engine.infer_many(batches(sizes)))
    assert len(found) == len(sizes)
    for prediction, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(prediction, right, atol=1e-6)
    engine.close()


def test_the_same_array_may_be_filled_again_once_its_result_came(opened: Artifact, engine_name: str) -> None:
    engine = create_engine(opened, engine_name, options=EngineOptions(threads=2, hint="throughput", batch=4))
    images = np.concatenate(list(batches([4] * 6)))
    whole = np.concatenate([engine.infer(images[i : i + 4]) for i in range(0, 24, 4)])
    parts = list(engine.infer_many(images[i : i + 4] for i in range(0, 24, 4)))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)
    engine.close()


def test_an_iterator_left_early_leaves_the_engine_usable(opened: Artifact, engine_name: str) -> None:
    engine = create_engine(opened, engine_name, options=EngineOptions(threads=2, hint="throughput"))
    some = engine.infer_many(batches([1] * 20))
    first = next(some)
    some.close()  # type: ignore[attr-defined]
    again = next(iter(engine.infer_many(batches([1]))))
    np.testing.assert_allclose(again, first, atol=1e-6)
    engine.close()


def test_batches_are_drawn_a_few_ahead_only(artifact_folder: Path) -> None:
    engine = create_engine(load_artifact(artifact_folder), options=EngineOptions(threads=2, hint="throughput"))
    drawn = 0

    def source() -> Iterator[Pixels]:
        nonlocal drawn
        while True:
            drawn += 1
            yield np.zeros((1, 4, 4, 1), np.uint8)

    results = engine.infer_many(source())
    for _ in range(3):
        next(results)
    assert drawn <= 3 + 2 * engine.streams
    results.close()  # type: ignore[attr-defined]
