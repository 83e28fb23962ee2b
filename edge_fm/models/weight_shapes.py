"""What arrays a file of weights holds, without a model to load it into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from edge_fm_runtime.errors import ModelError

Shapes: TypeAlias = Counter[tuple[int, ...]]

# State that is not a weight: of optimizers, and of dropout's random generator.
_NOT_WEIGHTS = ("optimizer", "optimizer_weights", "seed_generator")


def file_shapes(path: Path) -> Shapes:
    """Count the shapes of the weights in an HDF5 file, Keras 3's `.weights.h5` or the older `.h5`.

    Raises:
        ModelError: it is not an HDF5 file.
    """
    import h5py

    shapes: Shapes = Counter()

    def visit(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and not set(name.split("/")) & set(_NOT_WEIGHTS):
            shapes[tuple(entry.shape)] += 1

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except OSError as error:
        raise ModelError(
            f"{path} is not an HDF5 file, or not a whole one: {error}.", hint="Fetch or save the weights again."
        ) from error
    return shapes


def shapes_of(weights: Iterable[Any]) -> Shapes:
    """Count the shapes of a model's weights."""
    return Counter(tuple(weight.shape) for weight in weights)


def differences(theirs: Shapes, ours: Shapes) -> str:
    """One phrase on what only one side has, for a person.

    Example:
        >>> differences(Counter({(3, 3, 1, 8): 1}), Counter({(3, 3, 1, 16): 1}))
        'the file alone has 3x3x1x8; the model alone has 3x3x1x16'
    """
    parts = []
    for side, shapes in (("the file", theirs - ours), ("the model", ours - theirs)):
        if shapes:
            shown = ["x".join(map(str, s)) or "a number" for s in sorted(shapes, key=lambda s: (-len(s), s))]
            more = f" and {len(shown) - 4} other shapes" if len(shown) > 4 else ""
            parts.append(f"{side} alone has {', '.join(shown[:4])}{more}")
    return "; ".join(parts)
