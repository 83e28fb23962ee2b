"""The part of the gate that compares outputs beside the probabilities with the original's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_fm_export.context import EvaluationSet, SourceModel
from edge_fm_export.gate.reference import ReferenceOutputs, batch_size
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.engines import Engine
from edge_fm_runtime.engines.outputs import Outputs
from edge_fm_runtime.parity.checks import Check
from edge_fm_runtime.parity.extra_outputs import OutputParity, compare_outputs

_MOST_IMAGES = 1000
"""Evenly selected: their means and extremes have settled by then, and maps of many classes take long."""
_SINGLES = 32


def compare_extra_outputs(
    artifact: Artifact, engine: Engine, source: SourceModel, test: EvaluationSet
) -> tuple[tuple[OutputParity, ...], tuple[Check, ...]]:
    """Compare extra outputs with the original's on up to 1,000 images, in batches and some dozens one by one.

    Args:
        artifact: what was exported.
        engine: runs it.
        source: the original, with its extra outputs.
        test: held-out images.

    Returns:
        The comparison of each output, in batches, and the checks.

    Raises:
        EngineError: the artifact cannot be run.
    """
    images = test.images
    rows = np.linspace(0, len(images) - 1, min(len(images), _MOST_IMAGES)).astype(np.intp)
    reference, precision = ReferenceOutputs(source), artifact.metadata.precision

    def pairs(places: np.ndarray[tuple[int], np.dtype[np.intp]], batch: int) -> Iterator[tuple[Outputs, Outputs]]:
        size = batch_size(images)
        for start in range(0, len(places), size):
            selected: Pixels = np.asarray(images[places[start : start + size]])
            yield reference(selected), engine.predict_outputs(selected, batch=batch)

    found = compare_outputs(pairs(rows, batch_size(images)))
    checks = [one.check(precision) for one in found]
    if artifact.metadata.input.batch is None:
        singles = compare_outputs(pairs(rows[:_SINGLES], 1))
        checks += [one.check(precision, suffix="_batch1") for one in singles]
    return tuple(found), tuple(checks)
