"""What an artifact records of its held-out images, so that photos can be compared with them: the file `drift.npz`.

No image can be made of it: the values of each statistic are sorted, so that none belongs to an image, and of
probabilities and embeddings only the cells are recorded in which they lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.artifacts.array_file import REEXPORT, load_arrays, save_arrays
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import DRIFT_FILE
from edge_fm_runtime.artifacts.metadata import MULTI_LABEL
from edge_fm_runtime.artifacts.packaged import MODELS
from edge_fm_runtime.drift.image_statistics import COLOUR_STATISTICS, GREY_STATISTICS
from edge_fm_runtime.drift.partitions import Partitions
from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.model_outputs import model_to_export

STATISTIC_TYPE = np.float16
"""Of recorded values, and of those that are compared with them: finer differences are those of engines."""
_MAX_BYTES = 64 * 1024 * 1024
_SCORES, _CLASSES = "scores", "classes"
_PARTS = ("mean", "projection", "centres", "cells")
SPACES = ("predictions", "embedding")
"""What is counted in cells."""


@dataclass(frozen=True, eq=False)
class CellReference:
    """Vectors of the held-out images, as cells of partitions that were made of other held-out images.

    Attributes:
        partitions: of the space.
        cells: uint8 `[M,partitions]`, the cells of the images.
    """

    partitions: Partitions
    cells: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class DriftReference:
    """Held-out images in numbers.

    Attributes:
        n: how many images.
        classes: int64 `[classes]`, how often each class is the most probable one; None of multi-label models.
        statistics: float16 `[M]`, sorted, by name: `scores` (the highest probability; not of multi-label models) and
            those of `image_statistics`.
        spaces: cells of `predictions` (all probabilities of an image together) and, where the artifact returns it, of
            `embedding`.
    """

    n: int
    classes: npt.NDArray[np.int64] | None
    statistics: Mapping[str, npt.NDArray[np.float16]]
    spaces: Mapping[str, CellReference]

    @property
    def tests(self) -> tuple[str, ...]:
        """Names of the tests that can be made with it."""
        return (*([] if self.classes is None else [_CLASSES]), *self.statistics, *self.spaces)


def save_reference(reference: DriftReference, path: Path) -> None:
    """Write `reference` to `path`; the same reference gives the same bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    if reference.classes is not None:
        arrays[_CLASSES] = reference.classes
    arrays |= {_array_name(name): values for name, values in reference.statistics.items()}
    for name, space in reference.spaces.items():
        parts = space.partitions
        for part, array in zip(_PARTS[:3], (parts.mean, parts.projection, parts.centres), strict=True):
            arrays[f"{name}_{part}"] = array.astype(np.float16)
        arrays[f"{name}_cells"] = space.cells
    save_arrays(arrays, path)


def load_reference(artifact: Artifact) -> DriftReference:
    """Read what an artifact records.

    Raises:
        ArtifactError: it records nothing, or the file is malformed or does not fit the artifact.
    """
    metadata, path = artifact.metadata, artifact.path / DRIFT_FILE
    if artifact.bare or DRIFT_FILE not in metadata.files:
        raise _nothing(artifact)
    names = expected_statistics(metadata.input.channels, multi_label=metadata.task == MULTI_LABEL)
    spaces = [SPACES[0], *(one.name for one in metadata.extra_outputs if one.name == SPACES[1])]
    wanted = [
        *([] if metadata.task == MULTI_LABEL else [_CLASSES]),
        *map(_array_name, names),
        *(f"{space}_{part}" for space in spaces for part in _PARTS),
    ]
    arrays = load_arrays(
        path, artifact.content(DRIFT_FILE), wanted, what="reference for edgefm drift", max_bytes=_MAX_BYTES
    )
    n = len(arrays[_array_name(names[-1])])
    _check(path, arrays, names, n, len(metadata.labels))
    sizes = {SPACES[0]: len(metadata.labels)} | {
        one.name: one.shape[0] for one in metadata.extra_outputs if one.name == SPACES[1]
    }
    return DriftReference(
        n,
        arrays.get(_CLASSES),
        {name: arrays[_array_name(name)] for name in names},
        {
            space: _space(path, space, [arrays[f"{space}_{part}"] for part in _PARTS], n, sizes[space])
            for space in spaces
        },
    )


def expected_statistics(channels: int, *, multi_label: bool) -> tuple[str, ...]:
    """Names of the statistics that are recorded of images with so many channels."""
    colours = COLOUR_STATISTICS if channels == 3 else {}
    return (*([] if multi_label else [_SCORES]), *GREY_STATISTICS, *colours)


def _array_name(statistic: str) -> str:
    return f"statistic_{statistic.replace(' ', '_')}"


def _nothing(artifact: Artifact) -> ArtifactError:
    metadata = artifact.metadata
    model = model_to_export(metadata)
    data = " --data IMAGES" if model == "MODEL.keras" else ""
    outputs = ",".join(dict.fromkeys([*(one.name for one in metadata.extra_outputs), SPACES[1]]))
    extra = "" if metadata.task == MULTI_LABEL else f" --outputs {outputs}"
    command = f"edgefm export {model} --format {metadata.format} --precision {metadata.precision}{data}{extra}"
    if artifact.bare:
        return ArtifactError(
            f"{artifact.path} is a bare file; what photos are compared with lies beside it in an artifact's folder.",
            hint=f"Give the folder, or export the model: {command}",
        )
    message = f"{artifact.path} records no held-out images ({DRIFT_FILE}) that photos could be compared with."
    if artifact.path.parent == MODELS:
        if Path("runs", "latest").exists():
            own = "a run of your own, here the newest: edgefm export --outputs embedding"
        else:
            own = "a model of your own: edgefm export MODEL.keras --data IMAGES --outputs embedding"
        return ArtifactError(message, hint=f"Export {own}")
    return ArtifactError(message, hint=f"Export the model again with images that it has not learned from: {command}")


def _check(path: Path, arrays: Mapping[str, npt.NDArray[Any]], names: Sequence[str], n: int, labels: int) -> None:
    for name in map(_array_name, names):
        values = arrays[name]
        if values.dtype != STATISTIC_TYPE or values.shape != (n,) or n < 2 or not np.isfinite(values).all():
            raise _malformed(path, f"{name} {values.dtype} {list(values.shape)}")
    counts = arrays.get(_CLASSES)
    if counts is not None and (
        counts.dtype != np.int64 or counts.shape != (labels,) or counts.min() < 0 or counts.sum() != n
    ):
        raise _malformed(path, f"{_CLASSES} {counts.dtype} {list(counts.shape)}")


def _space(path: Path, name: str, parts: Sequence[npt.NDArray[Any]], n: int, size: int) -> CellReference:
    mean, projection, centres, cells = parts
    fits = (
        mean.dtype == projection.dtype == centres.dtype == np.float16
        and cells.dtype == np.uint8
        and mean.shape == (size,)
        and projection.ndim == 2
        and centres.ndim == 3
        and projection.shape == (size, centres.shape[2])
        and 0 < centres.shape[1] <= 256
        and cells.shape == (n, centres.shape[0])
        and cells.max(initial=0) < centres.shape[1]
        and all(np.isfinite(part).all() for part in (mean, projection, centres))
    )
    if not fits:
        shapes = ", ".join(
            f"{part} {array.dtype} {list(array.shape)}" for part, array in zip(_PARTS, parts, strict=True)
        )
        raise _malformed(path, f"{name}: {shapes}")
    return CellReference(Partitions(*(part.astype(np.float32) for part in (mean, projection, centres))), cells)


def _malformed(path: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{path} does not fit together: {what}.", hint=REEXPORT)
