"""Select the few layers that must stay in float, by measuring accuracy drops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_fm_runtime.errors import ExportError

MAX_RETURNED = 16
"""For how many layers it is measured whether they can be quantized after all."""


class NothingToQuantizeError(ExportError):
    """Every layer that could be int8 stays in float."""

    def __init__(self) -> None:
        super().__init__(
            "There is no layer to quantize: every convolution and dense layer stays in float.",
            hint="Name fewer layers with --keep-float, allow a larger drop with --max-drop, or use --precision fp16.",
        )


def select_float_layers(
    names: Sequence[str], drop_of: Callable[[frozenset[str]], float], aim_points: float
) -> frozenset[str] | None:
    """Select few layers that bring the drop to `aim_points` when they stay in float; None if even all of them do not.

    Bisects for the shortest head of the list that does, then tries to quantize its members one by one.

    Args:
        names: the layers, most harmful first.
        drop_of: the drop in percentage points with the named layers in float.
        aim_points: the drop to reach.

    Example:
        >>> sorted(select_float_layers("abcd", lambda out: 0.0 if "b" in out else 9.0, 0.5))
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


def select_int8_weights(
    layers: Sequence[str], drop_of: Callable[[frozenset[str]], float], *, limit_points: float
) -> tuple[str, ...]:
    """Select the most layers whose weights can be stored in int8.

    Args:
        layers: the layers with weights, most harmful first.
        drop_of: the drop in percentage points with the weights of the named layers left in float.
        limit_points: the largest drop allowed.

    Raises:
        ExportError: there is none.
    """
    kept = select_float_layers(layers, lambda out: 0.0 if out >= set(layers) else drop_of(out), limit_points)
    if kept is None or kept >= set(layers):
        raise ExportError(
            f"Nothing can be int8 within the drop allowed: all {len(layers)} layers lose too much, even in their "
            "weights alone.",
            hint="Allow a larger drop with --max-drop POINTS, or use --precision fp16.",
        )
    return tuple(name for name in layers if name not in kept)


def note_on_weights(stored: Sequence[str]) -> str:
    """The note on an artifact of which only weights are int8."""
    return (
        "No layer can compute in int8 within the drop allowed: all compute in float, and the weights of "
        f"{len(stored)} are stored in int8. It is smaller than fp32, and not faster."
    )
