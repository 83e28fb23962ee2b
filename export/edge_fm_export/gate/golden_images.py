"""The golden images of an artifact: some of the evaluation set, or drawn ones where those must not be published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import EvaluationSet
from edge_fm_runtime.arrays import Pixels, Probabilities

GoldenKind: TypeAlias = Literal["data", "generated"]
"""Where golden images come from.

- "data": the evaluation set.
- "generated": shapes on a ground that changes evenly, drawn from a seed; nobody's photos.
"""
GOLDEN_IMAGES = 32
_CANDIDATES = 128
_SEED = 0


@dataclass(frozen=True, eq=False)
class GoldenInputs:
    """The images that an artifact carries, and what the original predicts for them.

    Attributes:
        images: uint8 `[N,H,W,C]`.
        reference: float32 `[N,classes]`, the original's predictions.
        rows: their places in the evaluation set; None for generated images.
    """

    images: Pixels
    reference: Probabilities
    rows: npt.NDArray[np.int64] | None

    @property
    def kind(self) -> GoldenKind:
        """Where the images come from."""
        return "generated" if self.rows is None else "data"


def generated_candidates(shape: tuple[int, int, int]) -> Pixels:
    """Drawn images to select golden ones from; the same shape gives the same images.

    Args:
        shape: height, width, channels.

    Returns:
        uint8 `[N,H,W,C]`.

    Example:
        >>> generated_candidates((8, 8, 3)).shape
        (128, 8, 8, 3)
    """
    height, width, channels = shape
    rng = np.random.default_rng(_SEED)
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    images = np.empty((_CANDIDATES, *shape), np.uint8)
    for image in images:
        angle = rng.uniform(0, 2 * math.pi)
        ramp = np.clip((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle) + 0.5, 0, 1)[..., None]
        canvas = ramp * rng.uniform(0, 255, channels) + (1 - ramp) * rng.uniform(0, 255, channels)
        for _ in range(rng.integers(1, 6)):
            canvas[_shape(x, y, rng)] = rng.uniform(0, 255, channels)
        image[...] = np.rint(canvas)
    return images


def generated_inputs(
    candidates: Pixels, reference: Probabilities, *, count: int = GOLDEN_IMAGES, multiple_of: int = 1
) -> GoldenInputs:
    """Select golden images of as many predicted classes as can be, those first that the original is surest of.

    Args:
        candidates: as from `generated_candidates`.
        reference: float32 `[N,classes]`, the original's predictions for them.
        count: how many to select.
        multiple_of: a fixed batch size that they must fill; images are repeated for it.
    """
    predicted, two = reference.argmax(axis=1), np.sort(reference, axis=1)[:, -2:]
    surest = np.argsort(two[:, 0] - two[:, -1], kind="stable")
    rows = _filled(
        _in_turns([surest[predicted[surest] == label] for label in np.unique(predicted)], count), multiple_of
    )
    return GoldenInputs(candidates[rows], reference[rows], None)


def data_inputs(test: EvaluationSet, reference: Probabilities, *, multiple_of: int = 1) -> GoldenInputs:
    """Select golden images of the evaluation set; arguments as for `golden_indices`.

    Args:
        test: the images to select from.
        reference: float32 `[N,classes]`, the original's predictions for all of them.
        multiple_of: a fixed batch size that they must fill.
    """
    rows = golden_indices(test, multiple_of=multiple_of)
    return GoldenInputs(np.asarray(test.images[rows]), reference[rows], rows)


def golden_indices(test: EvaluationSet, *, count: int = GOLDEN_IMAGES, multiple_of: int = 1) -> npt.NDArray[np.int64]:
    """Select the golden images, as many of each class as can be; the same set gives the same images.

    Args:
        test: the images to select from.
        count: how many; fewer where the set is smaller.
        multiple_of: a fixed batch size that they must fill; images are repeated for it.
    """
    n = len(test.images)
    if test.labels is None:
        selected = np.unique(np.linspace(0, n - 1, min(count, n)).astype(np.int64))
    else:
        # Of several labels an image, each set of them is a class.
        _, classes = np.unique(test.labels, axis=0, return_inverse=True)
        classes = classes.reshape(-1)
        selected = _in_turns([np.flatnonzero(classes == number) for number in range(classes.max() + 1)], count)
    return _filled(selected, multiple_of)


def _in_turns(queues: Sequence[npt.NDArray[np.int64]], count: int) -> npt.NDArray[np.int64]:
    """The first of each queue, then the second of each, and so on: `count` places, or all there are, sorted."""
    longest = max(map(len, queues))
    rounds = [queue[place] for place in range(longest) for queue in queues if place < len(queue)]
    return np.sort(np.array(rounds[:count], dtype=np.int64))


def _filled(selected: npt.NDArray[np.int64], multiple_of: int) -> npt.NDArray[np.int64]:
    """`selected`, repeated from its start until its length is a multiple."""
    return np.resize(selected, -(-len(selected) // multiple_of) * multiple_of)


def _shape(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Where an ellipse, a rectangle or a band of stripes lies, turned at random; bool `[H,W]`."""
    angle, (left, top) = rng.uniform(0, math.pi), rng.uniform(0.15, 0.85, 2)
    across = (x - left) * math.cos(angle) + (y - top) * math.sin(angle)
    along = (y - top) * math.cos(angle) - (x - left) * math.sin(angle)
    wide, tall = rng.uniform(0.08, 0.45, 2)
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray((across / wide) ** 2 + (along / tall) ** 2 < 1)
    inside = (np.abs(across) < wide) & (np.abs(along) < tall)
    if kind == 2:
        inside &= np.sin(across * rng.uniform(20, 120)) > 0
    return np.asarray(inside)
