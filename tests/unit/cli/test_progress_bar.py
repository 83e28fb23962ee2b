"""Lines for a person on a terminal stand whole above the progress bar, which leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from pathlib import Path

import pyte
import pytest

_CHILD = """
import warnings
from edge_fm.cli import _show_warning
from edge_fm.cli.common import Talk
from edge_fm_runtime.errors import EdgeFMWarning

warnings.showwarning = _show_warning
talk = Talk(False)
with talk.progress() as progress:
    for stage in range(3):
        for done in range(5):
            progress(f"stage {stage}", done, 4)
            if done == 2:
                talk.note(f"Note {stage} " + "word " * 30 + f"end {stage}")
    talk.warn("[bold]no markup[/bold]")
    warnings.warn("ours", EdgeFMWarning)
talk.note("after")
"""


def screen_of(columns: int, *command: str) -> list[str]:
    """Run a command on a terminal of its own; the lines that are left on its screen."""
    pid, terminal = pty.fork()
    if pid == 0:  # the size is set before the command can ask for it
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        # Whoever runs the tests may have set COLUMNS, which would count for more than the terminal's own size.
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        os.execvpe(command[0], command, {**environment, "TERM": "xterm"})
    output = b""
    while True:
        try:
            block = os.read(terminal, 1 << 16)
        except OSError:  # the child has closed it
            break
        if not block:
            break
        output += block
    os.waitpid(pid, 0)
    os.close(terminal)
    screen = pyte.Screen(columns, 50)
    pyte.ByteStream(screen).feed(output)
    return [line.rstrip() for line in screen.display if line.strip()]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_every_note_stands_whole_and_no_bar_is_left(columns: int, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(_CHILD)
    lines = screen_of(columns, sys.executable, str(tmp_path / "child.py"))
    text = "".join(lines)
    for stage in range(3):
        whole = f"Note {stage} " + "word " * 30 + f"end {stage}"
        assert whole.replace(" ", "") in text.replace(" ", "")
    assert "WARNING: [bold]no markup[/bold]" in lines
    assert "Warning: ours" in lines
    assert lines[-1] == "after"
    assert "━" not in text and "eta" not in text


def test_a_photo_that_cannot_be_read_is_told_once_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    lines = screen_of(120, sys.executable, "-m", "edge_fm", "infer", str(tmp_path / "cut.png"))
    assert sum(str(tmp_path / "cut.png") in line for line in lines) == 1, lines
