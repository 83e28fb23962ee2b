"""`tools/record_family.py`: a tiny recipe becomes a record, and its trained model one that commands take by name."""

from __future__ import annotations

import csv
import dataclasses
import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.models import records
from edge_fm.models.records import shipped_records, trained_model
from edge_fm.training import load_recipe

pytest.importorskip("openvino")
pytest.importorskip("tensorflow")

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TINY = """
schema = 1
name = "tiny"
[model]
name = "edgenet-n"
[data]
source = "fashion-mnist-mini"
samples = 1000
[training]
epochs = 2
batch_size = 32
"""

TAUGHT = """
[distillation]
teacher = ["runs/tiny-3", "edgenet-n"]
"""


def test_a_recipe_becomes_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records, "STORED_RESULTS", tmp_path / "stored")
    Path("tiny.toml").write_text(TINY)

    def record_family(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["record_family.py", *arguments, "--out", "runs", "--latency-s", "0.05"])
        runpy.run_path(str(ROOT / "tools" / "record_family.py"), run_name="__main__")

    record_family("tiny.toml", "--seeds", "3", "--train-only")
    assert json.loads(Path("runs/tiny-3/metrics.json").read_text())["test_accuracy"] is None
    assert not shipped_records()

    record_family("tiny.toml", "--seeds", "3", "4")

    record = shipped_records()["edgenet-n"]
    assert [seed.seed for seed in record.seeds] == [3, 4]
    assert record.accuracy == min(seed.accuracy for seed in record.seeds)
    assert {(e.format, e.precision) for e in record.exports} == {
        (f, p) for f in ("onnx", "openvino") for p in ("fp32", "int8")
    }
    assert all(e.p50_ms > 0 for e in record.exports)
    assert record.accuracy > 0.3
    kept = trained_model("edgenet-n")
    for seed in (3, 4):
        with (kept / f"history-{seed}.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    assert json.loads((kept / "metrics.json").read_text())["test_accuracy"] == record.accuracy
    assert load_recipe(str(kept / "recipe.toml")).seed in {3, 4}

    assert not (kept / "teachers").exists()

    # Another model's record times this one anew, and leaves all else of it as it was.
    Path("other.toml").write_text(TINY.replace("edgenet-n", "cnn3").replace("tiny", "other") + TAUGHT)
    record_family("other.toml", "--seeds", "0", "--trained-on", "A GPU")
    assert shipped_records()["cnn3"].machine["training"] == "A GPU"
    assert set(shipped_records()) == {"edgenet-n", "cnn3"}
    noted = ["history.csv", "metrics.json", "recipe.toml"]
    logs = trained_model("cnn3") / "teachers"
    assert sorted(path.name for path in (logs / "tiny-3").iterdir()) == noted
    assert [path.name for path in logs.iterdir()] == ["tiny-3"]

    # One that goes on from a kept run keeps what that noted, and the runs before it.
    shutil.copytree(trained_model("cnn3"), "runs/first")
    shutil.copyfile("runs/other-0/history.csv", "runs/first/history.csv")
    run, before = Path("runs/other-0"), ("runs/tiny-3", "runs/first", "runs/first", "edgenet-n", "none")
    keep = runpy.run_path(str(ROOT / "tools" / "record_family.py"))["keep"]
    logs = keep(shipped_records()["cnn3"], run, {0: run}, before) / "teachers"
    assert sorted(path.name for path in logs.iterdir()) == ["first", "tiny-3"]
    files = [*noted, "history-0.csv", "record.json", "teachers"]
    assert sorted(path.name for path in (logs / "first").iterdir()) == sorted(files)
    assert sorted(path.name for path in (logs / "first" / "teachers" / "tiny-3").iterdir()) == noted
    # What another recipe reached before stays, without its model; its own record of before does not.
    renamed = dataclasses.replace(shipped_records()["cnn3"], recipe="renamed")
    for record_now, others in ((renamed, ["other"]), (renamed, ["other"]), (shipped_records()["cnn3"], ["renamed"])):
        kept_now = keep(record_now, run, {0: run}, ())
        assert sorted(path.name for path in (kept_now / "others").iterdir()) == others
        noted_then = {path.name for path in (kept_now / "others" / others[0]).iterdir()}
        assert noted_then >= {"record.json", "metrics.json", "recipe.toml", "history-0.csv"}
        assert "model.keras" not in noted_then
    again = shipped_records()["edgenet-n"]
    assert [e.p50_ms for e in again.exports] != [e.p50_ms for e in record.exports]
    untimed = [dataclasses.replace(e, p50_ms=0.0) for e in record.exports]
    assert [dataclasses.replace(e, p50_ms=0.0) for e in again.exports] == untimed
    assert dataclasses.replace(again, exports=()) == dataclasses.replace(record, exports=())

    runner = CliRunner()
    exported = runner.invoke(cli, ["export", "edgenet-n", "--json", "--quiet"])
    assert exported.exit_code == 0, exported.output
    (row,) = json.loads(exported.stdout)
    assert Path(row["artifact"]) == Path("runs/edgenet-n/export/edgenet-n-onnx-fp32")
    assert not (kept / "export").exists()
    evaluated = runner.invoke(cli, ["evaluate", "edgenet-n", "--json", "--quiet"])
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(evaluated.stdout)["accuracy"] == pytest.approx(record.accuracy)
    started = ["train", "--recipe", "tiny.toml", "--weights", "edgenet-n", "--quiet", "--json", "--out", "runs/on"]
    trained = runner.invoke(cli, started)
    assert trained.exit_code == 0, trained.output
