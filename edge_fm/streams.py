"""The standard streams of the command line: what cannot be written is an error line, never a traceback."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from functools import cached_property
from typing import Any

from edge_fm.signals import hold_signals

STDOUT = "stdout"
"""`filename` of an OSError that writing results raised."""


def open_streams() -> bool:
    """Make stdout name itself in its errors, and let nothing that stderr cannot take end a command.

    A stream that was closed (`>&-`) becomes the null device: the next file that is opened would take its number, and a
    library that writes to "stdout" would write into it.

    Returns:
        whether stdout was open.
    """
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    for number in closed:
        os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # takes the lowest free number
    if 0 in closed or sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  # as long as the process lives
    sys.stdout = _text(_Stdout(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)
    return 1 not in closed


class _Stdout(io.FileIO):
    """Raises OSErrors that name stdout; after the first one, what is still buffered is dropped.

    A signal cuts no line off and writes none twice: it is heeded while a pipe or a terminal takes nothing, and not
    between the moment that bytes are written and the moment that the buffer knows.
    """

    _failed = False

    def write(self, data: Any) -> int:
        if self._failed:
            return memoryview(data).nbytes
        try:
            part = memoryview(data)
            if not self._is_file:
                select.select([], [self], [])
                part = part[: select.PIPE_BUF]  # as many as a pipe that is ready takes without waiting
            hold_signals(True)
            try:
                return super().write(part)
            finally:
                hold_signals(False)
        except OSError as error:
            self._failed = True
            raise OSError(error.errno, error.strerror, STDOUT) from None

    @cached_property
    def _is_file(self) -> bool:
        return stat.S_ISREG(os.fstat(self.fileno()).st_mode)


class _Stderr(io.FileIO):
    """Drops what cannot be written: there is no other place to report it, and results do not depend on it."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    """A text stream over `raw`, encoded as the one before; what it cannot encode is escaped."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    lines = raw.fileno() == 2 or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
