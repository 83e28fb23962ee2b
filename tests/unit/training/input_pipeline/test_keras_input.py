"""Batches reach Keras once each, in their order, without tf.data's autotuning."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from edge_fm.training.streaming.failing_batches import raising_own_errors
from edge_fm.training.streaming.keras_input import array_batches, keras_input
from edge_fm.training.streaming.prediction import predict

pytest.importorskip("tensorflow")

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 3, 3, 1), dtype=np.uint8)
TARGETS = np.eye(10, 2, dtype=np.float32)


@pytest.fixture
def model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    made = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    made.compile(keras.optimizers.SGD(1e-6), "mse", jit_compile=False)
    return made


def counted(batches: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the batches that are asked for from now on."""
    asked: list[int] = []
    original = type(batches).__getitem__

    def getitem(self: Any, index: int) -> Any:
        asked.append(index)
        return original(self, index)

    monkeypatch.setattr(type(batches), "__getitem__", getitem)
    return asked


def test_each_batch_is_made_once_and_in_order(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = array_batches(IMAGES, TARGETS, batch_size=3)
    asked = counted(batches, monkeypatch)
    model.fit(keras_input(batches), shuffle=False, verbose=0)
    assert asked == [0, 1, 2, 3]


def test_what_comes_out_is_what_went_in() -> None:
    weights = np.arange(10, dtype=np.float32)
    read = list(keras_input(array_batches(IMAGES, TARGETS, weights, batch_size=4)).as_numpy_iterator())
    assert [len(images) for images, _, _ in read] == [4, 4, 2]
    for number, array in enumerate((IMAGES, TARGETS, weights)):
        assert np.array_equal(np.concatenate([batch[number] for batch in read]), array)


def test_nothing_is_tuned_and_the_length_is_known() -> None:
    read = keras_input(array_batches(IMAGES, batch_size=4))
    assert read.options().autotune.enabled is False
    assert int(read.cardinality()) == 3


def test_weights_of_images_count(model: Any) -> None:
    before = model.get_weights()
    nothing = np.zeros(10, np.float32)
    model.fit(keras_input(array_batches(IMAGES, TARGETS, nothing, batch_size=4)), shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    model.fit(keras_input(array_batches(IMAGES, TARGETS, nothing + 1, batch_size=4)), shuffle=False, verbose=0)
    assert not np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize("batch_size", [1, 4, 10, 64])
def test_predictions_are_those_of_the_model(model: Any, batch_size: int) -> None:
    expected = np.asarray(model(IMAGES.astype(np.float32)))
    assert np.allclose(predict(model, IMAGES, batch_size=batch_size), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("fails_at", [0, 1, 3])
def test_what_stops_a_batch_is_raised(model: Any, fails_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unreadable:
        def __len__(self) -> int:
            return 10

        def __getitem__(self, rows: slice) -> Any:
            if rows.start >= 3 * fails_at:
                raise OSError("the disk is gone")
            return IMAGES[rows]

    batches = array_batches(Unreadable(), batch_size=3)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="the disk is gone"), raising_own_errors(batches):
        model.predict(keras_input(batches), verbose=0)


def test_nothing_of_an_epoch_is_kept(model: Any) -> None:
    batches = array_batches(IMAGES, TARGETS, batch_size=4)
    kept = weakref.ref(batches)
    model.fit(keras_input(batches), shuffle=False, verbose=0)
    predict(model, IMAGES, batch_size=4)
    del batches
    gc.collect()
    assert kept() is None


def test_another_backend_reads_the_batches_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    batches = array_batches(IMAGES, batch_size=3)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert keras_input(batches) is batches
