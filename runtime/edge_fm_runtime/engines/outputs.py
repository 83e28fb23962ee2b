"""Outputs beside the probabilities: whether a file has those that its metadata records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.errors import EngineError

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.artifact import Artifact

Outputs: TypeAlias = Mapping[str, npt.NDArray[np.float32]]
"""Name of an output -> float32 `[N, ...]`."""


def check_outputs(artifact: Artifact, found: Sequence[tuple[str | None, Sequence[int]]]) -> None:
    """Raise unless a file has the outputs that its metadata records, in their order.

    Args:
        artifact: of the file.
        found: name (None where the file has none) and shape without the batch of each output of the file.

    Raises:
        EngineError: it has others.
    """
    metadata = artifact.metadata
    wanted: list[tuple[str, tuple[int, ...]]] = [(PROBABILITIES, (len(metadata.labels),))]
    wanted += [(output.name, output.shape) for output in metadata.extra_outputs]
    have = [(name or expected, tuple(shape)) for (name, shape), (expected, _) in zip(found, wanted, strict=False)]
    if len(found) == len(wanted) and have == wanted:
        return
    recorded = ", ".join(f"{name} [N, {', '.join(map(str, shape))}]" for name, shape in wanted)
    returned = ", ".join(f"{name or 'unnamed'} [N, {', '.join(map(str, shape))}]" for name, shape in found)
    raise EngineError(
        f"{artifact.payload} returns {returned}; its metadata says {recorded}.",
        hint="Export the model again: edgefm export",
    )
