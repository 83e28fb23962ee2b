"""Measure what int8 does to the predictions layer by layer, and what leaving the worst layers in float would bring.

Each layer is quantized alone, in a float model that is otherwise the original: its error is how far the probabilities
move. This tells what causes an error from what only passes it on, which a comparison of activations within the
quantized model does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from edge_fm_export.context import BuildContext
from edge_fm_export.quantization.calibration import batches
from edge_fm_export.quantization.explanation.explanation import (
    Explanation,
    FloatTrial,
    LayerError,
    Outlier,
)
from edge_fm_export.quantization.measures import Measure, Predict, check_images, estimated_drop
from edge_fm_export.quantization.selection import NothingToQuantizeError
from edge_fm_export.quantization.steering import SteeringImages, predict_all
from edge_fm_runtime.arrays import Floats, Probabilities
from edge_fm_runtime.measurement.latency import measure

PIXELS = "pixels"
"""What the first layer reads, scaled."""
_ERROR_IMAGES = 64
"""Mean distances of probabilities have settled by then; each layer is run on them."""
_TRIED = (1, 2, 3, 4, 6, 8, 12, 16, 24)
_MEASURED_S = 0.2
_SPLIT = 10
"""For how many of the worst layers weights and outputs are measured apart."""


@dataclass(frozen=True)
class SimulatedLayer:
    """One layer of a quantized model.

    Attributes:
        name: see `LayerError.layer`.
        operators: see `LayerError.operators`.
        weight_range: smallest and largest weight; None where it has none.
        activations: whether its output is quantized.
    """

    name: str
    operators: tuple[str, ...]
    weight_range: tuple[float, float] | None
    activations: bool


class Simulation(Protocol):
    """A float model in which one layer at a time computes as it does in the quantized model."""

    layers: list[SimulatedLayer]
    """The quantized layers, in the graph's order."""

    def predictor(self, layer: str, *, weights: bool = True, activations: bool = True) -> Predict:
        """Predict with `layer` quantized: its weights, its output, or both."""

    def channel_ranges(self, images: SteeringImages) -> Mapping[str, tuple[Floats, Floats]]:
        """Smallest and largest value of each channel of the layers' outputs, float32 `[channels]`, by layer."""


@dataclass(frozen=True)
class Quantized:
    """How one model was quantized, for its explanation.

    Attributes:
        original: predicts with the float model.
        simulation: of plain calibration.
        equalized: of the equalized model; None where there was no equalization.
        built: the file as it was built.
        built_bytes: its size then, with the files beside it; metadata may have been embedded since.
        build: quantizes with these layers in float too, and returns the file that would ship.
        run: opens such a file.
        size: bytes of such a file, with those beside it.
        measures: what was done beside plain calibration.
        plain_drop_points: the estimated drop of plain calibration, where `measures` were taken.
    """

    original: Predict
    simulation: Simulation
    equalized: Simulation | None
    built: Path
    built_bytes: int
    build: Callable[[Sequence[str]], Path]
    run: Callable[[Path], Predict]
    size: Callable[[Path], int]
    measures: tuple[Measure, ...]
    plain_drop_points: float | None


def explain(context: BuildContext, quantized: Quantized) -> Explanation:
    """Rank the layers by their error, and try the model with the worst ones in float.

    Args:
        context: of the export.
        quantized: the model.

    Raises:
        ExportError: the model cannot be quantized or run.
    """
    images, kind = check_images(context)
    few = SteeringImages(images.images[: max(_ERROR_IMAGES, context.static_batch or 1)], None)
    reference = predict_all(quantized.original, images.images, context.static_batch)
    layers = _layer_errors(context, quantized.simulation, few, reference[: len(few.images)])
    ranking = [layer.layer for layer in layers]
    if quantized.equalized is not None:
        after = _errors(context, quantized.equalized, few, reference[: len(few.images)])
        layers = [replace(layer, error_after=after.get(layer.layer)) for layer in layers]
        ranking = sorted(after, key=lambda name: -after[name])
    trials = _try_floats(context, quantized, ranking, images, reference)
    plain = quantized.plain_drop_points
    return Explanation(
        tuple(layers),
        trials,
        quantized.measures,
        trials[0].drop_points if plain is None else plain,
        context.quantize.max_drop_points,
        len(images.images),
        kind if kind == "held out" else "of calibration",
        context.quantize.keep_float,
    )


def distance(predictions: Probabilities, reference: Probabilities) -> float:
    """Mean total variation distance of two sets of probabilities `[N,classes]`: 0 for the same, 1 for none shared.

    Example:
        >>> distance(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
        0.5
    """
    return float(np.abs(predictions.astype(np.float64) - reference.astype(np.float64)).sum(axis=1).mean() / 2.0)


def _errors(
    context: BuildContext, simulation: Simulation, few: SteeringImages, reference: Probabilities
) -> dict[str, float]:
    errors = {}
    for done, layer in enumerate(simulation.layers):
        context.progress("measuring each layer's error", done, len(simulation.layers))
        predictions = predict_all(simulation.predictor(layer.name), few.images, context.static_batch)
        errors[layer.name] = distance(predictions, reference)
    return errors


def _layer_errors(
    context: BuildContext, simulation: Simulation, few: SteeringImages, reference: Probabilities
) -> list[LayerError]:
    """Every layer, the largest error first; weights and outputs apart for the worst."""
    errors = _errors(context, simulation, few, reference)
    ranges = simulation.channel_ranges(few)
    total = sum(errors.values())
    found = []
    for place, layer in enumerate(sorted(simulation.layers, key=lambda layer: -errors[layer.name])):
        parts: dict[str, float | None] = {"weights": None, "activations": None}
        if place < _SPLIT:
            for part, there in (("weights", layer.weight_range is not None), ("activations", layer.activations)):
                if there:
                    only = {"weights": part == "weights", "activations": part == "activations"}
                    predictions = predict_all(
                        simulation.predictor(layer.name, **only), few.images, context.static_batch
                    )
                    parts[part] = distance(predictions, reference)
        low, high = ranges.get(layer.name, (None, None))
        found.append(
            LayerError(
                layer.name,
                layer.operators,
                errors[layer.name],
                errors[layer.name] / total if total else 0.0,
                parts["weights"],
                parts["activations"],
                weight_range=layer.weight_range,
                activation_range=None if low is None or high is None else (float(low.min()), float(high.max())),
                outlier=None if low is None or high is None else _outlier(low, high),
            )
        )
    return found


def _outlier(low: Floats, high: Floats) -> Outlier:
    largest = np.maximum(np.abs(low), np.abs(high))
    channel = int(largest.argmax())
    usual = float(np.median(largest))
    return Outlier(channel, float(largest[channel]) / usual if usual > 0 else float(largest[channel] > 0))


def _try_floats(
    context: BuildContext,
    quantized: Quantized,
    ranking: Sequence[str],
    images: SteeringImages,
    reference: Probabilities,
) -> tuple[FloatTrial, ...]:
    """The model as it was built, then with more and more layers in float until it stays within the limit."""
    found: list[tuple[tuple[str, ...], Path, float, bool]] = []
    for count in (0, *(count for count in _TRIED if count < len(ranking))):
        context.progress("trying layers in float", count, None)
        kept = tuple(ranking[:count])
        try:
            path = quantized.build(kept) if kept else quantized.built
        except NothingToQuantizeError:
            break  # these layers and their neighbours are all that there is
        predictions = predict_all(quantized.run(path), images.images, context.static_batch)
        points = estimated_drop(predictions, reference, images)
        cautious = max(points, images.drop(predictions, reference).cautious_points)
        found.append((kept, path, points, cautious <= context.quantize.max_drop_points))
        if count and found[-1][3]:
            break
    (one,) = list(batches(images.images[: context.static_batch or 1], static=context.static_batch, size=1))[:1]
    calls = {}
    for kept, path, _, _ in found:
        run = quantized.run(path)
        calls[str(len(kept))] = lambda run=run: run(one)
    context.progress("measuring latency", 0, None)
    latency = measure(calls, duration_s=_MEASURED_S)
    return tuple(
        FloatTrial(
            kept,
            points,
            enough,
            quantized.size(path) if kept else quantized.built_bytes,
            latency[str(len(kept))].p50_ms,
        )
        for kept, path, points, enough in found
    )
