"""Engines of third parties: an object with `infer` and `close` alone, or a subclass of `Engine`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_fm_runtime import Classifier, Engine, EngineOptions, create_engine, load_artifact, verify_golden
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import Metadata

HERE = __name__
REGISTRY = {"minimal": f"{HERE}:Minimal", "subclass": f"{HERE}:Subclass"}


def onnx(artifact: Artifact) -> Engine:
    return create_engine(artifact, "onnxruntime", options=EngineOptions(threads=1))


class Minimal:
    """All that is asked of third-party code."""

    def __init__(self, artifact: Artifact, options: EngineOptions) -> None:
        self._engine = onnx(artifact)
        self.sizes: list[int] = []

    def infer(self, batch: Pixels, /) -> Probabilities:
        self.sizes.append(len(batch))
        return self._engine.infer(batch)

    def close(self) -> None:
        self._engine.close()


class Subclass(Engine):
    """A subclass that takes everything else over."""

    def infer(self, batch: Pixels, /) -> Probabilities:
        return np.full((len(batch), 3), 1 / 3, np.float32)

    def close(self) -> None:
        """Nothing to release."""


def test_an_object_with_infer_and_close_serves_as_an_engine(artifact_folder: Path) -> None:
    artifact = load_artifact(artifact_folder)
    engine = create_engine(artifact, "minimal", registry=REGISTRY)
    assert (engine.name, engine.device, engine.precision, engine.threads, engine.streams) == (
        *("Minimal", "CPU", "unknown"),
        *(1, 1),
    )
    assert verify_golden(artifact, Minimal(artifact, EngineOptions())).passed
    pixels = np.random.default_rng(0).integers(0, 256, (5, *artifact.metadata.input.shape), dtype=np.uint8)
    parts = list(engine.infer_many(pixels[i : i + 1] for i in range(5)))
    np.testing.assert_allclose(np.concatenate(parts), onnx(artifact).infer(pixels), atol=1e-6)
    engine.close()


def test_what_a_third_party_engine_says_of_itself_is_taken_over(artifact_folder: Path) -> None:
    class Described(Minimal):
        name, device, precision, threads = "described", "NPU", "int4", 3

    engine = Classifier(
        load_artifact(artifact_folder), Described(load_artifact(artifact_folder), EngineOptions())
    ).engine
    assert (engine.name, engine.device, engine.precision, engine.threads) == ("described", "NPU", "int4", 3)


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("count", [1, 4, 10])
def test_a_fixed_batch_is_filled_up(
    make_artifact: Callable[..., Path], metadata: Metadata, name: str, count: int
) -> None:
    artifact = load_artifact(make_artifact(metadata=replace(metadata, input=replace(metadata.input, batch=4))))
    engine = create_engine(artifact, name, registry=REGISTRY)
    assert engine.fixed_batch == 4
    pixels = np.random.default_rng(0).integers(0, 256, (count, *artifact.metadata.input.shape), dtype=np.uint8)
    assert engine.predict_all(pixels, batch=3).shape == (count, len(artifact.metadata.labels))


def test_only_whole_batches_reach_a_model_of_a_fixed_batch(
    make_artifact: Callable[..., Path], metadata: Metadata
) -> None:
    artifact = load_artifact(make_artifact(metadata=replace(metadata, input=replace(metadata.input, batch=4))))
    minimal = Minimal(artifact, EngineOptions())
    with Classifier(artifact, minimal) as classifier:
        assert len(list(classifier.classify_many([np.zeros((4, 4), np.uint8)] * 10))) == 10
    assert set(minimal.sizes) == {4}


def test_progress_is_called_before_each_batch_and_in_the_end(artifact_folder: Path) -> None:
    artifact = load_artifact(artifact_folder)
    calls: list[tuple[str, int, int | None]] = []
    pixels = np.zeros((5, *artifact.metadata.input.shape), np.uint8)
    onnx(artifact).predict_all(pixels, batch=2, stage="asking", progress=lambda *call: calls.append(call))
    assert calls == [("asking", 0, 5), ("asking", 2, 5), ("asking", 4, 5), ("asking", 5, 5)]
