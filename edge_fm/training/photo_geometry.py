"""Where each pixel of a photo-like image comes from: turned, stretched, sides spread, doubled, cropped anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

_TURN_DEG = 9.0
_FREE_TURN_DEG = 25.0
_SPREAD_SHARE = 0.6
_SPREAD_DEG = (5.0, 35.0)
_ABOVE_SHARE = 0.75
_NARROW = 0.65
_QUARTER = np.float32(np.pi / 2)


@dataclass(frozen=True)
class Warp:
    """Coordinates in the source for each pixel of the result: float32 `[N,H,W]`, in pixels."""

    rows: Floats
    columns: Floats


@dataclass(frozen=True)
class _Spread:
    """Sides turned outwards about two pivots: `[N,1]` each, in pixels from the middle and radians."""

    across: Floats
    down: Floats
    seam: Floats
    turn: Floats

    def forward(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Where a pixel goes."""
        return self._turn(x, y, forward=True)

    def backward(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Where a pixel comes from; infinitely far away where a gap has opened."""
        return self._turn(x, y, forward=False)

    def _turn(self, x: Floats, y: Floats, *, forward: bool) -> tuple[Floats, Floats]:
        out, along = np.abs(x) - self.across, y - self.down
        angle = np.arctan2(out, along)  # 0 is straight down, a quarter outwards
        turn, seam = self.turn, self.seam
        if forward:
            turned = angle + turn * np.clip((2 * _QUARTER - angle) / _QUARTER, 0, 1)
        else:
            above = 2 * _QUARTER - (2 * _QUARTER - angle) * _QUARTER / (_QUARTER - turn)
            turned = np.where(angle > _QUARTER + turn, above, angle - turn)
        turned = np.where(angle < seam, angle, turned)
        far = np.sqrt(out * out + along * along)
        new_x = np.sign(x) * (self.across + far * np.sin(turned))
        new_y = self.down + far * np.cos(turned)
        if not forward:
            new_x = np.where((angle >= seam) & (angle < seam + turn), np.float32(1e6), new_x)
        return new_x, new_y


@dataclass(frozen=True)
class _Above:
    """A thing that stands, seen from above: what is highest is in its middle line, its foot is at both edges.

    `top` `[N,W]` is the highest pixel of each column, `middle` `[N,1]` the column from which x is counted, `factor`
    `[N,1]` how wide a pixel of height becomes.
    """

    top: Floats
    middle: Floats
    factor: Floats

    def forward(self, x: Floats, y: Floats) -> Floats:
        """How far from the middle line a pixel goes, to one side or the other in turn."""
        side = np.where(np.arange(y.shape[1]) % 2, np.float32(1), np.float32(-1))
        return (y - self._top_at(x)) * self.factor * side

    def backward(self, x: Floats, y: Floats) -> Floats:
        """The height that a place so far from the middle line shows."""
        return np.abs(y) / self.factor + self._top_at(x)

    def _top_at(self, x: Floats) -> Floats:
        width = self.top.shape[1]
        column = np.clip(np.rint(x + self.middle), 0, width - 1).astype(np.int32)
        found: Floats = np.take_along_axis(self.top, column, axis=1)
        return found


def draw_warp(
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    mirror: bool,
    spread: NDArray[np.bool_],
    free: NDArray[np.bool_],
    doubled: NDArray[np.bool_],
) -> Warp:
    """Draw a warp for each image, and fit what it makes of the silhouette to the canvas again.

    Args:
        mask: bool `[N,H,W]`, at least one pixel of each image.
        rng: decides everything.
        mirror: may they be mirrored?
        spread: bool `[N]`, whose sides may turn outwards.
        free: bool `[N]`, which may be turned as far as one likes.
        doubled: bool `[N]`, which of these become pairs.
    """
    count, height, width = mask.shape
    y, x = (
        axis.ravel() for axis in np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (height, width)), indexing="ij")
    )
    flat = mask.reshape(count, -1)
    (x0, x1), (y0, y1) = _extent(np.broadcast_to(x, flat.shape), flat), _extent(np.broadcast_to(y, flat.shape), flat)
    middle_x, middle_y, half_x, half_y = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0 + 1) / 2, (y1 - y0 + 1) / 2
    source_x, source_y = x - middle_x, y - middle_y

    sides = np.flatnonzero(spread & (rng.random(count) < _SPREAD_SHARE))
    opened = _draw_spread(mask[sides], half_x[sides], half_y[sides], rng)
    above = np.flatnonzero(doubled & (rng.random(count) < _ABOVE_SHARE))
    seen_above = _draw_above(mask[above], half_x[above], middle_x[above], middle_y[above], rng)
    matrix = _draw_matrix(rng, (half_x / half_y)[:, 0], mirror=mirror, free=free, doubled=doubled, above=above)

    if len(above):
        source_y[above] = seen_above.forward(source_x[above], source_y[above])
    if len(sides):
        source_x[sides], source_y[sides] = opened.forward(source_x[sides], source_y[sides])
    forward_x, forward_y = _apply(matrix, source_x, source_y)
    (x0, x1), (y0, y1) = _extent(forward_x, flat), _extent(forward_y, flat)

    # One of a pair: its inner side touches the fold, or is a little beyond or short of it.
    two = doubled[:, None]
    fold = np.where(two, x0 + (x1 - x0) * _uniform(rng, -0.1, 0.2, count), 0)
    slip = np.where(two, _normal(rng, 0.06, count) * (y1 - y0), 0)
    wide, tall = np.where(two, 2 * (x1 - fold), x1 - x0) + 1, y1 - y0 + 1 + np.abs(slip)
    scale = np.maximum(wide / width, tall / height) * _draw_zoom(rng, count)
    off_x, off_y = _normal(rng, 0.025 * width, count), _normal(rng, 0.025 * height, count)
    target_x = (x - np.float32((width - 1) / 2)) * scale + (np.where(two, 0, (x0 + x1) / 2) - off_x * scale)
    target_y = (y - np.float32((height - 1) / 2)) * scale + ((y0 + y1) / 2 - off_y * scale)
    pairs = np.flatnonzero(doubled)
    target_y[pairs] += np.sign(target_x[pairs]) * slip[pairs] / 2
    target_x[pairs] = np.abs(target_x[pairs]) + fold[pairs]

    back_x, back_y = _apply(np.linalg.inv(matrix), target_x, target_y)
    if len(above):
        back_y[above] = seen_above.backward(back_x[above], back_y[above])
    if len(sides):
        back_x[sides], back_y[sides] = opened.backward(back_x[sides], back_y[sides])
    return Warp(rows=(back_y + middle_y).reshape(mask.shape), columns=(back_x + middle_x).reshape(mask.shape))


def _apply(matrix: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Each of `[N,2,2]` to each of `[N,P]` points."""
    return (
        matrix[:, 0, 0, None] * x + matrix[:, 0, 1, None] * y,
        matrix[:, 1, 0, None] * x + matrix[:, 1, 1, None] * y,
    )


def _uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Floats:
    return rng.uniform(low, high, (count, 1)).astype(np.float32)


def _normal(rng: np.random.Generator, deviation: float, count: int) -> Floats:
    return rng.normal(0, deviation, (count, 1)).astype(np.float32)


def resample(images: NDArray[np.uint8], mask: NDArray[np.bool_], warp: Warp) -> tuple[Floats, Floats]:
    """Fetch pixels and silhouette along a warp, between pixels linearly.

    Returns:
        float32 0..255 `[N,H,W,C]`, and float32 0..1 `[N,H,W]`.
    """
    count, height, width, channels = images.shape
    # Far out is as good as just outside, where there is a frame of nothing.
    rows = np.clip(warp.rows + 1, 0, height + 0.999)
    columns = np.clip(warp.columns + 1, 0, width + 0.999)
    top, left = rows.astype(np.int32), columns.astype(np.int32)
    down, right = rows - top, columns - left
    at = (np.arange(count, dtype=np.int32)[:, None, None] * (height + 2) + top) * (width + 2) + left
    soft = _fetch(mask, at, down, right)
    # What is only half object is as bright as the object there; the fill comes back with the silhouette.
    share = 1 / np.maximum(soft, np.float32(1e-3))
    pixels = np.empty(images.shape, np.float32)
    for channel in range(channels):
        pixels[..., channel] = _fetch(images[..., channel] * mask, at, down, right) * share
    return pixels, soft


def _fetch(plane: NDArray[np.generic], at: NDArray[np.int32], down: Floats, right: Floats) -> Floats:
    """Mix the four pixels of a framed `[N,H,W]` around each place."""
    framed = np.pad(plane.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    line = framed.shape[2]
    table = framed.ravel()
    upper, lower = np.take(table, at, mode="clip"), np.take(table, at + line, mode="clip")
    upper += right * (np.take(table, at + 1, mode="clip") - upper)
    lower += right * (np.take(table, at + line + 1, mode="clip") - lower)
    mixed: Floats = upper + down * (lower - upper)
    return mixed


def _extent(values: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    low: Floats = np.min(values, axis=1, where=inside, initial=np.float32(1e9), keepdims=True)
    high: Floats = np.max(values, axis=1, where=inside, initial=np.float32(-1e9), keepdims=True)
    return low, high


def _draw_spread(mask: NDArray[np.bool_], half_x: Floats, half_y: Floats, rng: np.random.Generator) -> _Spread:
    """Pivots where sides are set on, above; there is nothing to turn where the object is widest below."""
    count, height, _ = mask.shape
    half_width = mask.sum(axis=2, dtype=np.float32) / 2
    row = np.arange(height, dtype=np.float32) - (height - 1) / 2
    upper, lower = np.abs(row + 0.5 * half_y) < 0.25 * half_y, np.abs(row - 0.5 * half_y) < 0.25 * half_y
    shoulder = np.max(half_width, axis=1, where=upper, initial=1)[:, None]
    hem = np.max(half_width, axis=1, where=lower, initial=1)[:, None]
    # Sides that end above the hem are cut where it ends; those that hang down to it, within the object.
    short = hem < 0.88 * shoulder
    across = np.where(short, np.maximum(hem, 0.5 * shoulder) + 0.5, shoulder * _uniform(rng, 0.45, 0.7, count))
    flared = hem > 1.12 * shoulder
    return _Spread(
        across=across.astype(np.float32),
        down=-half_y * _uniform(rng, 0.6, 0.85, count),
        seam=np.deg2rad(_uniform(rng, 2, 9, count)),
        turn=np.where(flared, np.float32(0), np.deg2rad(_uniform(rng, *_SPREAD_DEG, count))),
    )


def _draw_above(
    mask: NDArray[np.bool_], half_x: Floats, middle_x: Floats, middle_y: Floats, rng: np.random.Generator
) -> _Above:
    count, height, _ = mask.shape
    top = np.where(mask.any(axis=1), mask.argmax(axis=1), height).astype(np.float32)
    tallest = np.maximum(mask.sum(axis=1, dtype=np.float32).max(axis=1, initial=1)[:, None], 1)
    return _Above(top=top - middle_y, middle=middle_x, factor=half_x * _uniform(rng, 0.38, 0.6, count) / tallest)


def _draw_matrix(
    rng: np.random.Generator,
    aspect: Floats,
    *,
    mirror: bool,
    free: NDArray[np.bool_],
    doubled: NDArray[np.bool_],
    above: NDArray[np.intp],
) -> Floats:
    """Turn, stretch, slant and mirror: `[N,2,2]` from source to result."""
    count = len(aspect)
    upright = np.zeros(count, np.bool_)
    upright[above] = True
    # Seen from before, each of a pair is slim; from above, it points up or down.
    slim = doubled & ~upright & (rng.random(count) < 0.7)
    turn = rng.normal(0, 1, count) * np.where(free & ~doubled, _FREE_TURN_DEG, _TURN_DEG)
    turn = np.deg2rad(turn + upright * np.where(rng.random(count) < 0.5, -90, 90))
    # In the source's own axes: lengths.
    log_across = rng.normal(0, 0.14, count) - slim * rng.uniform(0.3, 1.0, count)
    log_down = rng.normal(0, 0.08, count)
    # What hangs narrow on a model lies wide on a floor.
    log_across += (~free & (rng.random(count) < 0.6)) * rng.uniform(0, np.where(aspect < _NARROW, 0.6, 0.25))
    flip = np.where(mirror & (rng.random(count) < 0.5), -1.0, 1.0)
    slant = rng.normal(0, 0.08, count)
    shape = np.zeros((count, 2, 2))
    shape[:, 0, 0], shape[:, 0, 1], shape[:, 1, 1] = flip * np.exp(log_across), slant, np.exp(log_down)
    cos, sin = np.cos(turn), np.sin(turn)
    turned = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    matrix: Floats = (turned @ shape).astype(np.float32)
    return matrix


def _draw_zoom(rng: np.random.Generator, count: int) -> Floats:
    """How much smaller than the canvas the object is, `[N,1]`: leftovers take room as well."""
    small = rng.random((count, 1)) < 0.3
    zoom: Floats = np.where(small, _uniform(rng, 1, 1.3, count), _uniform(rng, 0.97, 1.06, count))
    return zoom
