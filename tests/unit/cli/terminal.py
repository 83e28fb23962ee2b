"""Run code with stdout on a real pseudo-terminal of a given width, and get back what it showed."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import sys
import termios
import threading
from collections.abc import Callable

import pytest


def shown(function: Callable[[], object], width: int | None, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `function` prints on a terminal of `width` columns, without styles; None for a pipe."""
    with monkeypatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        if width is None:
            pipe = io.StringIO()
            patch.setattr(sys, "stdout", pipe)
            function()
            return pipe.getvalue()
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        received = bytearray()

        def read() -> None:
            try:
                while part := os.read(master, 65536):
                    received.extend(part)
            except OSError:
                pass  # the other side is closed

        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(slave, "w", encoding="utf-8") as terminal:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "__stdout__", terminal)
            function()
        reader.join(10)
        os.close(master)
        return re.sub(r"\x1b\[[0-9;]*m", "", received.decode()).replace("\r\n", "\n")
