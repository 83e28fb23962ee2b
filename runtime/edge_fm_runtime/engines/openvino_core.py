"""The process's one `openvino.Core`, and its signal stack."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from edge_fm_runtime.errors import MissingDependencyError

if TYPE_CHECKING:
    import openvino


@cache
def shared_core() -> openvino.Core:
    """Return the core that all engines of this process share; it lives as long as the process.

    OpenVINO's CPU plugin gives the main thread a signal stack of its own and, when its core is released, puts back the
    one that it found. Cores that are not released in the opposite order of their creation therefore leave a stack that
    is freed, and the next signal, such as Ctrl-C, ends in a segmentation fault (seen with OpenVINO 2026.4.1).

    Raises:
        MissingDependencyError: openvino is not installed.
    """
    try:
        import openvino as ov
    except ImportError as error:
        raise MissingDependencyError.for_extra("openvino", "openvino", "The openvino engine") from error
    core: openvino.Core = ov.Core()
    return core


class _Stack(ctypes.Structure):
    """`stack_t` of Linux, see sigaltstack(2)."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def signal_stack_restored() -> Iterator[None]:
    """Put the thread's signal stack back after code that makes cores of its own, such as NNCF; see `shared_core`."""
    if not sys.platform.startswith("linux"):
        yield
        return
    libc, before = ctypes.CDLL(None, use_errno=True), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        gc.collect()  # cores that are still referred to in a cycle would put theirs back later
        libc.sigaltstack(ctypes.byref(before), None)
