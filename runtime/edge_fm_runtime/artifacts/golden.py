"""Golden predictions: a few dozen inputs with the predictions of the original and the exported model for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.array_file import REEXPORT, load_arrays, save_arrays
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import GOLDEN_FILE
from edge_fm_runtime.errors import ArtifactError

__all__ = ["GOLDEN_FILE", "Golden", "golden_of", "load_golden", "save_golden"]

_ARRAYS = ("images", "reference", "exported")
_MAX_BYTES = 256 * 1024 * 1024
MAX_IMAGES = 4096
"""A few dozen are written, or as many as fill a fixed batch."""


@dataclass(frozen=True, eq=False)
class ExtraPair:
    """An output beside the probabilities, for the golden images.

    Attributes:
        reference: float32 `[N,...]`, of the original Keras model.
        exported: the same of the exported model on the machine that exported it.
    """

    reference: npt.NDArray[np.float32]
    exported: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and the predictions for them.

    Attributes:
        images: uint8 `[N,H,W,C]`.
        reference: float32 `[N,classes]`, the original Keras model's probabilities.
        exported: float32 `[N,classes]`, of the exported model on the machine that exported it.
        extra: outputs beside the probabilities, by their names; the file's arrays `reference_NAME` and `exported_NAME`.
    """

    images: Pixels
    reference: Probabilities
    exported: Probabilities
    extra: Mapping[str, ExtraPair] = field(default_factory=dict)


def save_golden(golden: Golden, path: Path) -> None:
    """Write `golden` to `path` as `.npz`; the same predictions give the same bytes."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "images": golden.images,
        "reference": golden.reference,
        "exported": golden.exported,
    }
    for output, pair in golden.extra.items():
        arrays |= {f"reference_{output}": pair.reference, f"exported_{output}": pair.exported}
    save_arrays(arrays, path)


def golden_of(artifact: Artifact) -> Golden:
    """Read an artifact's golden predictions; raises what `load_golden` does."""
    extra = [output.name for output in artifact.metadata.extra_outputs]
    return load_golden(artifact.path / GOLDEN_FILE, artifact.content(GOLDEN_FILE), extra=extra)


def load_golden(path: Path, content: bytes | None = None, *, extra: Sequence[str] = ()) -> Golden:
    """Read golden predictions; never unpickles.

    Args:
        path: the file.
        content: its bytes where they are to be read instead of the file.
        extra: names of the outputs beside the probabilities that the file must hold, too.

    Raises:
        ArtifactError: the file is malformed or its arrays do not fit together.
    """
    names = (*_ARRAYS, *(f"{kind}_{output}" for output in extra for kind in ("reference", "exported")))
    arrays = load_arrays(path, content, names, what="golden predictions", max_bytes=_MAX_BYTES)
    pairs = {output: ExtraPair(arrays[f"reference_{output}"], arrays[f"exported_{output}"]) for output in extra}
    golden = Golden(arrays["images"], arrays["reference"], arrays["exported"], pairs)
    images, reference, exported = golden.images, golden.reference, golden.exported
    fits = (
        images.dtype == np.uint8
        and images.ndim == 4
        and reference.dtype == exported.dtype == np.float32
        and reference.shape == exported.shape
        and reference.ndim == 2
        and len(reference) == len(images) > 0
    )
    if not fits:
        raise ArtifactError(
            f"{path}: images {images.dtype} {list(images.shape)}, reference {reference.dtype} {list(reference.shape)} "
            f"and exported {exported.dtype} {list(exported.shape)} do not fit together.",
            hint=REEXPORT,
        )
    for output, pair in pairs.items():
        one, other = pair.reference, pair.exported
        if one.dtype != np.float32 or other.dtype != np.float32 or one.shape != other.shape or len(one) != len(images):
            raise ArtifactError(
                f"{path}: reference_{output} {one.dtype} {list(one.shape)} and exported_{output} {other.dtype} "
                f"{list(other.shape)} do not fit {len(images)} images.",
                hint=REEXPORT,
            )
    if len(images) > MAX_IMAGES:
        raise ArtifactError(f"{path} holds {len(images)} images; at most {MAX_IMAGES} are replayed.", hint=REEXPORT)
    return golden
