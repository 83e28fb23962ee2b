"""Scratch folders are gone in the end, also those that an exception on the way left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_fm_runtime.system.scratch import scratch_folder


def test_a_scratch_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder(".work-", parent=tmp_path) as folder:
        assert folder.parent == tmp_path and folder.name.startswith(".work-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "sub").mkdir()
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())


_INTERRUPTED = """
import signal, shutil, sys
from pathlib import Path
from edge_fm.signals import catch_signals
from edge_fm_runtime.system.scratch import scratch_folder

catch_signals()
remove = shutil.rmtree

def interrupted(*arguments, **options):
    shutil.rmtree = remove
    signal.raise_signal(signal.SIGTERM)

with scratch_folder(parent=Path(sys.argv[1])) as folder:
    (folder / "file").touch()
    shutil.rmtree = interrupted
"""


def test_a_signal_while_it_is_removed_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "Interrupted" in done.stderr
    assert not list(tmp_path.iterdir())
