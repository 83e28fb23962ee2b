"""Divide images so that each class keeps its share, the same way every time, and no copy and no group leaks across."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_fm.data.dataset import Labels, Split
from edge_fm.data.splitting.groups import hold_out_groups
from edge_fm.data.splitting.order import permutation
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.errors import DataError

Indices = npt.NDArray[np.intp]


def split_validation(
    split: Split,
    *,
    seed: int,
    fraction: float | None = None,
    count: int | None = None,
    classes: Labels | None = None,
) -> tuple[Split, Split]:
    """Hold out a share of each class.

    Where images have groups, whole groups are held out, each class in its share as far as they allow. Else images that
    occur more than once stay in the first part as far as others are left, so that no copy of a held-out image is
    learned from.

    Args:
        split: what to divide; stays as it is.
        seed: same seed, same images: same parts.
        fraction: share that is held out, above 0 and below 1; at least one image of each class that has two.
        count: in its place, how many images are held out altogether.
        classes: int64 `[N]`, the classes that keep their shares where these are not the labels themselves.

    Returns:
        What is left to learn from, and what is held out; both in the order of `split`.

    Raises:
        DataError: the fraction or count is out of range, or nothing can be held out.

    Example:
        >>> images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
        >>> train, validation = split_validation(Split(images, np.repeat([0, 1], 10)), fraction=0.2, seed=1)
        >>> len(train), np.bincount(validation.labels).tolist()
        (16, [2, 2])
    """
    if (fraction is None) == (count is None):
        raise DataError(f"Either a share or a count is held out; got {fraction} and {count}.")
    keys = fingerprints(split.images)
    labels = split.labels if classes is None else classes
    if split.groups:
        share = fraction if fraction is not None else (count or 0) / len(split)
        held = hold_out_groups(labels, split.groups, fraction=share, seed=seed)
    elif fraction is not None:
        held = hold_out(keys, labels, fraction=fraction, seed=seed)
    else:
        held = hold_out_count(keys, labels, count=count or 0, seed=seed)
    kept = np.setdiff1d(np.arange(len(split.labels)), held)
    return split.take(kept), split.take(held)


def hold_out(keys: Sequence[bytes], labels: Labels, *, fraction: float, seed: int) -> Indices:
    """The positions that `split_validation` holds out, ascending; images with the same key are copies."""
    if not 0 < fraction < 1:
        raise DataError(f"A share of {fraction} cannot be held out; supported are shares above 0 and below 1.")
    counts = {}
    for label, size in zip(*np.unique(labels, return_counts=True), strict=True):
        if size >= 2:
            counts[int(label)] = min(max(1, int(int(size) * fraction + 0.5)), int(size) - 1)
    if not counts:
        raise DataError(
            f"Nothing can be held out of {len(labels)} images: no class has two, one to hold out and one that stays.",
            hint="Add images to each class. One of which training, validation and test images are drawn needs 3.",
        )
    return _held(keys, labels, counts, seed)


def hold_out_count(keys: Sequence[bytes], labels: Labels, *, count: int, seed: int) -> Indices:
    """Exactly `count` positions, each class in its share (largest remainders), ascending.

    Raises:
        DataError: there are not more images than that.
    """
    if not 0 < count < len(labels):
        raise DataError(f"{count} of {len(labels)} images cannot be held out; supported are 1 to {len(labels) - 1}.")
    classes, sizes = np.unique(labels, return_counts=True)
    whole, remainders = np.divmod(sizes.astype(np.int64) * count, len(labels))
    # Of equal remainders the first class gets the image.
    whole[np.argsort(-remainders, kind="stable")[: count - int(whole.sum())]] += 1
    counts = {int(label): int(n) for label, n in zip(classes, whole, strict=True) if n}
    return _held(keys, labels, counts, seed)


def _held(keys: Sequence[bytes], labels: Labels, counts: Mapping[int, int], seed: int) -> Indices:
    """So many positions of each class, those that occur once before those that have copies."""
    times = Counter(keys)
    repeated = np.array([times[key] > 1 for key in keys], dtype=np.bool_)
    held: list[Indices] = []
    for label, count in counts.items():
        members = np.flatnonzero(labels == label)
        shuffled = members[permutation(len(members), seed, label)]
        # A stable sort: what occurs once comes first, in the drawn order.
        held.append(shuffled[np.argsort(repeated[shuffled], kind="stable")][:count])
    return np.sort(np.concatenate(held))
