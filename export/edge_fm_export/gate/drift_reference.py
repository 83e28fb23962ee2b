"""What `edgefm drift` will compare photos with: held-out images, seen through the artifact that was built."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import EvaluationSet
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_export.gate.reference import batch_size
from edge_fm_export.targets import FORMAT_ENTRIES
from edge_fm_export.writer import disk_errors
from edge_fm_runtime.arrays import Floats
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import DRIFT_FILE
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.drift.observation import Observation, joined, observe
from edge_fm_runtime.drift.partitions import Partitions
from edge_fm_runtime.drift.reference import CellReference, DriftReference, save_reference
from edge_fm_runtime.engines import ENGINES, EngineOptions, create_engine
from edge_fm_runtime.progress import ProgressFn, silent

LEAST_IMAGES = 90
"""A third of them, at most `_MADE_OF`, makes the partitions, the others are compared with."""
MOST_IMAGES = 4000
_MADE_OF = 1000
PARTITIONS, CELLS, DIMENSIONS = 8, 60, 16
_IMAGES_A_CELL = 10
"""Of the images that are compared with, on average at least; fewer images get fewer cells."""
_SEED = 0


def record_reference(artifact: Artifact, held_out: EvaluationSet, *, progress: ProgressFn = silent) -> DriftReference:
    """Run a built artifact on held-out images and record what it sees.

    Args:
        artifact: the very files that will ship.
        held_out: images that the model has not learned from, labelled or not, at least `LEAST_IMAGES`; at most
            `MOST_IMAGES` of them are drawn.
        progress: called as work goes on.

    Raises:
        EngineError: the artifact cannot be run.
    """
    metadata, random = artifact.metadata, np.random.default_rng(_SEED)
    rows = random.permutation(len(held_out.images))[:MOST_IMAGES]
    made_of = rows[: min(len(rows) // 3, _MADE_OF)]
    order = np.concatenate([np.sort(made_of), np.sort(rows[len(made_of) :])])
    stage = f"held-out images of {metadata.format} {metadata.precision}"
    engine = create_engine(
        artifact,
        FORMAT_ENTRIES[metadata.format].engine,
        options=EngineOptions(arithmetic="exact"),
        registry={**ENGINES, **REFERENCE_ENGINES},
    )
    try:
        parts: list[Observation] = []
        batch = batch_size(held_out.images)
        for start in range(0, len(order), batch):
            progress(stage, start, len(order))
            parts += observe(engine, artifact, held_out.images[order[start : start + batch]], batch=batch)
    finally:
        engine.close()
    seen, first = joined(parts), len(made_of)
    m = len(order) - first
    spaces = {}
    for name, vectors in seen.vectors.items():
        partitions = fit_partitions(vectors[:first], cells=min(CELLS, first, m // _IMAGES_A_CELL), random=random)
        spaces[name] = CellReference(partitions, partitions.cells(vectors[first:]))
    classes = None if seen.classes is None else np.bincount(seen.classes[first:], minlength=len(metadata.labels))
    return DriftReference(
        m,
        None if classes is None else classes.astype(np.int64),
        {name: np.sort(values[first:]) for name, values in seen.statistics.items()},
        spaces,
    )


def write_reference(artifact: Artifact, held_out: EvaluationSet | None, *, progress: ProgressFn = silent) -> Metadata:
    """Record held-out images in the folder of an artifact; arguments and errors as for `record_reference`.

    Returns:
        the artifact's metadata with a note of it; unchanged where there are no such images.
    """
    if held_out is None:
        return artifact.metadata
    reference = record_reference(artifact, held_out, progress=progress)
    with disk_errors(artifact.path):
        save_reference(reference, artifact.path / DRIFT_FILE)
    recorded = {"n": reference.n, "dataset": held_out.name, "tests": list(reference.tests)}
    return replace(artifact.metadata, drift=recorded)


def fit_partitions(vectors: Floats, *, cells: int, random: np.random.Generator) -> Partitions:
    """Make random partitions, in the plane of the principal components of some vectors.

    Args:
        vectors: float32 `[N,D]`, at least `cells`; each centre is one of them.
        cells: of each partition.
        random: draws the centres.
    """
    mean = _rounded(vectors.mean(axis=0))
    centred = vectors - mean
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    projection = _rounded(np.ascontiguousarray(axes[:DIMENSIONS].T))
    projected = centred @ projection
    centres = [projected[random.choice(len(vectors), cells, replace=False)] for _ in range(PARTITIONS)]
    return Partitions(mean, projection, _rounded(np.stack(centres)))


def _rounded(values: npt.NDArray[np.floating[Any]]) -> Floats:
    """As the file holds them, so that a device finds the same cells."""
    return values.astype(np.float16).astype(np.float32)
