"""Where each pixel of a photo-like image comes from: turned, stretched, sides spread, doubled, cropped again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.input_pipeline.photo_poses import Floats, draw_above, draw_pair, draw_spread, normal, uniform

_TURN_DEG = 9.0
_FREE_TURN_DEG = 25.0
_SPREAD_SHARE = 0.5
_SMALL_SHARE = 0.2
_ABOVE_SHARE = 0.75
_NARROW = 0.65


@dataclass(frozen=True)
class Warp:
    """Coordinates in the source for each pixel of the result: float32 `[N,H,W]`, in pixels."""

    rows: Floats
    columns: Floats


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
    opened = draw_spread(mask[sides], half_x[sides], half_y[sides], rng)
    above = np.flatnonzero(doubled & (rng.random(count) < _ABOVE_SHARE))
    seen_above = draw_above(mask[above], half_x[above], middle_x[above], middle_y[above], rng)
    matrix = _draw_matrix(rng, (half_x / half_y)[:, 0], mirror=mirror, free=free, doubled=doubled, above=above)

    if len(above):
        source_y[above] = seen_above.forward(source_x[above], source_y[above])
    if len(sides):
        source_x[sides], source_y[sides] = opened.forward(source_x[sides], source_y[sides])
    forward_x, forward_y = _apply(matrix, source_x, source_y)
    (x0, x1), (y0, y1) = _extent(forward_x, flat), _extent(forward_y, flat)

    pair = draw_pair(doubled, x0, x1, y1 - y0 + 1, rng)
    wide = np.where(doubled[:, None], pair.width, x1 - x0 + 1)
    tall = np.where(doubled[:, None], pair.height, y1 - y0 + 1)
    scale = np.maximum(wide / width, tall / height) * _draw_zoom(rng, count)
    off_x, off_y = normal(rng, 0.025 * width, count), normal(rng, 0.025 * height, count)
    centre_x = np.where(doubled[:, None], 0, (x0 + x1) / 2)
    target_x = (x - np.float32((width - 1) / 2)) * scale + (centre_x - off_x * scale)
    target_y = (y - np.float32((height - 1) / 2)) * scale + ((y0 + y1) / 2 - off_y * scale)
    pair.part(np.flatnonzero(doubled), target_x, target_y, (y0 + y1) / 2)

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
    small = rng.random((count, 1)) < _SMALL_SHARE
    zoom: Floats = np.where(small, uniform(rng, 1, 1.2, count), uniform(rng, 0.97, 1.06, count))
    return zoom
