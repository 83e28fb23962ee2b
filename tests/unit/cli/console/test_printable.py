"""Names in errors write no lines of their own; lists and hints keep theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from datafiles import write_images

from edge_fm.cli import cli
from edge_fm.cli.console.printable import printable_error
from edge_fm_export.results import joined_failures
from edge_fm_export.targets import Target
from edge_fm_runtime.errors import DataError, ExportError, GateError


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (DataError("no class a\nb", hint="It has: c\rd, e\nf."), "no class a\\nb\nIt has: c\\rd, e\\nf."),
        (GateError("2 checks failed", ["one\ntwo", "three"]), "2 checks failed\n  - one\\ntwo\n  - three"),
        (DataError("Tried:\n  - a\n  - b", hint="Files:\n  c"), "Tried:\n  - a\n  - b\nFiles:\n  c"),
        (ValueError("x\x1b[31m\ny"), "x\\x1b[31m\\ny"),
    ],
)
def test_a_line_break_of_a_name_is_an_escape(error: Exception, shown: str) -> None:
    assert printable_error(error) == shown


def test_the_hints_of_several_targets_keep_their_lines() -> None:
    failures = {
        Target("onnx", "int8"): ExportError("too far", hint="Calibrate."),
        Target("litert", "fp32"): ExportError("absent", hint="Install it."),
    }
    lines = printable_error(joined_failures(failures, [])).split("\n")
    assert lines[-2:] == ["onnx int8: Calibrate.", "  litert fp32: Install it."]


def test_a_class_with_a_line_break_in_its_name(tmp_path: Path, artifact_folder: Path) -> None:
    folder = write_images(tmp_path / "photos", {"Coat": 4, "new\nline": 4})
    result = CliRunner().invoke(cli, ["evaluate", str(artifact_folder), "--data", str(folder)])
    assert result.exit_code == 1
    assert "photos has images labelled" in result.stderr and r"new\nline" in result.stderr
    assert "new\nline" not in result.stderr
