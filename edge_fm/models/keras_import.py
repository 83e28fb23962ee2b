"""The one place where the training side's packages import Keras."""

from __future__ import annotations

import os
from typing import Any

from edge_fm_runtime.errors import MissingDependencyError

_BACKENDS = {"tensorflow", "jax", "torch"}


def require_keras(purpose: str) -> Any:
    """Import and return `keras`, with whatever backend the user has chosen.

    Args:
        purpose: what needs it, such as "training"; the error names it.

    Raises:
        MissingDependencyError: Keras or its backend is not installed.
    """
    # TensorFlow writes its build's details to stderr on import, unless told not to before that.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing != "keras" and missing not in _BACKENDS:
            raise
        raise MissingDependencyError.for_extra(missing, "train", purpose) from error
    return keras
