"""Known log lines of C++ libraries are left out, and no others."""

from __future__ import annotations

import os
import re
import tempfile

import pytest

from edge_fm_runtime.system.captured_log import known_log_lines_hidden


def test_known_lines_are_left_out_and_others_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with known_log_lines_hidden(re.compile(rb"INFO")):
        os.write(2, b"INFO of a library\nan error of it\n")
    assert capfd.readouterr().err == "an error of it\n"


def test_without_a_folder_for_temporary_files_everything_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", "/nowhere/at/all")
        with known_log_lines_hidden(re.compile(rb"INFO")):
            os.write(2, b"INFO of a library\n")
    assert capfd.readouterr().err == "INFO of a library\n"
