"""Cloth, light and the mistakes of a segmentation, drawn at random on batches of cut-out objects."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.input_pipeline.photo_poses import Floats

Mask: TypeAlias = NDArray[np.bool_]

_PATCH_SHARE = 0.2
_BITE_SHARE = 0.1
_INVERTED_SHARE = 0.15
_PATTERN_SHARE = 0.08
_GRAIN_SHARE = 0.05


def relight(pixels: Floats, soft: Floats, rng: np.random.Generator) -> Floats:
    """Give objects another brightness, contrast, light, cloth and print.

    Args:
        pixels: float32 0..255 `[N,H,W,C]`.
        soft: float32 0..1 `[N,H,W]`, how much of a pixel is object.
        rng: decides everything.

    Returns:
        float32 `[N,H,W,C]`, which may leave 0..255 a little.
    """
    count, height, width, channels = pixels.shape
    weight = soft[..., None]
    mean = (pixels * weight).sum(axis=(1, 2), keepdims=True) / np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    each = (count, 1, 1, 1)
    gain = (rng.uniform(0.4, 1.1, each) * np.where(rng.random(each) < _INVERTED_SHARE, -1, 1)).astype(np.float32)
    level = np.minimum(rng.uniform(50, 330, each), rng.uniform(150, 235, each)) + rng.normal(
        0, 25, (count, 1, 1, channels)
    ) * (channels > 1)
    level = level.astype(np.float32)
    y, x = _axes(height, width)
    grey = _wave(rng, count, y, x, cycles=(0.1, 0.6)) * _size(rng, 18, count)
    for _ in range(2):
        grey += _wave(rng, count, y, x, cycles=(1.0, 5.0)) * _size(rng, 9, count)
    grey += _cloth(rng, count, y, x)
    grey += _noise(rng, count, height, width)
    out: Floats = level + gain * (pixels - mean) + grey[..., None]
    return out


def leftovers(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Mask, Floats]:
    """Bits of the background that were taken for the object: bool `[N,H,W]`, and float32 `[N,H,W,1]` their pixels."""
    count, height, width = shape
    y, x = _axes(height, width)
    has = rng.random(count) < _PATCH_SHARE
    where = _blobs(rng, has, y, x, radius=(0.15, 0.6), edge=True)
    level = rng.uniform(0, 255, (count, 1, 1)) + _wave(rng, count, y, x, cycles=(0.2, 3.0)) * rng.uniform(
        0, 40, (count, 1, 1)
    )
    return where, level[..., None].astype(np.float32)


def bites(shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    """Bits of the object that were taken for background, bool `[N,H,W]`."""
    count, height, width = shape
    y, x = _axes(height, width)
    has = rng.random(count) < _BITE_SHARE
    return _blobs(rng, has, y, x, radius=(0.08, 0.35), edge=False)


def ragged(soft: Floats, rng: np.random.Generator) -> Floats:
    """A silhouette as a segmentation draws it: its edge hard, shifted in and out in waves."""
    count, height, width = soft.shape
    y, x = _axes(height, width)
    shifted = soft + _wave(rng, count, y, x, cycles=(1.0, 4.0)) * _size(rng, 0.2, count)
    hard: Floats = np.clip((shifted - 0.5) * 3 + 0.5, 0, 1) * (soft > 0)
    return hard


def focus(pixels: Floats, rng: np.random.Generator) -> Floats:
    """Blur or sharpen each image, by up to the difference from its 3x3 average."""
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    lines = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    blurred = (lines[:, :, :-2] + lines[:, :, 1:-1] + lines[:, :, 2:]) / np.float32(9)
    amount = rng.uniform(-0.8, 0.6, (len(pixels), 1, 1, 1)).astype(np.float32)
    focused: Floats = pixels + amount * (pixels - blurred)
    return focused


def _size(rng: np.random.Generator, deviation: float, count: int) -> Floats:
    """How strong an effect is, `[N,1,1]`: weak on most."""
    size: Floats = np.abs(rng.normal(0, deviation, (count, 1, 1))).astype(np.float32)
    return size


def _axes(height: int, width: int) -> tuple[Floats, Floats]:
    """Rows `[H,1]` and columns `[1,W]` as -1..1."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    return y[:, None], x[None]


def _phase(rng: np.random.Generator, count: int, y: Floats, x: Floats, cycles: tuple[float, float]) -> Floats:
    """Radians of a plane wave of any direction, `[N,H,W]`; `cycles` fit in the canvas."""
    angle = rng.uniform(0, 2 * np.pi, (count, 1, 1))
    pace = np.pi * rng.uniform(*cycles, (count, 1, 1))
    across, down = (pace * np.cos(angle)).astype(np.float32), (pace * np.sin(angle)).astype(np.float32)
    start = rng.uniform(0, 2 * np.pi, (count, 1, 1)).astype(np.float32)
    phase: Floats = across * x + (down * y + start)
    return phase


def _wave(rng: np.random.Generator, count: int, y: Floats, x: Floats, *, cycles: tuple[float, float]) -> Floats:
    wave: Floats = np.sin(_phase(rng, count, y, x, cycles))
    return wave


def _cloth(rng: np.random.Generator, count: int, y: Floats, x: Floats) -> Floats:
    """Stripes or checks on some, a print on the middle of others, `[N,H,W]`."""
    grey = np.zeros((count, y.shape[0], x.shape[1]), np.float32)
    striped = np.flatnonzero(rng.random(count) < _PATTERN_SHARE)
    some = len(striped)
    depth = rng.uniform(8, 40, (some, 1, 1)).astype(np.float32)
    # Along the cloth's own axes, mostly.
    upright = rng.random((some, 1, 1)) < 0.5
    checked = rng.random((some, 1, 1)) < 0.4
    pace, start = rng.uniform(3, 11, (2, some, 1, 1)), rng.uniform(0, 6.3, (2, some, 1, 1))
    rows = np.sign(np.sin(np.pi * pace[0] * y + start[0]))
    columns = np.sign(np.sin(np.pi * pace[1] * x + start[1]))
    grey[striped] = depth * (rows * (~upright | checked) + columns * (upright | checked))

    printed = np.flatnonzero(rng.random(count) < _PATTERN_SHARE)
    some = len(printed)
    centre_y, centre_x = rng.uniform(-0.5, 0.3, (some, 1, 1)), rng.normal(0, 0.15, (some, 1, 1))
    tall, wide = rng.uniform(0.08, 0.5, (2, some, 1, 1))
    inside = (np.abs(y - centre_y) < tall) & (np.abs(x - centre_x) < wide)
    ink = rng.uniform(-100, 100, (some, 1, 1)) + rng.normal(0, 25, (some, y.shape[0], x.shape[1]))
    grey[printed] += inside * ink
    return grey


def _noise(rng: np.random.Generator, count: int, height: int, width: int) -> Floats:
    """Grain of one pixel or of two, strong on some, `[N,H,W]`."""
    weak, strong = rng.uniform(0, 8, (count, 1, 1)), rng.uniform(10, 30, (count, 1, 1))
    strength = np.where(rng.random((count, 1, 1)) < _GRAIN_SHARE, strong, weak)
    grain = rng.standard_normal((count, height, width), np.float32)
    coarse = np.flatnonzero(rng.random(count) < 0.4)
    halved = grain[coarse, : (height + 1) // 2, : (width + 1) // 2]
    grain[coarse] = halved.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    grain *= strength.astype(np.float32)
    return grain


def _blobs(
    rng: np.random.Generator, has: Mask, y: Floats, x: Floats, *, radius: tuple[float, float], edge: bool
) -> Mask:
    """One or two ellipses in each image that has some, on the canvas's edge or anywhere, bool `[N,H,W]`."""
    out = np.zeros((len(has), y.shape[0], x.shape[1]), np.bool_)
    for share in (1.0, 0.4):
        selected = np.flatnonzero(has & (rng.random(len(has)) < share))
        some = len(selected)
        where = rng.uniform(-1, 1, (2, some, 1, 1)).astype(np.float32)
        if edge:
            fixed = rng.integers(0, 2, some)
            where[fixed, np.arange(some)] = rng.choice((-1.0, 1.0), (some, 1, 1))
        size = rng.uniform(*radius, (2, some, 1, 1)).astype(np.float32)
        out[selected] |= ((y - where[0]) / size[0]) ** 2 + ((x - where[1]) / size[1]) ** 2 < 1
    return out
