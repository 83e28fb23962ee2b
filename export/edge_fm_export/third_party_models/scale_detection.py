"""Which scale of pixels a third-party model was trained on, found by running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_export.third_party_models.input_layout import ModelInput
from edge_fm_export.third_party_models.pixel_scaling import PRESETS, Preprocessing, apply_to_array, family_of
from edge_fm_export.third_party_models.plausible_scaling import implausible_scaling
from edge_fm_export.third_party_models.traced import TracedModel

Floats: TypeAlias = npt.NDArray[np.float32]
Kind: TypeAlias = Literal["inside", "raw", "scaled", "unknown"]

# Widths of the range in which pixels 0..255 reach the first layer with weights.
_SCALED_WIDTH = 100.0
_STRETCHED_WIDTH = 300.0
_CENTRED = -20.0
# How far the logits of one image lie apart: trained classifiers stay under some dozens, 255 times too large an input
# gives hundreds.
_USUAL_GAP, _EXCESSIVE_GAP = 40.0, 150.0
_LEAST_SPREAD = 0.1
_RATIO = 20.0

_WITHOUT_PREPROCESSING = {"mobilenet_v3": "tf", "efficientnet_v2": "tf", "convnext": "torch"}
"""What keras.applications documents for families that scale inside, where they were built without that."""


@dataclass(frozen=True)
class PixelScale:
    """What running a model on pixels 0..255 and 0..1 showed.

    Attributes:
        kind: "inside": the model scales its pixels itself. "raw": it does not, and its predictions fit pixels 0..255.
            "scaled": it does not, and its predictions fit small values, such as 0..1. "unknown": they fit both, or
            neither.
        low: the least value that pixels 0..255 become before the first layer with weights; None where operations
            hide it.
        high: the greatest, likewise.
        gap: range of the logits of one image for pixels 0..255, the median; None where it was not measured.
    """

    kind: Kind
    low: float | None
    high: float | None
    gap: float | None = None


def examine(traced: TracedModel, taken: ModelInput) -> PixelScale:
    """Run the model on made images, as pixels 0..255 and as 0..1, and compare."""
    images = made_images(taken)
    low, high = _range(traced, images)
    width = None if low is None or high is None else high - low
    if width is not None and low is not None:
        if width < _SCALED_WIDTH or (width <= _STRETCHED_WIDTH and low < _CENTRED):
            return PixelScale("inside", low, high)
        if width > _STRETCHED_WIDTH:
            # Statistics of the training data within the model, such as a Normalization layer's, are of small values.
            return PixelScale("scaled", low, high)
    gap, spread = _gap_and_spread(traced, images)
    gap_small, spread_small = _gap_and_spread(traced, images / np.float32(255))
    kind: Kind = "unknown"
    if gap > _EXCESSIVE_GAP and gap_small < gap / _RATIO:
        kind = "scaled"
    elif gap < _USUAL_GAP and spread > _LEAST_SPREAD and spread_small < spread / _RATIO:
        kind = "raw"
    return PixelScale(kind, low, high, gap)


def notes_on_scale(
    scale: PixelScale, traced: TracedModel, taken: ModelInput, model: Any, name: str, asked: Preprocessing | None
) -> tuple[list[str], list[str]]:
    """Notes for a person on the scaling of the pixels, in whole sentences.

    Args:
        scale: from `examine`.
        traced: the model's graph.
        taken: what the model takes.
        model: the Keras model, to find which published network it is made of.
        name: of its file.
        asked: the preprocessing that was asked for; None where none was.

    Returns:
        notes, and warnings of probable mistakes.
    """
    if asked is None:
        return _without(scale, _advice(model, name))
    if asked.identity:
        note = f"Preprocessing {asked.name!r} leaves the pixels as they are, 0..255."
        return [note], _without(scale, _advice(model, name))[1]
    note = f"Preprocessing {asked.name!r} was put into the graph: {asked.describe()}."
    leave_out = "Leave out --preset, --input-scale, --mean and --std, unless it was trained so."
    if scale.kind == "inside" and scale.low is not None and scale.high is not None:
        low, high = _range(traced, apply_to_array(asked, made_images(taken)))
        tenth = (scale.high - scale.low) / 10
        if low is not None and high is not None and max(abs(low - scale.low), abs(high - scale.high)) > tenth:
            return [note], [
                f"The pixels are scaled twice: the model itself brings 0..255 to {_interval(scale)}, and the "
                f"preprocessing that was asked for makes that {low:.3g}..{high:.3g}. Its predictions will be "
                f"wrong. {leave_out}"
            ]
    if (implausible := implausible_scaling(asked)) is not None:
        return [note], [implausible]
    if scale.kind == "raw" and asked.scale / max(asked.std) < 1 / _RATIO:
        return [note], [
            "The model's predictions fit pixels 0..255; for pixels of 0..1 they hardly differ between images. With the "
            f"preprocessing that was asked for they will be wrong. {leave_out}"
        ]
    return [note], []


def made_images(taken: ModelInput) -> Floats:
    """Smooth random images, noise, black and white: float32 0..255 `[N,H,W,C]`, the same at every call."""
    random = np.random.default_rng(0)
    shape = (taken.height, taken.width, taken.channels)
    smooth = np.stack([_smooth(random, shape) for _ in range(8)])
    noise = random.integers(0, 256, (2, *shape))
    plain = np.broadcast_to(np.array([0, 255]).reshape(-1, 1, 1, 1), (2, *shape))
    return np.concatenate([smooth, noise, plain]).astype(np.float32)


def _smooth(random: np.random.Generator, shape: tuple[int, int, int]) -> Floats:
    """An image with coarse and fine structure, over the whole range."""
    height, width, channels = shape
    rows, columns = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    total = np.zeros(shape)
    for waves in (1, 2, 4, 8):
        a, b, phase = (random.uniform(-waves, waves, channels) for _ in range(3))
        total += np.sin(2 * np.pi * (a * rows + b * columns + phase)) / waves**0.5
    least, most = total.min(), total.max()
    return np.asarray(255 * (total - least) / max(most - least, 1e-6), dtype=np.float32)


def _range(traced: TracedModel, images: Floats) -> tuple[float | None, float | None]:
    """The least and the greatest value before the first layers with weights, of the input with the widest range."""
    # An image of one colour becomes 0/0 where a model stretches each image's contrast.
    values = [v for v in map(_finite, traced.first_values(images)) if len(v)]
    if not values:
        return None, None
    widest = max(values, key=lambda v: float(v.max() - v.min()))
    return float(widest.min()), float(widest.max())


def _gap_and_spread(traced: TracedModel, images: Floats) -> tuple[float, float]:
    """How far apart the logits of one image lie, and how much they differ from image to image."""
    logits = _finite(traced.logits(images))
    if not len(logits):
        return float("inf"), 0.0
    if logits.shape[1] == 1:
        return float(np.median(np.abs(logits))), float(logits.std())
    logits = logits - logits.mean(axis=1, keepdims=True)
    return float(np.median(np.ptp(logits, axis=1))), float(logits.std(axis=0).mean())


def _finite(values: Floats) -> Floats:
    """Those of an array's rows that hold no NaN and no infinity."""
    return values[np.isfinite(values).reshape(len(values), -1).all(axis=1)]


def _without(scale: PixelScale, advice: _Advice) -> tuple[list[str], list[str]]:
    """The notes and warnings where pixels go into the model as they are."""
    if scale.kind == "inside":
        return [
            f"The model scales its input itself, 0..255 to {_interval(scale)}: it gets pixels 0..255 as floats. "
            "It needs no --preset and no --input-scale."
        ], []
    if scale.kind == "raw" and advice.centred:
        return [
            f"The model is made of {advice.family}, which keras.applications trains on pixels with their means "
            f"subtracted: if it was trained so, use --preset {advice.family}. It gets pixels 0..255 as floats."
        ], []
    if scale.kind == "raw":
        return [
            "The model gets pixels 0..255 as floats, and its predictions fit them. It needs no --preset and no "
            "--input-scale, unless you know that it was trained on scaled pixels."
        ], []
    if scale.kind == "scaled":
        shown = (
            f"pixels 0..255 reach its first layer with weights as {_interval(scale)}"
            if scale.gap is None
            else f"for pixels 0..255 its logits lie {scale.gap:,.0f} apart"
        )
        return [], [
            f"The model seems to have been trained on scaled pixels, such as 0..1 or -1..1: {shown}. It gets "
            f"pixels 0..255 as floats, so its predictions will be wrong. Give the scaling that it was "
            f"trained with: {advice}"
        ]
    return [
        "It is unknown whether the model was trained on pixels 0..255 or on scaled ones. It gets pixels 0..255 as "
        f"floats; if it was trained on scaled ones, its predictions will be wrong: then give the scaling with {advice}"
    ], []


def _interval(scale: PixelScale) -> str:
    return f"{scale.low:.3g}..{scale.high:.3g}"


@dataclass(frozen=True)
class _Advice:
    """The options that help where the pixels are not scaled inside.

    Attributes:
        family: of keras.applications that the model is made of, or None.
        preset: for that family, or None.
    """

    family: str | None
    preset: str | None

    @property
    def centred(self) -> bool:
        """Whether the family takes pixels as large as they are, with means subtracted."""
        return self.preset is not None and PRESETS[self.preset].scale == 1.0 and not PRESETS[self.preset].identity

    def __str__(self) -> str:
        numbers = "--input-scale 1/255 (0..1), --preset tf (-1..1), or --mean and --std with it."
        if self.preset is None:
            return numbers
        return f"--preset {self.preset} (as keras.applications trains {self.family}), {numbers}"


def _advice(model: Any, name: str) -> _Advice:
    family = next((found for part in _names(model, name) if (found := family_of(part)) is not None), None)
    return _Advice(family, None if family is None else _WITHOUT_PREPROCESSING.get(family, family))


def _names(model: Any, name: str) -> list[str]:
    """Of the model, of the models within it, and of its file."""
    inner = [str(layer.name) for layer in getattr(model, "layers", ()) if getattr(layer, "layers", None)]
    return [str(getattr(model, "name", "")), *inner, name]
