"""Memory that a test has freed goes back to the system, so that a process stays as large as its largest test."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

_STATUS = Path("/proc/self/statm")
_PAGE_MIB = 4096 / 2**20
_GROWTH_MIB = 128
_kept_mib = 0.0


def return_freed_memory() -> None:
    """Collect garbage and hand free memory back, where the process has grown by 128 MiB since it last was; on Linux.

    Models of Keras are cycles, which the collector meets late; and what glibc's allocator has freed in the middle of
    its heap stays with the process until it is asked for.
    """
    global _kept_mib  # noqa: PLW0603 - there is one heap
    if not _STATUS.is_file() or _resident_mib() < _kept_mib + _GROWTH_MIB:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    _kept_mib = _resident_mib()


def _resident_mib() -> float:
    return int(_STATUS.read_text().split()[1]) * _PAGE_MIB
