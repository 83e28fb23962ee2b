"""Lines for a person on a terminal stand whole above the progress bar, which leaves nothing behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from terminal import screen_of

_CHILD = """
import warnings
from edge_fm.cli import _show_warning
from edge_fm.cli.console.console import Console
from edge_fm_runtime.errors import EdgeFMWarning

warnings.showwarning = _show_warning
console = Console()
with console.progress() as progress:
    for stage in range(3):
        for done in range(5):
            progress(f"stage {stage}", done, 4)
            if done == 2:
                console.note(f"Note {stage} " + "word " * 30 + f"end {stage}")
    console.warn("[bold]no markup[/bold]")
    warnings.warn("ours", EdgeFMWarning)
console.note("after")
"""


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


def test_a_photo_that_cannot_be_read_is_reported_once_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    lines = screen_of(120, sys.executable, "-m", "edge_fm", "infer", str(tmp_path / "cut.png"))
    assert sum(str(tmp_path / "cut.png") in line for line in lines) == 1, lines
