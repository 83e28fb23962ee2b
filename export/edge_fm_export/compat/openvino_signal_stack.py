"""OpenVINO's signal stack, put back after code that makes cores of its own."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class SignalStack(ctypes.Structure):
    """`stack_t` of Linux, see sigaltstack(2)."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def signal_stack(replacement: SignalStack | None = None) -> SignalStack:
    """This thread's signal stack, as it was before `replacement` took its place."""
    found = SignalStack()
    new = None if replacement is None else ctypes.byref(replacement)
    ctypes.CDLL(None, use_errno=True).sigaltstack(new, ctypes.byref(found))
    return found


@contextmanager
def signal_stack_restored() -> Iterator[None]:
    """Put the thread's signal stack back after code that makes OpenVINO cores of its own, such as NNCF's.

    OpenVINO's CPU plugin gives the thread a signal stack and, when its core is released, puts back the one that it
    found. Cores that are not released in the opposite order of their creation leave a stack that is freed, and the next
    signal, such as Ctrl-C, ends in a segmentation fault. `openvino_core.shared_core` keeps our own core for good.

    Seen with OpenVINO 2026.4.1. What is called is Linux's own, so this is for every version; elsewhere it does nothing.
    May go when released cores leave the stack that they found, in whatever order they go.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    before = signal_stack()
    try:
        yield
    finally:
        gc.collect()  # cores that are still referred to in a cycle would put theirs back later
        signal_stack(before)
