"""The one place where the export side imports TensorFlow and Keras, and where their log lines are held back."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_fm_export.compat import keras_internals, tensorflow_graphs
from edge_fm_export.compat.library_folders import own_keras_folder
from edge_fm_runtime.errors import ExportError, MissingDependencyError
from edge_fm_runtime.system.captured_log import known_log_lines_hidden
from edge_fm_runtime.system.garbage_collection import uncollected_import

# What TensorFlow's C++ side writes to file descriptor 2 whatever its log level: glog lines of information,
# the complaint that there is no CUDA driver, which is no error on a machine without a GPU,
# and the settings of LiteRT's quantizer.
NOISE = re.compile(
    rb"^(fully_quantize: |WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:\d\d:"
    rb"|E\d{4} .*\] failed call to cuInit"
    rb"|To enable the following instructions|To turn them off)"
)
_LOGGERS = ("tensorflow", "absl", "tf2onnx")


def import_keras() -> Any:
    """Import Keras on whatever backend: no settings file in the user's home, no log of the backend's start."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" in sys.modules:
        import keras
    else:
        with own_keras_folder(), known_log_lines_hidden(NOISE), uncollected_import():
            import keras

            if keras.backend.backend() == "tensorflow":
                keras.distribution.list_devices()  # looks for CUDA now, and logs that, rather than later
    return keras


def require_tensorflow(purpose: str) -> tuple[Any, Any]:
    """Import TensorFlow and Keras on TensorFlow.

    Args:
        purpose: what needs them, such as "export"; the error names it.

    Returns:
        The modules `tensorflow` and `keras`.

    Raises:
        MissingDependencyError: one of them is not installed, or in a version that EdgeFM was not tested with.
        ExportError: Keras runs on another backend, whose models cannot be traced into a graph.
    """
    if "keras" not in sys.modules:
        # An export traces a TensorFlow graph, whatever backend trained the model; `.keras` files fit all of them.
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        if "tensorflow" in sys.modules and "keras" in sys.modules:
            import keras
            import tensorflow as tf
        else:
            with own_keras_folder(), known_log_lines_hidden(NOISE), uncollected_import():
                import keras
                import tensorflow as tf

                tf.config.list_physical_devices()  # looks for CUDA now, and logs it now, rather than in mid-export
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("tensorflow", "keras"):
            raise
        raise MissingDependencyError.for_extra(missing, "export", purpose) from error
    keras_internals.VERSIONS.require(keras)
    tensorflow_graphs.VERSIONS.require(tf)
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ExportError(
            f"Keras runs on {backend} here; {purpose} needs its TensorFlow backend.",
            hint="KERAS_BACKEND=tensorflow edgefm ...   (a .keras file fits every backend)",
        )
    return tf, keras


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the libraries' log lines and deprecation warnings while they convert; errors are raised as ever."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def captured_errors(name: str) -> Iterator[list[str]]:
    """Capture the error lines that the logger `name` would print, for a message of ours."""
    lines: list[str] = []

    class Capture(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Capture(logging.ERROR)
    logger = logging.getLogger(name)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
