"""Divide images by group: no person, camera or day is on both sides, each class in its share as far as groups allow.

Both functions are greedy over the groups, and their order is drawn as that of all splits is (see `order`), so that a
seed means the same split with every version of every library and on every CPU. scikit-learn's StratifiedGroupKFold
makes folds in the same way, but promises no order between its versions, and has no share that is held out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import numpy as np
import numpy.typing as npt

from edge_fm.data.splitting.order import permutation
from edge_fm_runtime.errors import DataError

Indices = npt.NDArray[np.intp]

_PASSES = 4
_DRAW = 7  # first word of the seed, so that no other draw of the same seed has this order


def count_groups(
    labels: npt.NDArray[np.int64], groups: Sequence[str]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """The number of each image's group, and how many images of each class each group has.

    Returns:
        int `[N]`, and float64 `[groups,classes]`; groups are numbered in the order of their names.
    """
    _, numbers = np.unique(np.array(groups, dtype=object).astype(str), return_inverse=True)
    classes = int(labels.max()) + 1 if len(labels) else 0
    counts = np.zeros((int(numbers.max()) + 1 if len(numbers) else 0, classes))
    np.add.at(counts, (numbers, labels), 1)
    return numbers, counts


def hold_out_groups(
    labels: npt.NDArray[np.int64], groups: Sequence[str], *, fraction: float, seed: int, leave: int = 1
) -> Indices:
    """Hold out whole groups: about a share of each class, ascending positions.

    At most twice that share of the groups is taken, but at least one: a group that has most of the images stays to be
    learned from, and does not drag all others to the other side.

    Args:
        labels: of the images.
        groups: of the images.
        fraction: share of each class that is held out, above 0 and below 1.
        seed: which groups those are.
        leave: groups that stay at least.

    Raises:
        DataError: there are too few groups.
    """
    if not 0 < fraction < 1:
        raise DataError(f"A share of {fraction} cannot be held out; supported are shares above 0 and below 1.")
    numbers, counts = count_groups(labels, groups)
    most = min(max(1, int(2 * fraction * len(counts))), len(counts) - leave)
    if most < 1:
        raise DataError(
            f"The images are of {len(counts)} group{'s' * (len(counts) != 1)}, too few to hold out one of them and "
            f"leave {leave}.",
            hint="Add images of other groups, or read the source without groups: --group none",
        )
    total = counts.sum(axis=0)
    here = total > 0
    counts, total = counts[:, here], total[here]
    wanted, owners = fraction * total, (counts > 0).sum(axis=0)
    order = permutation(len(counts), _DRAW, seed)
    held = np.zeros(len(counts), dtype=np.bool_)
    taken = 0
    sums, left = np.zeros(len(total)), owners.copy()

    def miss(of: npt.NDArray[np.float64]) -> float:
        # Each class counts alike, and all images together as much as one class.
        shares = (of - wanted) / wanted
        return float((shares**2).mean() + ((of.sum() - wanted.sum()) / wanted.sum()) ** 2)

    now = miss(sums)
    for _ in range(_PASSES):
        moved = False
        for group in order.tolist():
            has = counts[group] > 0
            if held[group]:
                changed = sums - counts[group]
                allowed = taken > 1
            else:
                changed = sums + counts[group]
                # The last group that has a class stays, or it could not be learned.
                allowed = taken < most and not (left[has] == 1).any()
            if allowed and (then := miss(changed)) < now - 1e-12:
                left += np.where(has, 1 if held[group] else -1, 0)
                held[group] = not held[group]
                taken += 1 if held[group] else -1
                sums, now, moved = changed, then, True
        if not moved:
            break
    if not taken:  # every group alone is too large, or has a class of its own
        free = [g for g in order.tolist() if not (left[counts[g] > 0] == 1).any()]
        if not free:
            raise DataError(
                "No group can be held out: each has a class that no other group has.",
                hint="Add images of such classes from other groups, or read the source without groups: --group none",
            )
        held[min(free, key=lambda g: miss(counts[g]))] = True
    return np.flatnonzero(held[numbers])


def fold_groups(
    labels: npt.NDArray[np.int64], groups: Sequence[str], *, folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Put whole groups into folds, each class in shares as equal as groups allow.

    Returns:
        int64 `[N]`, 0..folds-1.

    Raises:
        DataError: there are fewer groups than folds, or a class of one group alone, which could not be learned in the
            fold that holds it out.
    """
    numbers, counts = count_groups(labels, groups)
    if len(counts) < folds:
        raise DataError(
            f"The images are of {len(counts)} groups, fewer than {folds} folds.",
            hint="Use fewer folds, or read the source without groups: --group none",
        )
    owners = (counts > 0).sum(axis=0)
    if (owners == 1).any():
        raise DataError(
            f"Class {int(np.flatnonzero(owners == 1)[0])} has images of one group alone: in the fold that holds this "
            "out it could not be learned.",
            hint="Leave the class out (--set data.classes=[...] names those that stay), add images of it from other "
            "groups, or read the source without groups: --group none",
        )
    drawn = permutation(len(counts), _DRAW, seed)
    order = drawn[np.argsort(-counts[drawn].sum(axis=1), kind="stable")]  # large ones first; small ones even them out
    weights = 1 / np.maximum(counts.sum(axis=0), 1) ** 2
    sums = np.zeros((folds, counts.shape[1]))
    fold_of = np.zeros(len(counts), np.int64)
    for place, group in enumerate(order.tolist()):
        has = counts[group] > 0
        # Not `sums @ ...`: each CPU's BLAS adds in its own order, and folds that are equally full would be told apart
        # by what that rounds.
        full = [fsum(row) for row in sums[:, has] * (counts[group] * weights)[has]]
        fold = place if place < folds else full.index(min(full))  # none stays empty
        fold_of[group] = fold
        sums[fold] += counts[group]
    return fold_of[numbers]
