"""How an object lies in a photo: its sides turned outwards, seen from above, in pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]
"""float32 in all that has one value for each pixel."""

_SPREAD_DEG = (5.0, 35.0)
_SAME_WAY_SHARE = 0.3
_QUARTER = np.float32(np.pi / 2)


@dataclass(frozen=True)
class Spread:
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
class Above:
    """A thing that stands, seen from above: what is highest is in its middle line, its foot is at both edges.

    `top` `[N,W]` is the highest pixel of each column. `[N,1]` each: `middle` the column from which x is counted,
    `ridge` how far to both sides of the middle line the highest is seen, `factor` how wide a pixel of height becomes.
    """

    top: Floats
    middle: Floats
    ridge: Floats
    factor: Floats

    def forward(self, x: Floats, y: Floats) -> Floats:
        """How far from the middle line a pixel goes, to one side or the other in turn."""
        side = np.where(np.arange(y.shape[1]) % 2, np.float32(1), np.float32(-1))
        return (self.ridge + (y - self._top_at(x)) * self.factor) * side

    def backward(self, x: Floats, y: Floats) -> Floats:
        """The height that a place so far from the middle line shows."""
        height: Floats = np.maximum(np.abs(y) - self.ridge, 0) / self.factor
        return height + self._top_at(x)

    def _top_at(self, x: Floats) -> Floats:
        width = self.top.shape[1]
        column = np.clip(np.rint(x + self.middle), 0, width - 1).astype(np.int32)
        found: Floats = np.take_along_axis(self.top, column, axis=1)
        return found


@dataclass(frozen=True)
class Pair:
    """Two of a thing side by side, the pair turned as a whole: `[N,1]` each, in pixels and radians.

    `inner` is where each of them is cut towards the other, `step` how far the second is from the first where it is no
    mirror image (0 where it is one), `slip` how much higher one of them is.
    """

    inner: Floats
    step: Floats
    slip: Floats
    turn: Floats
    width: Floats
    height: Floats

    def part(self, which: NDArray[np.intp], x: Floats, y: Floats, middle: Floats) -> None:
        """Coordinates of the pair become those of one of the two, in place, for the images `which`."""
        inner, step, slip, turn = self.inner[which], self.step[which], self.slip[which], self.turn[which]
        cos, sin, across, down = np.cos(turn), np.sin(turn), x[which], y[which] - middle[which]
        across, down = cos * across + sin * down, cos * down - sin * across
        y[which] = down + np.sign(across) * slip / 2 + middle[which]
        other = np.where(step > 0, across + step, -across)
        x[which] = np.where(across < 0, other, across) + inner


def draw_spread(mask: NDArray[np.bool_], half_x: Floats, half_y: Floats, rng: np.random.Generator) -> Spread:
    """Pivots where sides are set on, above; there is nothing to turn where the object is widest below."""
    count, height, _ = mask.shape
    half_width = mask.sum(axis=2, dtype=np.float32) / 2
    row = np.arange(height, dtype=np.float32) - (height - 1) / 2
    upper, lower = np.abs(row + 0.5 * half_y) < 0.25 * half_y, np.abs(row - 0.5 * half_y) < 0.25 * half_y
    shoulder = np.max(half_width, axis=1, where=upper, initial=1)[:, None]
    hem = np.max(half_width, axis=1, where=lower, initial=1)[:, None]
    # Sides that end above the hem are cut where it ends; those that hang down to it, within the object.
    short = hem < 0.88 * shoulder
    across = np.where(short, np.maximum(hem, 0.5 * shoulder) + 0.5, shoulder * uniform(rng, 0.45, 0.7, count))
    flared = hem > 1.12 * shoulder
    return Spread(
        across=across.astype(np.float32),
        down=-half_y * uniform(rng, 0.6, 0.85, count),
        seam=np.deg2rad(uniform(rng, 2, 9, count)),
        turn=np.where(flared, np.float32(0), np.deg2rad(uniform(rng, *_SPREAD_DEG, count))),
    )


def draw_above(
    mask: NDArray[np.bool_], half_x: Floats, middle_x: Floats, middle_y: Floats, rng: np.random.Generator
) -> Above:
    """Each half as wide as it is long, about, whatever its height is."""
    count, height, _ = mask.shape
    top = np.where(mask.any(axis=1), mask.argmax(axis=1), height).astype(np.float32)
    tallest = np.maximum(mask.sum(axis=1, dtype=np.float32).max(axis=1, initial=1)[:, None], 1)
    half_width = half_x * uniform(rng, 0.38, 0.58, count)
    ridge = half_width * uniform(rng, 0.1, 0.4, count)
    return Above(top=top - middle_y, middle=middle_x, ridge=ridge, factor=(half_width - ridge) / tallest)


def draw_pair(doubled: NDArray[np.bool_], x0: Floats, x1: Floats, tall: Floats, rng: np.random.Generator) -> Pair:
    """For one of each pair that reaches from x0 to x1 `[N,1]` and is so tall; drawn for all, used for some."""
    count = len(doubled)
    # Their inner sides touch, or are a little beyond or short of it.
    inner = x0 + (x1 - x0) * uniform(rng, -0.08, 0.15, count)
    step = (x1 - inner) * (rng.random((count, 1)) < _SAME_WAY_SHARE)
    slip = normal(rng, 0.08, count) * tall
    turn = np.where(rng.random((count, 1)) < 0.5, normal(rng, 0.1, count), normal(rng, 0.6, count))
    wide, tall = 2 * (x1 - inner) + 1, tall + np.abs(slip)
    # A little less than the turned box needs: there is nothing in the corners.
    spare = 1 - 0.15 * np.abs(np.sin(2 * turn))
    cos, sin = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    return Pair(inner, step, slip, turn, (wide * cos + tall * sin) * spare, (wide * sin + tall * cos) * spare)


def uniform(rng: np.random.Generator, low: float, high: float, count: int) -> Floats:
    """float32 `[count,1]`."""
    return rng.uniform(low, high, (count, 1)).astype(np.float32)


def normal(rng: np.random.Generator, deviation: float, count: int) -> Floats:
    """float32 `[count,1]`, about 0."""
    return rng.normal(0, deviation, (count, 1)).astype(np.float32)
