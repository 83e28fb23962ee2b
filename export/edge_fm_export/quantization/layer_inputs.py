"""What a layer's outputs are computed of, and how these inputs vary together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

_SAMPLES = 8_192
"""Inputs that a layer's covariances are of: a few for each weight of an output are enough."""


@dataclass(frozen=True)
class Geometry:
    """A convolution's.

    Attributes:
        sides: of its kernel.
        strides: of the kernel.
        dilations: of the kernel.
        pads_begin: zeros before each side of the image.
        pads_end: zeros after it.
        groups: of channels.
    """

    sides: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads_begin: Sequence[int]
    pads_end: Sequence[int]
    groups: int


def outputs_drawn(batch: int, images: int) -> int:
    """How many outputs are looked at in a batch of so many of all images."""
    return -(-_SAMPLES * batch // images)


def dense_inputs(activation: Values, count: int, generator: np.random.Generator) -> Values:
    """What at most `count` outputs of a dense layer, drawn at random, are computed of: `[1,samples,N]`.

    Args:
        activation: that the layer reads, float32 `[...,N]`.
        count: of outputs, over all images.
        generator: draws them.
    """
    flat = activation.reshape(-1, activation.shape[-1])
    return flat[_draw(len(flat), count, generator)][None]


def convolution_inputs(activation: Values, geometry: Geometry, count: int, generator: np.random.Generator) -> Values:
    """What at most `count` outputs of a convolution, drawn at random, are computed of: `[G,samples,N]`.

    Args:
        activation: that the layer reads, float32 `[images,C,...]`.
        geometry: of the convolution.
        count: of outputs of a channel, over all images.
        generator: draws them.
    """
    pads = zip(geometry.pads_begin, geometry.pads_end, strict=True)
    padded = np.pad(activation, ((0, 0), (0, 0), *pads))
    axes = tuple(range(2, activation.ndim))
    reach = [(side - 1) * step + 1 for side, step in zip(geometry.sides, geometry.dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    thinned = [slice(None, None, step) for step in (1, 1, *geometry.strides, *geometry.dilations)]
    windows = windows[tuple(thinned)]
    places = (len(windows), *windows.shape[2 : activation.ndim])
    drawn = _draw(int(np.prod(places)), count, generator)
    where: list[Any] = list(np.unravel_index(drawn, places))
    where.insert(1, slice(None))
    taken = windows[tuple(where)]  # NumPy puts what was drawn first: [samples, channels, *sides]
    inputs: Values = taken.reshape(len(drawn), geometry.groups, -1).transpose(1, 0, 2)
    return inputs


@dataclass
class Inputs:
    """What a layer reads: covariances and means over samples.

    Sums are of the distances from the first samples' means, so that float32 products keep small variances beside large
    means.

    Attributes:
        samples: how many were counted.
    """

    samples: int = 0
    _origin: Values = field(default_factory=lambda: np.zeros(0, np.float32))
    _products: Values = field(default_factory=lambda: np.zeros(0, np.float32))
    _sums: Doubles = field(default_factory=lambda: np.zeros(0))

    def add(self, inputs: Values) -> None:
        """Count `inputs`, float32 `[G,samples,N]`."""
        groups, _, count = inputs.shape
        with np.errstate(over="ignore", invalid="ignore"):  # `is_finite` tells
            if not self.samples:
                self._origin = inputs.mean(axis=1, keepdims=True)
                self._products, self._sums = np.zeros((groups, count, count), np.float32), np.zeros((groups, count))
            distances = inputs - self._origin
            self._products += distances.transpose(0, 2, 1) @ distances
            self._sums += distances.sum(axis=1, dtype=np.float64)
        self.samples += inputs.shape[1]

    def is_finite(self) -> bool:
        """Whether there are samples, and none that overflows."""
        return self.samples > 0 and bool(np.isfinite(self._products).all() and np.isfinite(self._sums).all())

    def means(self) -> Doubles:
        """`[G,N]`."""
        return np.asarray(self._origin[:, 0] + self._sums / self.samples, np.float64)

    def covariances(self) -> Doubles:
        """`[G,N,N]`."""
        shift = self._sums / self.samples
        covariances: Doubles = self._products.astype(np.float64)
        covariances /= self.samples
        covariances -= shift[:, :, None] * shift[:, None, :]
        return covariances


def _draw(total: int, count: int, generator: np.random.Generator) -> Values:
    """At most `count` of the numbers below `total`, in order."""
    return np.arange(total) if total <= count else np.sort(generator.choice(total, count, replace=False))
