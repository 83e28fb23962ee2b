"""The rows of `infer`: CSV that reads back whatever happens, and no control character in any line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edge_fm.cli import cli

HOSTILE = ("Hat\x1b]0;owned\x07", "two\nlines\x9b1m", "=HYPERLINK(\u202e1)")


def infer(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["infer", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        Image.new("L", (4, 4)).save(folder / name)
    (folder / "b.png").write_bytes(b"no image,\nat all")
    return folder


def test_a_photo_that_fails_is_one_row_like_the_others(artifact_folder: Path, photos: Path) -> None:
    result = infer(photos, "--model", artifact_folder, "--csv")
    assert result.exit_code == 4
    lines = result.stdout.splitlines()
    assert len(lines) == 4, lines
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [Path(row["input"]).name for row in rows] == ["a.png", "b.png", "c.png"]
    assert [bool(row["error"]) for row in rows] == [False, True, False]
    assert "supported are" in rows[1]["error"] and "Save it as JPEG or PNG." in rows[1]["error"]
    assert not any(None in row or None in row.values() for row in rows)


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_top_k_gives_each_class_its_columns(artifact_folder: Path, photos: Path, count: int) -> None:
    result = infer(photos / "a.png", photos / "b.png", "--model", artifact_folder, "--csv", "--top-k", str(count))
    classified, failed = csv.DictReader(io.StringIO(result.stdout))
    shown = min(count, 3)
    names = ["input", "label", "index", "score", "error", "decode_ms", "infer_ms"]
    names += [f"{name}_{rank}" for rank in range(2, shown + 1) for name in ("label", "index", "score")]
    assert list(classified) == list(failed) == names
    printed = json.loads(infer(photos / "a.png", "--model", artifact_folder, "--json", "--top-k", str(count)).stdout)
    for rank, top in enumerate(printed["top"], 1):
        end = "" if rank == 1 else f"_{rank}"
        assert (classified[f"label{end}"], classified[f"index{end}"]) == (top["label"], str(top["index"]))
        assert float(classified[f"score{end}"]) == pytest.approx(top["score"])
        assert failed[f"label{end}"] == ""


@pytest.mark.parametrize("name", ["=1+1.png", "+x.png", "-x.png", "@SUM(A1).png"])
def test_no_cell_is_a_formula(
    artifact_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (4, 4)).save(name)
    result = infer("--model", artifact_folder, "--csv", "--", name)
    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["input"] == f"'{name}"


def hostile_labels(metadata: Any) -> Any:
    return replace(metadata, labels=HOSTILE)


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_no_control_character_of_a_label_or_a_name_is_printed(
    make_artifact: Callable[..., Path], metadata: Any, photos: Path, form: tuple[str, ...]
) -> None:
    (photos / "d\x1b[2J\n\u202e.png").write_bytes(b"no image")
    (photos / "a.png").rename(photos / "e\x1b[2J\x9b\x7f.png")
    folder = make_artifact("hostile", metadata=hostile_labels(metadata))
    result = infer(photos, "--model", folder, "--top-k", "3", *form)
    assert result.exit_code == 4, result.output
    for text in (result.stdout, result.stderr):
        lines = text.splitlines()
        assert all(line.isprintable() for line in lines), [line for line in lines if not line.isprintable()]
    assert len(result.stdout.splitlines()) == 4 + (form == ("--csv",))
    if form == ("--json",):
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert {top["label"] for row in rows for top in row["top"]} == set(HOSTILE)
