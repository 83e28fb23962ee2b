"""Run code or a command on a real pseudo-terminal of a given width, and get back what it showed."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
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


def screen_of(columns: int, *command: str) -> list[str]:
    """Run a command on a terminal of its own; the lines that are left on its screen."""
    try:
        terminal, side_of_the_command = os.openpty()
    except OSError as error:
        pytest.skip(f"this machine lends no pseudo-terminal ({error})")
    # The size is set before the command can ask for it.
    fcntl.ioctl(side_of_the_command, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    # Whoever runs the tests may have set COLUMNS, which would count for more than the terminal's own size.
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    ends = dict.fromkeys(("stdin", "stdout", "stderr"), side_of_the_command)
    process = subprocess.Popen(command, env={**environment, "TERM": "xterm"}, **ends)
    output = b""
    # This side keeps the command's end open, too: a sandbox may fail a read while nobody has it open.
    while True:
        ended = process.poll() is not None
        if select.select([terminal], [], [], 0 if ended else 0.05)[0]:
            output += os.read(terminal, 1 << 16)
        elif ended:
            break
    os.close(terminal)
    os.close(side_of_the_command)
    assert output, f"nothing on the terminal; the command ended with {process.returncode}"
    pyte = pytest.importorskip("pyte")  # a base install lacks it, and runs the other tests of this module
    screen = pyte.Screen(columns, 50)
    pyte.ByteStream(screen).feed(output)
    return [line.rstrip() for line in screen.display if line.strip()]
