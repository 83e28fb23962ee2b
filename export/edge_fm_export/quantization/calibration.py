"""Draw the images that calibrate: stratified, seeded, and identified by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import BuildContext, EvaluationSet
from edge_fm_runtime.artifacts.metadata import Precision
from edge_fm_runtime.errors import DataError, ExportError

DEFAULT_SAMPLES = 300
"""What nncf.quantize takes by default; the ranges of a small network have settled by then."""


def calibration_set(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64] | None,
    *,
    samples: int | None = None,
    seed: int = 0,
    name: str = "calibration",
) -> EvaluationSet:
    """Draw `samples` images, each class with its share, in a random order.

    Take `images` from the training split: the gate measures on the test split, which must be unseen.

    Args:
        images: uint8 `[N,H,W,C]`.
        labels: `[N]` classes, or `[N,labels]` of 0 and 1, of which each combination is a class; None without labels:
            then every image has the same chance.
        samples: how many to draw; None for 300, or as many as there are.
        seed: the same seed draws the same images.
        name: what to call the set.

    Raises:
        DataError: the images or labels have the wrong shape or type, or there are too few.

    Example:
        >>> pixels = np.zeros((20, 4, 4, 1), np.uint8)
        >>> drawn = calibration_set(pixels, np.repeat([0, 1], 10), samples=6, seed=1)
        >>> drawn.labels is not None and sorted(drawn.labels.tolist())
        [0, 0, 0, 1, 1, 1]
    """
    if images.ndim != 4 or images.dtype != np.uint8:
        raise DataError(
            f"Calibration images must be uint8 [N,H,W,C], got {images.dtype} {list(images.shape)}.",
            hint="Give the pixels as they are, 0..255: scaling is inside the model.",
        )
    if labels is not None and (labels.ndim not in (1, 2) or len(labels) != len(images)):
        raise DataError(
            f"{len(images)} calibration images came with labels of shape {list(labels.shape)}.",
            hint="Give one label for each image, or none at all.",
        )
    if samples is None:
        samples = min(DEFAULT_SAMPLES, max(1, len(images)))
    if samples < 1 or samples > len(images):
        raise DataError(
            f"Calibration needs {samples} images; the set {name!r} has {len(images)}.",
            hint=f"Give --samples from 1 to {len(images)}, or more images with --calibration SOURCE."
            if len(images)
            else "Give images with --calibration SOURCE.",
        )
    selected = _draw(labels, len(images), samples, np.random.default_rng(seed))
    drawn = np.ascontiguousarray(images[selected])
    drawn_labels = None if labels is None else np.ascontiguousarray(labels[selected], dtype=np.int64)
    return EvaluationSet(name, drawn, drawn_labels, hash_images(drawn, drawn_labels))


def hash_images(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64] | None) -> str:
    """SHA-256 (hex) of the shape, the pixels and the labels."""
    digest = hashlib.sha256(repr(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    if labels is not None:
        digest.update(np.ascontiguousarray(labels, dtype="<i8").data)
    return digest.hexdigest()


def require_calibration(context: BuildContext, precision: Precision = "int8") -> EvaluationSet:
    """The calibration images of `context`.

    Args:
        context: of the export.
        precision: that needs them, for messages.

    Raises:
        ExportError: there are none, or they do not fit the model.
    """
    images = context.calibration
    if images is None or not len(images.images):
        raise ExportError(
            f"{precision} needs images to calibrate with, and none were given.",
            hint="Give training images: edgefm export ... --calibration SOURCE, or --data SOURCE.",
        )
    if images.images.shape[1:] != context.source.input.shape:
        raise ExportError(
            f"The calibration images are {list(images.images.shape[1:])}; "
            f"the model takes {list(context.source.input.shape)}.",
            hint="Give images of the model's size with --calibration SOURCE.",
        )
    return images


def batches(images: npt.NDArray[np.uint8], *, static: int | None, size: int = 32) -> Iterator[npt.NDArray[np.uint8]]:
    """Cut `images` into batches; with a `static` batch size, the last one is filled up from the start of the set."""
    step = static or size
    for start in range(0, len(images), step):
        batch = images[start : start + step]
        if static is not None and len(batch) < static:
            batch = np.concatenate([batch, np.resize(images, (static - len(batch), *images.shape[1:]))])
        yield np.ascontiguousarray(batch)


def _draw(
    labels: npt.NDArray[np.int64] | None, total: int, samples: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    if labels is None:
        return rng.permutation(total)[:samples]
    if labels.ndim == 2:
        labels = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    classes, counts = np.unique(labels, return_counts=True)
    # Largest remainders: the shares add up to `samples`, and no class gets more than it has.
    exact = counts * (samples / total)
    shares = np.floor(exact).astype(np.int64)
    rest = np.argsort(shares - exact, kind="stable")[: samples - int(shares.sum())]
    shares[rest] += 1
    parts = [rng.permutation(np.flatnonzero(labels == c))[:share] for c, share in zip(classes, shares, strict=True)]
    return rng.permutation(np.concatenate(parts)).astype(np.intp)
