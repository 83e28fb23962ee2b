"""Python's garbage collector while large libraries are imported, and after."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_own_process = False


def set_own_process(own: bool = True) -> None:
    """Say whether EdgeFM's program is all that this process runs, so that what imports leave may be frozen."""
    global _own_process  # noqa: PLW0603 - the collector too is one for the process
    _own_process = own


@contextmanager
def uncollected_import() -> Iterator[None]:
    """Import libraries without garbage collections, and leave what they define out of later ones.

    TensorFlow and Keras define some hundred thousand objects that stay until the process ends. Python's collector would
    walk through them many times while they are imported, every few seconds of an export, and once more at the end,
    which is a third of the time of short commands. In a program that uses EdgeFM as a library nothing is frozen, as
    that would keep cycles of its own objects too; nor where all had been imported before.
    """
    enabled, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
        if _own_process and len(sys.modules) > known:
            gc.freeze()
    finally:
        if enabled:
            gc.enable()
