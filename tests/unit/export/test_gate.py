"""The gate: what is compared, over which images, and which tolerances hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm_export.context import EvaluationSet
from edge_fm_export.gate.gate import check_set, compare_engine, merge_limits, recorded_limits
from edge_fm_export.gate.golden_images import generated_candidates, generated_inputs, golden_indices
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata
from edge_fm_runtime.engines import Engine
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.parity.checks import Limits


class Moody(Engine):
    """A real engine with a fault: its predictions depend on the size of the batch."""

    name, device, precision, threads = "moody", "CPU", "fp32", 1

    def __init__(self, wrong_at: int | None = None, fixed_batch: int | None = None) -> None:
        self.wrong_at, self.fixed_batch = wrong_at, fixed_batch
        self.sizes: list[int] = []

    def infer(self, batch: Pixels, /) -> Probabilities:
        self.sizes.append(len(batch))
        probabilities = np.zeros((len(batch), 2), np.float32)
        first = batch.reshape(len(batch), -1)[:, 0] % 2
        probabilities[np.arange(len(batch)), first] = 1
        return probabilities[:, ::-1] if len(batch) == self.wrong_at else probabilities

    def close(self) -> None:
        """Nothing to release."""


def artifact(*, batch: int | None = None, parity: dict[str, Any] | None = None) -> Artifact:
    spec = InputSpec(4, 4, 1, batch=batch)
    return Artifact(Path("m"), Metadata("m", "onnx", "fp32", "model.onnx", spec, ("a", "b"), parity=parity), Path("m"))


def images(n: int) -> EvaluationSet:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1), dtype=np.uint8)
    return EvaluationSet("noise", pixels, (pixels[:, 0, 0, 0] % 2).astype(np.int64), "0" * 64)


@pytest.mark.parametrize("wrong_at", [1, 257, 256])
def test_a_prediction_that_depends_on_the_batch_is_found(wrong_at: int) -> None:
    test = images(600)
    reference = Moody().predict_all(test.images, batch=100)
    good = compare_engine(artifact(), Moody(), test, reference)
    assert good.failures == () and good.parity.n == 600
    assert compare_engine(artifact(), Moody(wrong_at), test, reference).failures


def test_a_fixed_batch_is_filled_up_and_cut_again() -> None:
    test, engine = images(10), Moody(fixed_batch=4)
    reference = Moody().predict_all(test.images, batch=10)
    result = compare_engine(artifact(batch=4), engine, test, reference)
    assert set(engine.sizes) == {4}
    np.testing.assert_array_equal(result.predictions, reference)


def test_overrides_replace_field_by_field_and_are_recorded() -> None:
    merged = merge_limits(Limits(min_agreement=0.9, max_abs_diff=0.1), Limits(max_abs_diff=0.5, max_drop_points=1.0))
    assert merged == Limits(min_agreement=0.9, max_abs_diff=0.5, max_drop_points=1.0)
    limited = artifact(parity={"limits": {"max_abs_diff": 0.5, "min_agreement": None, "stray": 1}})
    assert recorded_limits(limited) == Limits(max_abs_diff=0.5)
    assert recorded_limits(artifact()) == Limits()


def test_every_failed_check_is_listed() -> None:
    test = images(300)
    reference = Moody().predict_all(test.images, batch=100)[:, ::-1]
    result = compare_engine(artifact(), Moody(), test, reference, override=Limits(max_drop_points=-200.0))
    assert [line.split(" ")[0] for line in result.failures] == ["top1_agreement", "max_abs_diff", "drop_points"]


def test_golden_images_are_of_all_classes_and_the_same_each_time() -> None:
    test = images(500)
    labels = np.array([0] * 490 + [1] * 10)
    selected = golden_indices(replace(test, labels=labels))
    assert len(selected) == len(set(selected)) == 32
    assert np.count_nonzero(labels[selected] == 1) == 10
    np.testing.assert_array_equal(selected, golden_indices(replace(test, labels=labels)))
    assert len(golden_indices(replace(images(5), labels=None))) == 5


@pytest.mark.parametrize("shape", [(28, 28, 1), (40, 24, 3)])
def test_generated_images_are_many_and_the_same_each_time(shape: tuple[int, int, int]) -> None:
    drawn = generated_candidates(shape)
    assert drawn.shape[1:] == shape and drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, generated_candidates(shape))
    assert len(np.unique(drawn.reshape(len(drawn), -1), axis=0)) == len(drawn)
    assert drawn.std(axis=(1, 2, 3)).min() > 1, "each shows something"


def test_of_generated_images_those_are_selected_that_are_surest_of_their_class() -> None:
    candidates = np.arange(6, dtype=np.uint8)[:, None, None, None]
    reference = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3]], np.float32)
    selected = generated_inputs(candidates, reference, count=4)
    assert selected.images.ravel().tolist() == [0, 2, 3, 4], "two of each class, the surest ones"
    assert selected.kind == "generated" and selected.reference[2].argmax() == 1
    assert len(generated_inputs(candidates, reference, count=4, multiple_of=3).images) == 6


def test_images_that_do_not_fit_are_refused(tiny_sources: dict[str, Any]) -> None:
    source, test = tiny_sources["grey"], images(8)
    pixels = np.zeros((8, 28, 28, 1), np.uint8)
    for wrong in (
        test,
        replace(test, images=pixels.astype(np.float32)),
        replace(test, images=pixels[:0], labels=None),
        replace(test, images=pixels, labels=np.full(8, 9)),
        replace(test, images=pixels, labels=np.zeros(3, np.int64)),
    ):
        with pytest.raises(DataError, match="--data SOURCE"):
            check_set(wrong, source, what="test")
