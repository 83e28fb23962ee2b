"""The one place where the training side's packages import Keras."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_runtime.errors import MissingDependencyError

_BACKENDS = {"tensorflow", "jax", "torch"}


def require_keras_installed(purpose: str) -> None:
    """Check that Keras and a backend are installed, without the seconds that importing them takes.

    Args:
        purpose: as for `require_keras`.

    Raises:
        MissingDependencyError: Keras is not installed, or no backend that Keras knows.
    """
    missing = [] if find_spec("keras") else ["keras"]
    if not any(find_spec(name) for name in _BACKENDS):
        missing.append("tensorflow")
    if missing:
        absent = ModuleNotFoundError(f"No module named {missing[0]!r}", name=missing[0])
        raise MissingDependencyError.for_extra(", ".join(missing), "train", purpose) from absent


def require_keras(purpose: str) -> Any:
    """Import and return `keras`, with the backend that the user has configured.

    Args:
        purpose: what needs it, such as "training"; the error names it.

    Raises:
        MissingDependencyError: Keras or its backend is not installed.
    """
    try:
        keras = import_keras()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing != "keras" and missing not in _BACKENDS:
            raise
        raise MissingDependencyError.for_extra(missing, "train", purpose) from error
    return keras
