"""Try the usual scalings of pixels on labelled images: which one a model was trained with, its accuracy shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.third_party_models.input_layout import ModelInput
from edge_fm_export.third_party_models.pixel_scaling import MODES, Preprocessing, apply_to_array
from edge_fm_export.third_party_models.traced import TracedModel

_IMAGES = 64
_LEAST_IMAGES = 16
_LEAST_GAIN = 0.15
_OPTIONS = {"raw": "without --preset, --input-scale, --mean and --std", "unit": "with --input-scale 1/255"}


@dataclass(frozen=True, eq=False)
class TracedScalingTrial:
    """Tries the usual scalings with a third-party model: a `context.ScalingTrial`.

    Attributes:
        traced: its graph.
        taken: what it takes.
        requested: the preprocessing that is put before it, or None.
    """

    traced: TracedModel
    taken: ModelInput
    requested: Preprocessing | None

    def warning(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], *, data: str) -> str | None:
        """Name the scaling with which the model is right far more often, if there is one.

        Args:
            images: uint8 `[N,H,W,C]`; some dozens of them are tried.
            labels: `[N]` classes.
            data: what to call the images.

        Returns:
            A sentence with the option to use; None where the present scaling is about as good as any, or would be if
            the classes had other names: then the order of the labels is wrong, not the pixels.
        """
        drawn = np.random.default_rng(0).permutation(len(images))[:_IMAGES]
        if len(drawn) < _LEAST_IMAGES:
            return None
        pixels, truth = images[drawn].astype(np.float32), labels[drawn]
        predictions = self._predict(self.requested or MODES["raw"], pixels)
        present = float(np.mean(predictions == truth))
        others = {name: mode for name, mode in MODES.items() if self.taken.channels == 3 or not _coloured(mode)}
        found = {name: float(np.mean(self._predict(mode, pixels) == truth)) for name, mode in others.items()}
        best = max(found, key=lambda name: found[name])
        if found[best] - present < _LEAST_GAIN or _accuracy_if_renamed(predictions, truth) >= found[best]:
            return None
        now = "as it is" if self.requested is None else "with the preprocessing that was asked for"
        return (
            f"On {len(drawn)} images of {data} the model is right on {100 * present:.0f}% {now}, and on "
            f"{100 * found[best]:.0f}% {_OPTIONS.get(best, f'with --preset {best}')}: export it so."
        )

    def _predict(self, preprocessing: Preprocessing, pixels: Any) -> npt.NDArray[np.int64]:
        logits = self.traced.logits(apply_to_array(preprocessing, pixels))
        if logits.shape[1] > 1:
            return np.asarray(logits.argmax(axis=1), np.int64)
        return np.asarray(logits[:, 0] > self._threshold, np.int64)

    @property
    def _threshold(self) -> float:
        return 0.5 if self.traced.activation is None else 0.0


def _coloured(mode: Preprocessing) -> bool:
    return mode.bgr or len(mode.mean) > 1


def _accuracy_if_renamed(predictions: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]) -> float:
    """The highest accuracy that any renaming of the predicted classes gives."""
    return sum(int(np.bincount(truth[predictions == c]).max()) for c in np.unique(predictions).tolist()) / len(truth)
