"""Find the few whose leaving out is enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MAX_RETURNED = 16
"""How many are tried to be given back, one measurement each."""


def fewest(
    names: Sequence[str], drop_of: Callable[[frozenset[str]], float], aim_points: float
) -> frozenset[str] | None:
    """Find few of `names` (most harmful first) whose leaving out brings the drop to `aim_points`; None if all do not.

    Bisects for the shortest head of the list that does, then tries to give its members back one by one.

    Example:
        >>> sorted(fewest("abcd", lambda out: 0.0 if "b" in out else 9.0, 0.5))
        ['b']
    """
    if drop_of(frozenset()) <= aim_points:
        return frozenset()
    if drop_of(frozenset(names)) > aim_points:
        return None
    low, high = 0, len(names)  # the head of `low` is not enough, the head of `high` is
    while high - low > 1:
        middle = (low + high) // 2
        if drop_of(frozenset(names[:middle])) <= aim_points:
            high = middle
        else:
            low = middle
    kept = list(names[:high])
    for name in list(reversed(kept))[:MAX_RETURNED] if len(kept) > 1 else []:
        without = frozenset(k for k in kept if k != name)
        if without and drop_of(without) <= aim_points:
            kept.remove(name)
    return frozenset(kept)
