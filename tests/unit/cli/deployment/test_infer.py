"""`edgefm infer`: what it prints, in which order, and its exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edge_fm.cli import cli
from edge_fm_runtime import load_artifact
from edge_fm_runtime.artifacts import packaged
from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments], input=stdin)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.png", "c.jpg", "sub/d.png"):
        Image.fromarray(rng.integers(0, 256, (4, 4), dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not taken from a folder")
    return folder


KEYS = ["input", "label", "index", "score", "top", "error", "decode_ms", "infer_ms"]


def test_json_is_one_object_a_line_in_input_order(artifact_folder: Path, photos: Path) -> None:
    result = run("infer", photos, "--model", artifact_folder, "--json", "--top-k", "2")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [Path(row["input"]).name for row in rows] == ["a.png", "b.png", "c.jpg"]
    assert all(len(row["top"]) == 2 and row["error"] is None for row in rows)


def test_recursive_globs_and_stdin(artifact_folder: Path, photos: Path) -> None:
    def names(*arguments: str | Path, stdin: str | None = None) -> list[str]:
        result = run("infer", *arguments, "--model", artifact_folder, "--json", stdin=stdin)
        assert result.exit_code == 0, result.output
        return [Path(json.loads(line)["input"]).name for line in result.stdout.splitlines()]

    assert names(photos, "--recursive") == ["a.png", "b.png", "c.jpg", "d.png"]
    assert names(photos / "*.png") == ["a.png", "b.png"]
    assert names("-", stdin=f"{photos / 'c.jpg'}\n{photos / 'a.png'}\n") == ["c.jpg", "a.png"]
    assert names("-", stdin=f"\ufeff{photos / 'c.jpg'}\r\n{photos / 'a.png'}") == ["c.jpg", "a.png"]


def test_links_that_loop_are_not_followed(artifact_folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two loops: who follows them sees 2^40 paths before the system calls halt.
    (photos / "round").symlink_to(photos)
    (photos / "sub" / "up").symlink_to(photos)
    (photos / ".hidden").mkdir()
    Image.new("L", (4, 4)).save(photos / ".hidden" / "e.png")
    monkeypatch.chdir(photos / "sub")
    everything = ["a.png", "b.png", "d.png"]
    for pattern in (photos / "**" / "*.png", photos / "**" / "?.png", "../**/*.png"):
        result = run("infer", pattern, "--recursive", "--model", artifact_folder, "--json")
        assert result.exit_code == 0, result.output
        assert [Path(json.loads(line)["input"]).name for line in result.stdout.splitlines()] == everything
    result = run("infer", photos, "--recursive", "--model", artifact_folder, "--json")
    names = [Path(json.loads(line)["input"]).name for line in result.stdout.splitlines()]
    assert names == ["a.png", "b.png", "c.jpg", "d.png"]
    assert "1 image in a folder that is hidden or left by tools" in result.stderr


def test_one_bad_photo_among_good_ones_is_exit_4(artifact_folder: Path, photos: Path) -> None:
    (photos / "aa.jpg").write_bytes(b"<html>not a photo</html>")
    result = run("infer", photos, "--model", artifact_folder, "--json")
    assert result.exit_code == 4
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["error"] is None for row in rows] == [True, False, True, True]
    assert rows[1]["label"] is None


def test_nothing_classified_is_exit_1(artifact_folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    assert run("infer", bad, "--model", artifact_folder).exit_code == 1
    assert run("infer", tmp_path / "absent.jpg", "--model", artifact_folder).exit_code == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    result = run("infer", empty, "--model", artifact_folder)
    assert result.exit_code == 1
    assert "Found no photo" in result.output


def test_csv_can_be_read_back(artifact_folder: Path, photos: Path) -> None:
    odd = photos / 'with "quotes", commas.png'
    (photos / "a.png").rename(odd)
    result = run("infer", photos, "--model", artifact_folder, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert str(odd) in [row["input"] for row in rows]
    assert {row["label"] for row in rows} <= {"T-shirt/top", "Ankle boot", "Bag"}


def test_a_name_that_is_not_utf8_is_classified(artifact_folder: Path, photos: Path) -> None:
    name = os.fsdecode(bytes(photos) + b"/\xff\xfe.png")
    (photos / "a.png").rename(name)
    result = run("infer", photos, "--model", artifact_folder, "--json")
    assert result.exit_code == 0, result.output
    assert "\\xff" in result.stdout or "\\udcff" in result.stdout


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("byte", 3, ["model.onnx was changed", "edgefm export"]),
        ("missing", 3, ["model.onnx is missing", "edgefm export"]),
        ("schema", 1, ["edgefm.json has schema_version 99", "pip install --upgrade edge-fm"]),
        ("labels", 1, ["labels has 2 entries", "edgefm.json"]),
    ],
)
@pytest.mark.parametrize("command", ["infer", "verify"])
def test_a_damaged_artifact_is_refused(
    artifact_folder: Path, photos: Path, command: str, change: str, code: int, words: list[str]
) -> None:
    payload, file = artifact_folder / "model.onnx", artifact_folder / "edgefm.json"
    raw = json.loads(file.read_text())
    if change == "byte":
        data = bytearray(payload.read_bytes())
        data[100] ^= 0x10
        payload.write_bytes(data)
    elif change == "missing":
        payload.unlink()
    elif change == "schema":
        file.write_text(json.dumps(raw | {"schema_version": 99}))
    else:
        file.write_text(json.dumps(raw | {"labels": raw["labels"][:2]}))
    arguments = ["infer", photos, "--model", artifact_folder] if command == "infer" else ["verify", artifact_folder]
    result = run(*arguments)
    assert result.exit_code == code, result.output
    for word in words:
        assert word in result.output


def test_a_device_that_is_not_there_classifies_nothing(artifact_folder: Path, photos: Path) -> None:
    result = run("infer", photos, "--model", artifact_folder, "--device", "GPU")
    assert result.exit_code == 1
    assert "it has: CPU" in result.output
    assert result.stdout == ""


def test_verify_prints_the_checks(artifact_folder: Path) -> None:
    result = run("verify", artifact_folder, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["passed"] and report["n"] == 32
    assert {"name", "value", "limit", "passed"} <= set(report["checks"][0])
    assert run("verify", artifact_folder, "--engine", "null").exit_code == 3


def test_without_a_model_the_packaged_one_classifies(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEFM_MODEL", raising=False)
    result = run("infer", photos, "--json")
    assert result.exit_code == 0, result.output
    assert DEFAULT_MODEL in result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["label"] in load_artifact(DEFAULT_MODEL).metadata.labels for row in rows] == [True] * 3


def test_where_no_model_is_packaged_the_error_says_how_to_make_one(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGEFM_MODEL", raising=False)
    monkeypatch.setattr(packaged, "packaged_artifact", lambda name: None)
    result = run("infer", photos)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "edgefm quickstart" in result.stderr


def test_the_environment_names_a_model(artifact_folder: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFM_MODEL", str(artifact_folder))
    result = run("infer", photos, "--json")
    assert result.exit_code == 0
    assert "$EDGEFM_MODEL" in result.stderr
    assert "$EDGEFM_MODEL" not in run("infer", photos, "--json", "--quiet").stderr


def test_min_score_prints_unknown(artifact_folder: Path, photos: Path) -> None:
    def infer(*more: str) -> Result:
        return run("infer", photos, "--model", artifact_folder, *more)

    plain = [json.loads(line) for line in infer("--json").stdout.splitlines()]
    scores = sorted(row["score"] for row in plain)
    limit = str((scores[0] + scores[1]) / 2)
    done = infer("--json", "--min-score", limit)
    assert done.exit_code == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["rejected"] for row in rows] == [row["score"] == scores[0] for row in plain]
    assert [row["label"] for row in rows] == [None if row["score"] == scores[0] else row["label"] for row in plain]
    assert [[row["index"], row["score"], row["top"]] for row in rows] == [
        [row["index"], row["score"], row["top"]] for row in plain
    ]
    lines = infer("--min-score", limit).stdout.splitlines()
    for line, row in zip(lines, rows, strict=True):
        top = f"{row['top'][0]['label']} {100 * row['score']:.1f}%"
        assert line == f"{row['input']}: " + (f"unknown ({top})" if row["rejected"] else top)
    table = list(csv.DictReader(io.StringIO(infer("--csv", "--top-k", "2", "--min-score", limit).stdout)))
    assert list(table[0])[-2:] == ["score_2", "rejected"]
    assert [row["rejected"] for row in table] == [str(row["rejected"]).lower() for row in rows]
    assert [row["label"] for row in table] == [row["label"] or "unknown" for row in rows]
    assert [int(row["index"]) for row in table] == [row["index"] for row in rows]


def test_csv_rows_with_errors_have_as_many_cells(artifact_folder: Path, photos: Path) -> None:
    (photos / "aa.jpg").write_bytes(b"no photo")
    done = run("infer", photos, "--model", artifact_folder, "--csv", "--min-score", "0.5")
    assert done.exit_code == 4
    assert {len(row) for row in csv.reader(io.StringIO(done.stdout))} == {8}


@pytest.mark.parametrize("wrong", ["1.5", "-1", "nan", "high", "AUTO"])
def test_min_score_is_a_share_or_auto(artifact_folder: Path, photos: Path, wrong: str) -> None:
    result = run("infer", photos, "--model", artifact_folder, "--min-score", wrong)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "a number from 0 to 1, or auto" in result.stderr


def test_auto_without_a_recorded_threshold_is_an_error_with_a_way_out(artifact_folder: Path, photos: Path) -> None:
    result = run("infer", photos, "--model", artifact_folder, "--min-score", "auto")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "records no threshold" in result.stderr and "--min-score 0.5" in result.stderr
