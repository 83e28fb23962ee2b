"""Round a layer's weights so that its outputs stay close, and not each weight by itself.

Rounded to the nearest, a layer's errors add up wherever its inputs go together, as neighbouring pixels and channels
do. Here weights are rounded one after the other, and those that are left take back what the rounded ones cost.

Source: GPTQ (Frantar 2022, arXiv:2210.17323), which is optimal brain surgeon (Hassibi 1993) for integers; the order,
largest inputs first, is that of its authors' code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.quantization.layer_inputs import Doubles, Inputs, Values

Integers = npt.NDArray[np.int64]

MOST_INPUTS = 4608
"""Weights of one output, up to which a layer is rounded so: those of a 3x3 convolution of 512 channels. A square matrix
of them takes 170 MB, and its inverse some seconds."""
_LEAST_DAMPING = 0.1
"""Of each input's variance: better than 0.01 of it, or of all inputs' mean, on validation photos of four networks."""
_TINY = 1e-4
"""Of the mean variance: inputs that vary less are damped as if they did so much."""
_BLOCK = 128
_TOLERANCE = 1e-3
"""Of a step: what the limit of a row may miss a whole step by, from float32."""


def round_layer(weights: Values, scales: Values, nearest: Values, inputs: Inputs) -> Integers | None:
    """The integers that keep a layer's outputs closest; None where they cannot be told.

    Args:
        weights: float `[G,O,N]`: groups, outputs of one, weights of an output.
        scales: of a step, of that shape.
        nearest: integers of that shape, the weights in steps as the quantizer rounds them.
        inputs: of the layer.
    """
    one = scales[..., :1]
    if not inputs.is_finite() or not (scales == one).all():
        return None
    try:
        return round_weights(
            weights.astype(np.float64),
            one[..., 0].astype(np.float64),
            nearest.astype(np.int64),
            inputs.covariances(),
            inputs.means(),
            inputs.samples,
        )
    except np.linalg.LinAlgError:  # inputs that vary by nothing beside their means
        return None


def round_weights(
    weights: Doubles, scales: Doubles, nearest: Integers, covariances: Doubles, means: Doubles, samples: int
) -> Integers:
    """The integers that keep a layer's outputs closest, found greedily; never farther than the nearest ones.

    The integers with the largest absolute value of each row stay as they are, and none becomes larger than the row's
    largest weight, so that a quantizer that takes its scales from the weights finds the same ones again.

    Args:
        weights: float `[G,O,N]`: groups, outputs of one, weights of an output.
        scales: of a step, `[G,O]`; rows with a scale of 0 stay as they are.
        nearest: `[G,O,N]`, the weights in steps as the quantizer rounds them.
        covariances: `[G,N,N]`, of the inputs of a group; overwritten.
        means: `[G,N]`, of the inputs.
        samples: how many these are of; the fewer, the less is made of inputs that go together.

    Returns:
        `[G,O,N]`.

    >>> alike = np.ones((1, 3, 3))  # three inputs that are always the same: only the sum of the weights counts
    >>> weights = np.array([[[2.0, 0.4, 0.4]]])
    >>> nearest = np.rint(weights).astype(int)
    >>> round_weights(weights, np.array([[1.0]]), nearest, alike, means=np.zeros((1, 3)), samples=1000).tolist()
    [[[2, 0, 1]]]
    """
    groups, _, count = weights.shape
    variances = np.maximum(np.einsum("gii->gi", covariances), 0.0)
    alive = variances.max(axis=1) > 0  # a group whose inputs never vary tells nothing
    # Each input by its own variance, as far as the samples tell it from the others' mean.
    mean = np.where(alive, variances.mean(axis=1), 1.0)[:, None]
    told = (samples * variances + count * mean) / (samples + count)
    damping = max(_LEAST_DAMPING, count / samples) * np.maximum(told, _TINY * mean)
    order = np.argsort(-(variances + means**2 + damping), axis=1, kind="stable")
    moments = covariances
    moments += means[:, :, None] * means[:, None, :]
    moments[:, np.arange(count), np.arange(count)] += damping
    moments = moments[np.arange(groups)[:, None, None], order[:, :, None], order[:, None, :]]
    exact = weights / np.where(scales > 0, scales, 1.0)[..., None]
    exact = np.take_along_axis(exact, order[:, None, :], axis=2)
    nearest = np.take_along_axis(nearest, order[:, None, :], axis=2)
    found = _compensated(exact, nearest, _inverse_factor(moments))
    better = _cost(exact - found, moments) < _cost(exact - nearest, moments)
    found = np.where((better & alive[:, None] & (scales > 0))[..., None], found, nearest)
    return np.take_along_axis(found, np.argsort(order, axis=1)[:, None, :], axis=2)


def _inverse_factor(moments: Doubles) -> Doubles:
    """The upper triangular U of which U' U is the inverse of `moments` `[G,N,N]`."""
    reverse = (slice(None), slice(None, None, -1), slice(None, None, -1))
    return np.linalg.inv(np.linalg.cholesky(moments[reverse])[reverse])


def _compensated(exact: Doubles, nearest: Integers, factor: Doubles) -> Integers:
    """Round column by column of `exact` `[G,O,N]`, in steps, and give each error on to the columns after it.

    Args:
        exact: weights in steps.
        nearest: as the quantizer rounds them.
        factor: `[G,N,N]`, of `_inverse_factor`.
    """
    left = exact.copy()
    found = nearest.copy()
    size = np.abs(nearest)
    peak = size == size.max(axis=2, keepdims=True)
    limit = np.floor(np.abs(exact).max(axis=2) + _TOLERANCE)
    count = exact.shape[2]
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        errors = np.zeros((*exact.shape[:2], stop - start))
        for column in range(start, stop):
            rounded = np.clip(np.rint(left[:, :, column]), -limit, limit)
            rounded = np.where(peak[:, :, column], nearest[:, :, column], rounded)
            error = (left[:, :, column] - rounded) / factor[:, None, column, column]
            following = factor[:, None, column, column + 1 : stop]
            left[:, :, column + 1 : stop] -= error[..., None] * following
            errors[:, :, column - start] = error
            found[:, :, column] = rounded
        left[:, :, stop:] -= errors @ factor[:, start:stop, stop:]
    return found


def _cost(errors: npt.NDArray[Any], moments: Doubles) -> Doubles:
    """The mean square of what errors `[G,O,N]` of the weights do to the outputs, `[G,O]`."""
    return np.asarray(((errors @ moments) * errors).sum(axis=2))
