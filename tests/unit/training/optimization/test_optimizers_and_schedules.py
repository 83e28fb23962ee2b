"""Every optimizer learns, and every schedule has its shape."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from edge_fm.training.optimization.optimizers import build_optimizer
from edge_fm.training.optimization.schedules import build_schedule, plateau_rate, stops_early
from edge_fm.training.recipe import OptimizerName, OptimizerPart, ScheduleName, SchedulePart
from edge_fm.training.recipe.optimizer import USUAL

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.mark.parametrize("name", get_args(OptimizerName))
def test_every_optimizer_makes_a_small_network_less_wrong(name: OptimizerName) -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3),
            keras.layers.Conv2D(6, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    part = OptimizerPart(name=name)
    model.compile(build_optimizer(part, part.peak_rate), "sparse_categorical_crossentropy")
    images = np.random.default_rng(0).normal(size=(32, 6, 6, 1)).astype("float32")
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype("int64")
    before = model.evaluate(images, labels, verbose=0)
    model.fit(images, labels, epochs=10, batch_size=16, verbose=0)
    assert model.evaluate(images, labels, verbose=0) < 0.9 * before


def test_every_optimizer_has_usual_settings() -> None:
    assert set(USUAL) == set(get_args(OptimizerName))


def test_decay_spares_biases_and_batch_normalization() -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    part = OptimizerPart(name="sgd", learning_rate=0.1, weight_decay=0.5, momentum=0.0)
    optimizer = build_optimizer(part, 0.1)
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer.apply([keras.ops.zeros_like(v) for v in model.trainable_variables], model.trainable_variables)
    after = {v.path.rpartition("/")[2]: keras.ops.convert_to_numpy(v) for v in model.trainable_variables}
    np.testing.assert_allclose(after.pop("kernel"), 0.95, atol=1e-6)
    for name, value in after.items():
        np.testing.assert_array_equal(value, 1, err_msg=name)


def test_muon_takes_an_orthogonal_step_on_convolutions() -> None:
    import keras

    rng = np.random.default_rng(0)
    kernel = keras.Variable(rng.normal(size=(3, 3, 8, 16)).astype("float32"))
    depthwise = keras.Variable(rng.normal(size=(3, 3, 8, 1)).astype("float32"))
    before = keras.ops.convert_to_numpy(kernel).copy()
    part = OptimizerPart(name="muon", learning_rate=1.0, weight_decay=0.0, momentum=0.0)
    optimizer = build_optimizer(part, 1.0)
    gradients = [keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype("float32")) for v in (kernel, depthwise)]
    optimizer.apply(gradients, [kernel, depthwise])
    step = (before - keras.ops.convert_to_numpy(kernel)).reshape(72, 16)
    values = np.linalg.svd(step / (0.2 * np.sqrt(72)), compute_uv=False)
    # Five Newton-Schulz iterations bring the singular values near 1, not to it.
    assert values.min() > 0.6
    assert values.max() < 1.3


def rates(part: SchedulePart, steps_per_epoch: int = 10, epochs: int = 10) -> np.ndarray:
    schedule = build_schedule(part, peak=2.0, steps_per_epoch=steps_per_epoch, epochs=epochs)
    return np.array([float(schedule(step)) for step in range(steps_per_epoch * epochs)])


@pytest.mark.parametrize("name", [name for name in get_args(ScheduleName) if name != "plateau"])
def test_rates_stay_between_nought_and_the_peak(name: ScheduleName) -> None:
    values = rates(SchedulePart(name=name, factor=0.5, every=2))
    assert values[0] == pytest.approx(2.0, rel=0.02)
    assert (values > 0).all()
    assert (np.diff(values) <= 1e-6).all()
    warm = rates(SchedulePart(name=name, warmup=0.2, factor=0.5, every=2))
    assert 0 < warm[0] < 0.2
    assert (np.diff(warm[:19]) > 0).all()


def test_shapes_of_schedules() -> None:
    assert (rates(SchedulePart(name="constant")) == 2.0).all()
    one = rates(SchedulePart(name="one-cycle", warmup=0.2))
    assert one[59] == pytest.approx(2.0 * 41 / 80)
    assert one[-1] == pytest.approx(2.0 / 80, rel=1e-4)
    cosine = rates(SchedulePart(name="cosine"))
    assert cosine[50] == pytest.approx(1.0, rel=1e-3)
    assert cosine[-1] < 0.01
    steps = rates(SchedulePart(name="step", factor=0.1, every=3))
    np.testing.assert_allclose(steps[[0, 29, 30, 59, 60, 99]], [2, 2, 0.2, 0.2, 0.02, 0.002], rtol=1e-4)
    smooth = rates(SchedulePart(name="exponential", factor=0.5, every=2))
    np.testing.assert_allclose(smooth[[0, 10, 20]], [2, 2 * 0.5**0.5, 1], rtol=1e-4)


def test_falling_schedules_can_begin_after_some_epochs() -> None:
    late = rates(SchedulePart(name="step", factor=0.1, every=3, after=4))
    np.testing.assert_allclose(late[[0, 39, 69, 70, 99]], [2, 2, 2, 0.2, 0.2], rtol=1e-4)
    smooth = rates(SchedulePart(name="exponential", factor=0.5, every=2, after=3))
    np.testing.assert_allclose(smooth[[0, 30, 40, 50]], [2, 2, 2 * 0.5**0.5, 1], rtol=1e-4)


@pytest.mark.parametrize(("name", "usual"), [("sgd", True), ("muon", True)])
def test_nesterov_is_asked_for_or_usual(name: OptimizerName, usual: bool) -> None:
    assert build_optimizer(OptimizerPart(name=name), 0.1).nesterov is usual
    assert build_optimizer(OptimizerPart(name=name, nesterov=False), 0.1).nesterov is False
    assert build_optimizer(OptimizerPart(name=name, momentum=0.5, nesterov=True), 0.1).nesterov is True
    assert build_optimizer(OptimizerPart(name="sgd", momentum=0.0), 0.1).nesterov is False


def test_patience_counts_from_the_best_loss() -> None:
    losses = [1.0, 0.9, 0.95, 0.92, 0.8, 0.8, 0.81]
    assert [stops_early(2, losses[:n]) for n in range(8)] == [False, False, False, False, True, False, False, True]
    assert not any(stops_early(0, losses[:n]) for n in range(8))
    assert stops_early(1, [0.5, float("nan")])


def test_plateau_waits_and_then_lowers() -> None:
    part = SchedulePart(name="plateau", factor=0.5, every=2)
    assert build_schedule(part, peak=2.0, steps_per_epoch=10, epochs=10) == 2.0
    losses = [1.0, 0.9, 0.95, 0.92, 0.91, 0.93, 0.8]
    expected = [2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5]
    assert [plateau_rate(part, peak=2.0, val_losses=losses[:n]) for n in range(8)] == expected
