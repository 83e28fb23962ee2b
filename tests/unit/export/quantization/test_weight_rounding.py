"""Weights rounded so that a layer's outputs stay close: never farther than the nearest integers, and on one grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fm_export.quantization.layer_inputs import Inputs
from edge_fm_export.quantization.weight_rounding import round_layer, round_weights


def layer(seed: int, groups: int, outputs: int, count: int, samples: int, limit: float = 127.0) -> tuple[Any, ...]:
    """Weights, scales as a quantizer takes them, nearest integers, and inputs that go together."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(groups, outputs, count))
    scales = np.abs(weights).max(axis=2) / limit
    nearest = np.rint(weights / scales[..., None]).astype(np.int64)
    common = rng.normal(size=(groups, samples, 1))
    inputs = 1.0 + common + 0.2 * rng.normal(size=(groups, samples, count))
    return weights, scales, nearest, inputs


def rounded(weights: Any, scales: Any, nearest: Any, inputs: Any) -> Any:
    """What the inputs' own covariances and means make of the weights."""
    means = inputs.mean(axis=1)
    distances = inputs - means[:, None]
    covariances = distances.transpose(0, 2, 1) @ distances / inputs.shape[1]
    return round_weights(weights, scales, nearest, covariances, means, inputs.shape[1])


def errors(weights: Any, scales: Any, integers: Any, inputs: Any) -> Any:
    """The mean square error of each output."""
    return np.square((weights - integers * scales[..., None]) @ inputs.transpose(0, 2, 1)).mean(axis=2)


@pytest.mark.parametrize("count", [1, 9, 27, 300])
def test_outputs_are_closer_on_inputs_that_were_not_seen(count: int) -> None:
    weights, scales, nearest, inputs = layer(0, 2, 8, count, 4000)
    seen, unseen = inputs[:, :2000], inputs[:, 2000:]
    found = rounded(weights, scales, nearest, seen)
    before, after = (errors(weights, scales, integers, unseen).mean() for integers in (nearest, found))
    assert after <= before
    if count > 1:
        assert after < before / 5


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    groups=st.integers(1, 3),
    outputs=st.integers(1, 4),
    count=st.integers(1, 140),
    samples=st.integers(1, 60),
    limit=st.sampled_from([127.0, 63.5]),
)
def test_a_quantizer_finds_the_same_scales_again(
    seed: int, groups: int, outputs: int, count: int, samples: int, limit: float
) -> None:
    weights, scales, nearest, inputs = layer(seed, groups, outputs, count, samples, limit)
    found = rounded(weights, scales, nearest, inputs)
    values = np.where(found == nearest, weights, found * scales[..., None])
    assert np.array_equal(np.abs(values).max(axis=2), np.abs(weights).max(axis=2))
    assert np.array_equal(np.rint(values / scales[..., None]), found)


def test_groups_are_rounded_each_by_itself() -> None:
    weights, scales, nearest, inputs = layer(3, 4, 2, 25, 500)
    together = rounded(weights, scales, nearest, inputs)
    for group in range(4):
        part = slice(group, group + 1)
        alone = rounded(weights[part], scales[part], nearest[part], inputs[part])
        assert np.array_equal(together[part], alone)


def test_few_samples_are_not_trusted() -> None:
    """Two samples say nothing of 400 weights: what they do not show may not become much worse."""
    weights, scales, nearest, _ = layer(4, 1, 16, 400, 1)
    inputs = np.random.default_rng(5).normal(size=(1, 4000, 400))
    found = rounded(weights, scales, nearest, inputs[:, :2])
    before, after = (errors(weights, scales, integers, inputs[:, 2:]).mean() for integers in (nearest, found))
    assert after < 1.1 * before


def test_dead_inputs_and_dead_outputs_stay_as_they_are() -> None:
    weights, scales, nearest, inputs = layer(6, 2, 3, 9, 100)
    weights[0, 1], nearest[0, 1], scales[0, 1] = 0.0, 0, 0.0
    inputs[1] = 0.0
    found = rounded(weights, scales, nearest, inputs)
    assert np.array_equal(found[0, 1], nearest[0, 1])
    assert np.array_equal(found[1], nearest[1])
    assert not np.array_equal(found[0], nearest[0])


@pytest.mark.parametrize("broken", ["overflow", "scales", "constant"])
def test_layers_of_which_nothing_can_be_told_are_left(broken: str) -> None:
    weights, scales, nearest, values = layer(8, 1, 3, 9, 200)
    steps = np.broadcast_to(scales[..., None], weights.shape).copy()
    if broken == "overflow":
        values[0, 0, 0] = np.inf
    elif broken == "scales":
        steps[0, 0, 1] *= 2.0
    else:
        values = 1e12 + 1e-3 * values
    inputs = Inputs()
    inputs.add(values if broken == "constant" else values.astype(np.float32))
    assert round_layer(weights, steps, nearest, inputs) is None
