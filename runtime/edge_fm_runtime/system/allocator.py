"""How the C library keeps memory that was freed."""

from __future__ import annotations

import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = 64 << 20, 32 << 20
"""Bytes. glibc keeps the memory of one photo for the next: 12 megapixels are 12,000 pages, which take a third of the
time to decode them when the kernel hands them out anew."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Source: malloc.h of glibc."""


def keep_freed_memory() -> None:
    """Let glibc keep memory that large photos leave, in this process; nothing where the C library is another."""
    if sys.platform != "linux":
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return
    mallopt(_M_TRIM_THRESHOLD, TRIM_THRESHOLD)
    mallopt(_M_MMAP_THRESHOLD, MMAP_THRESHOLD)
