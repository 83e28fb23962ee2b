"""What the families of the zoo share: the last layers, and the checks of their options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import ModelError


def classifier_head(x: Any, classes: int) -> Any:
    """Logits and their softmax: symbolic float32 `[N,classes]` named "probabilities"."""
    layers = require_keras("a model").layers
    x = layers.Dense(classes, name="logits")(x)
    # Probabilities stay float32 under any mixed precision policy.
    return layers.Activation("softmax", dtype="float32", name="probabilities")(x)


def check_share(option: str, value: float) -> None:
    """Refuse what is not a share.

    Raises:
        ModelError: it is not a number of at least 0 and below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ModelError(f"{option} is {value!r}; it is a share, at least 0 and below 1.")


def check_counts(option: str, values: Sequence[int], *, length: int | None = None) -> tuple[int, ...]:
    """Refuse what is not a list of counts, or one of another length; returns it as a tuple.

    Raises:
        ModelError: an entry is not a whole number of at least 1, or there are too few or too many.
    """
    wanted = f"{length} whole numbers of at least 1" if length else "a list of whole numbers of at least 1"
    good = not isinstance(values, str) and isinstance(values, Sequence)
    if not good or not all(type(v) is int and v >= 1 for v in values) or (length and len(values) != length):
        raise ModelError(f"{option} is {values!r}; it must be {wanted}.")
    return tuple(values)


def check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    """Refuse what is none of the choices.

    Raises:
        ModelError: it is another one.
    """
    if value not in choices:
        raise ModelError(f"{option} is {value!r}. Supported: {', '.join(choices)}.")


ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "selu", "gelu", "silu", "leaky_relu")
"""Activations that every format exports."""


def check_activation(value: str) -> None:
    """Refuse an activation that is not one of `ACTIVATIONS`.

    Raises:
        ModelError: it is another one.
    """
    check_choice("activation", value, ACTIVATIONS)
