"""What is done where plain calibration loses too much: measures in order of their cost, each tried and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, TypeAlias

import numpy as np

from edge_fm_export.context import BuildContext
from edge_fm_export.quantization.calibration import require_calibration
from edge_fm_export.quantization.steering import SteeringImages, predict_all, thresholds_of
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.errors import ExportError

AIM_POINTS = 0.3
"""The estimated drop, in percentage points, up to which an artifact stays as plain calibration makes it."""
_WORTHWHILE = 0.1
"""The share of the drop that a measure which does not reach the aim must take away to be used; less is chance."""
_CHECK_IMAGES = 500

Measure: TypeAlias = Literal["bias correction", "equalization", "fast bias correction"]
"""What can be done beside plain calibration.

- "bias correction": each layer's bias takes back the shift of its channels' means; for OpenVINO NNCF does it.
- "equalization": channels get one range before they are quantized; the float model computes the same.
- "fast bias correction": NNCF's, each layer by itself on the float model's inputs, in the place of its usual one.
"""

Predict: TypeAlias = Callable[[Pixels], Probabilities]


@dataclass(frozen=True)
class Trial:
    """One way to quantize.

    Attributes:
        measures: what was done beside plain calibration; nothing for plain calibration itself.
        drop_points: the estimated accuracy drop.
        seconds: what it took to quantize.
    """

    measures: tuple[Measure, ...]
    drop_points: float
    seconds: float

    def __str__(self) -> str:
        name = " and ".join(self.measures) or "calibration alone"
        return f"{name} {self.drop_points:.2f} ({self.seconds:.0f} s)"


@dataclass(frozen=True)
class Selected:
    """The measures that were selected.

    Attributes:
        measures: empty where plain calibration is within the aim, or nothing was better.
        record: for the metadata; empty where plain calibration is within the aim, whose artifacts stay as they were.
        notes: for a person.
    """

    measures: tuple[Measure, ...]
    record: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def plain_drop_points(self) -> float | None:
        """The estimated drop of plain calibration, where it was not within the aim."""
        tried = self.record.get("measures_tried")
        return tried[0]["drop_points"] if tried else None


def select_measures(
    context: BuildContext,
    ladder: Sequence[tuple[Measure, ...]],
    make: Callable[[tuple[Measure, ...]], Predict],
    original: Predict,
    *,
    further: str = "--accuracy-control leaves layers in float to go further.",
) -> Selected:
    """Try plain calibration, then one step of the ladder after the other until the estimated drop is within the aim.

    Args:
        context: of the export.
        ladder: combinations of measures, the cheapest first.
        make: quantizes with these measures, and returns a function that predicts with the result.
        original: predicts with the float model.
        further: what a person may do where no step reaches the aim.
    """
    images, kind = check_images(context)
    reference = predict_all(original, images.images, context.static_batch)
    trials: list[Trial] = []
    impossible: list[str] = []
    for measures in ((), *ladder):
        started = perf_counter()
        if trials:
            context.progress("trying " + " and ".join(measures), len(trials) - 1, len(ladder))
        try:
            predict = make(measures)
        except ExportError as error:
            if not measures:
                raise
            impossible.append(f"{' and '.join(measures)} could not be tried: {error.message}")
            continue
        seconds = perf_counter() - started
        drop = estimated_drop(predict_all(predict, images.images, context.static_batch), reference, images)
        trials.append(Trial(measures, drop, seconds))
        if drop <= AIM_POINTS:
            break
    if trials[0].drop_points <= AIM_POINTS:
        return Selected((), {}, ())
    best = trials[0]
    for trial in trials[1:]:
        if trial.drop_points <= AIM_POINTS or trial.drop_points < (1.0 - _WORTHWHILE) * best.drop_points:
            best = trial
    record = {
        "measures": list(best.measures),
        "measures_tried": [
            {"measures": list(trial.measures), "drop_points": round(trial.drop_points, 4)} for trial in trials
        ],
        "measures_images": {"count": len(images.images), "set": kind},
    }
    return Selected(best.measures, record, (_note(trials, best, len(images.images), kind, further), *impossible))


def check_images(context: BuildContext) -> tuple[SteeringImages, str]:
    """The images on which drops are estimated, and what they are; never the evaluation set."""
    for found, kind in ((context.validation, "held out"), (context.calibration, "calibration")):
        if found is not None and len(found.images):
            places = np.linspace(0, len(found.images) - 1, min(_CHECK_IMAGES, len(found.images))).astype(np.intp)
            labels = None if found.labels is None else found.labels[places]
            return SteeringImages(found.images[places], labels, thresholds=thresholds_of(context)), kind
    calibration = require_calibration(context)  # raises: there are none
    return SteeringImages(calibration.images, calibration.labels, thresholds=thresholds_of(context)), "calibration"


def estimated_drop(predictions: Probabilities, original: Probabilities, images: SteeringImages) -> float:
    """The accuracy drop from `original` to `predictions`, both `[N,classes]`, in percentage points.

    By the original's own probabilities: where another class is predicted, what the original gives to its class less
    what it gives to that one. A few hundred images show this far more finely than counts of correct ones, and it needs
    no labels. Where the labels show a larger drop than that, beyond its standard error, it is taken.

    Of a multi-label model the drop of mAP; without labels, what the original predicts counts as right.
    """
    if images.thresholds is not None:
        return images.drop(predictions, original).points
    rows = np.arange(len(original))
    before, after = original.argmax(axis=1), predictions.argmax(axis=1)
    expected = 100.0 * float((original[rows, before] - original[rows, after]).mean())
    if images.labels is None:
        return expected
    counted = images.drop(predictions, original)
    return max(expected, counted.points - counted.error_points)


def _note(trials: Sequence[Trial], best: Trial, count: int, kind: str, further: str) -> str:
    where = f"{count:,} calibration images" if kind == "calibration" else f"{count:,} images held out"
    done = (
        f"Used: {' and '.join(best.measures)}."
        if best.measures
        else "Nothing did clearly better than calibration alone."
    )
    more = "" if best.drop_points <= AIM_POINTS else f" {further}"
    return (
        f"Calibration alone loses more than {AIM_POINTS:g} points. Estimated drop on {where}: "
        f"{'; '.join(map(str, trials))}. {done}{more}"
    )
