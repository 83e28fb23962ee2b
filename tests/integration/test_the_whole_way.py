"""The commands as a person types them, on real images: train, export, verify, infer, evaluate, benchmark."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from time_limits import HANG_S

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("tensorflow", "openvino", "tf2onnx", "nncf", "matplotlib"),
]

EDGEFM = Path(sys.executable).with_name("edgefm")


def edgefm(*arguments: str | Path, cwd: Path, code: int = 0, program: Path = EDGEFM) -> str:
    """Run the command; returns its stdout.

    `train`, `infer` and whatever else does not name a program is run as it is installed; `program` is a fork of a
    process that has imported TensorFlow.
    """
    done = subprocess.run([program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def program(preloaded: Path) -> Path:
    """An `edgefm` that starts with TensorFlow imported."""
    return preloaded / "edgefm"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    """A folder in which edgenet-s was trained for two epochs on 3,000 images of the mini set, and exported."""
    folder = tmp_path_factory.mktemp("way")
    training = ["--data", "fashion-mnist-mini", "--epochs", "2"]
    training += ["--set", "data.samples=3000", "--set", "training.batch_size=32"]
    metrics = json.loads(edgefm("train", *training, "--json", cwd=folder))
    assert metrics["model"] == "edgenet-s"
    assert metrics["params"] <= 100_000
    assert metrics["test_accuracy"] > 0.5
    formats = ["--format", "onnx", "--format", "openvino", "--format", "savedmodel"]
    made = json.loads(edgefm("export", *formats, "--json", cwd=folder, program=program))
    assert [(m["format"], m["precision"]) for m in made] == [(f, "fp32") for f in ("savedmodel", "onnx", "openvino")]
    assert all(m["parity"]["passed"] and m["parity"]["n"] == 1000 for m in made)
    return folder


def artifact(place: Path, format: str) -> Path:
    (found,) = (place / "runs/latest/export").glob(f"*-{format}-fp32")
    return found


def test_the_run_holds_everything(place: Path) -> None:
    run = place / "runs/latest"
    for name in ("model.keras", "recipe.toml", "history.csv", "metrics.json", "curves.png", "confusion.png"):
        assert (run / name).stat().st_size > 0, name
    with Image.open(run / "curves.png") as curves:
        assert curves.width > 300


@pytest.mark.parametrize(("format", "limit"), [("onnx", 1e-4), ("openvino", 1e-3)])
def test_verify_against_the_run(place: Path, program: Path, format: str, limit: float) -> None:
    arguments = ["verify", artifact(place, format), "--against", "runs/latest", "--json"]
    report: dict[str, Any] = json.loads(edgefm(*arguments, cwd=place, program=program))
    assert report["passed"] and report["n"] == 1000
    assert report["top1_agreement"] >= 0.9999
    assert report["max_abs_diff"] <= limit
    assert report["precision"] == "fp32"
    assert report["drop_ci95"][0] <= report["drop_points"] <= report["drop_ci95"][1]


def test_photos_get_the_labels_that_evaluate_counts(place: Path, tmp_path: Path) -> None:
    from edge_fm.data import load_dataset

    dataset = load_dataset("fashion-mnist-mini")
    for i, image in enumerate(dataset.test.images):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{i:04}.png")
    lines = edgefm("infer", tmp_path, "--json", "--model", artifact(place, "onnx"), cwd=place).splitlines()
    predictions = [json.loads(line)["index"] for line in lines]
    assert len(predictions) == 1000
    evaluation = json.loads(edgefm("evaluate", artifact(place, "onnx"), "--json", cwd=place))
    confusion = [[0] * 10 for _ in range(10)]
    for truth, predicted in zip(dataset.test.labels, predictions, strict=True):
        confusion[truth][predicted] += 1
    assert evaluation["confusion"] == confusion
    assert evaluation["accuracy"] == sum(confusion[i][i] for i in range(10)) / 1000


def test_infer_alone_takes_the_newest_export_and_says_so(place: Path) -> None:
    from edge_fm.data import load_dataset, sample_photo

    photo = sample_photo(load_dataset("fashion-mnist-mini").test.images[0], place / "photo.jpg")
    done = subprocess.run([EDGEFM, "infer", photo], cwd=place, capture_output=True, text=True, check=True)
    assert "the newest export" in done.stderr
    assert done.stdout.startswith(str(photo))


def test_evaluate_writes_a_report(place: Path, tmp_path: Path) -> None:
    edgefm("evaluate", artifact(place, "openvino"), "--report", tmp_path / "report", cwd=place)
    page = (tmp_path / "report/report.html").read_text()
    assert "Confusion" in page
    # Everything is inside: plots and sample images.
    assert "data:image/png" in page
    assert not re.search(r"(src|href)=['\"]?https?:", page)


def test_benchmark_measures_everything_in_one_run(place: Path, program: Path) -> None:
    names = [artifact(place, "onnx"), artifact(place, "openvino")]
    # Photo to label is measured in the unit tests.
    arguments = ["--duration", "0.2", "--batch", "1", "--skip", "photos", "--json"]
    report = json.loads(edgefm("benchmark", *names, *arguments, cwd=place, program=program))
    rows = {row["engine"]: row for row in report["rows"]}
    ours = {"onnxruntime", "openvino", "keras", "keras-predict", "savedmodel"}
    assert set(rows) == ours | {"bare-onnxruntime", "bare-openvino", "null"}
    assert rows.pop("null")["p50_ms"] > 0
    for row in rows.values():
        assert row["n"] >= 20 and row["p50_ms"] > 0 and row["load_ms"] > 0 and row["precision"] == "fp32"
        assert row["peak_rss_mib"] is None or row["peak_rss_mib"] > 20
    ratios = {(r["of"], r["to"]): r["p50_ratio"] for r in report["ratios"]}
    assert len(ratios) == 6
    of, to = rows["keras-predict"], rows["onnxruntime"]
    assert ratios[of["model"], to["model"]] == pytest.approx(of["p50_ms"] / to["p50_ms"])
    assert report["environment"]["machine"]["threads"] >= 1


def test_an_impossible_limit_ships_nothing(place: Path, program: Path, tmp_path: Path) -> None:
    arguments = ["export", "runs/latest", "--format", "onnx", "--max-diff", "0", "--out", tmp_path / "out"]
    edgefm(*arguments, cwd=place, code=3, program=program)
    assert not list((tmp_path / "out").glob("*onnx*"))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A program that is started can be interrupted: jobs in the background of a shell start with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_resume_goes_on_where_it_stopped(place: Path, interruptible: None, tmp_path: Path) -> None:
    training = ["--model", "lenet5", "--data", "fashion-mnist-mini", "--set", "data.samples=1000", "--epochs", "1000"]
    arguments = ["train", *training, "--out", tmp_path / "run"]
    process = subprocess.Popen([EDGEFM, *map(str, arguments)], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    history = tmp_path / "run/history.csv"
    while not history.exists() or len(history.read_text().splitlines()) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 130
    assert "edgefm train --resume" in stderr
    done = len(history.read_text().splitlines()) - 1
    assert done >= 1
    assert not (tmp_path / "run/model.keras").exists()
    # The run is only to be shown to go on, so it is stopped again after one more epoch.
    process = subprocess.Popen([EDGEFM, "train", "--resume", "--out", str(tmp_path / "run")], cwd=tmp_path)
    while len(history.read_text().splitlines()) - 1 <= done:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rows = history.read_text().splitlines()[1:]
    assert [int(row.split(",")[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) > done
