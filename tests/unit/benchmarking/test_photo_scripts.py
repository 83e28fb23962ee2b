"""The figures of int8_drop.py and folds_by_group.py of benchmarks, by hand, and the former on photos of a folder."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")
int8_drop = import_module("benchmarks.artifacts.int8_drop")
folds = import_module("benchmarks.photos.folds_by_group")


def test_a_drop_by_hand() -> None:
    truth = np.array([0, 0, 0, 1])
    reference = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9]])
    found = np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.2, 0.8]])
    row = int8_drop.row("x", reference, found, truth, ["a", "b"])
    assert (row["accuracy_fp32"], row["accuracy"], row["drop_points"]) == (0.75, 0.5, 25.0)
    assert row["balanced_accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert row["agreement"] == 0.75 and not row["within_limit"]
    low, high = row["drop_ci95"]
    assert low < 25.0 < high
    assert int8_drop.row("x", reference, reference, truth, ["a", "b"])["within_limit"]


def test_an_artifact_loses_nothing_beside_itself(
    artifact_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("Bag", "T-shirt_top", "_other_hat"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (4, 4), 100 * i).save(tmp_path / name / f"{i}.png")
    given = [str(tmp_path), str(artifact_folder), "--against", str(artifact_folder), "--json"]
    monkeypatch.setattr(sys, "argv", ["int8_drop", *given])
    int8_drop.main()
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["n"], row["drop_points"], row["agreement"]) == (4, 0.0, 1.0)


def test_what_a_threshold_does_with_a_fold() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]], np.float32)
    others = np.array([[0.75, 0.25], [0.5, 0.5]], np.float32)
    one = folds.at(0.7, probabilities, np.array([0, 1, 1, 1]), others)
    assert (one["accuracy"], one["labelled"], one["right_of_labelled"], one["others_labelled"]) == (0.75, 0.5, 0.5, 0.5)
    assert one["balanced_accuracy"] == pytest.approx((1 + 2 / 3) / 2)
    nothing = folds.at(None, probabilities[:2], np.array([0, 0]), others[:0])
    assert (nothing["labelled"], nothing["right_of_labelled"], nothing["others_labelled"]) == (1.0, 1.0, None)
    every = folds.summary([one, nothing])
    assert every["accuracy"] == pytest.approx(5 / 6) and every["labelled"] == pytest.approx(4 / 6)
    assert every["right_of_labelled"] == pytest.approx(3 / 4) and every["others_labelled"] == 0.5


@pytest.mark.parametrize("own", [False, True])
def test_the_throughput_of_folders_is_measured_in_every_way(
    own: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    throughput = import_module("benchmarks.photos.folder_throughput")
    given = ["--small", "20", "--large", "1"]
    if own:
        Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
        given = ["--photos", str(tmp_path)]
    monkeypatch.setattr(throughput, "peak_mib", lambda artifact, paths: 1.0)
    monkeypatch.setattr(sys, "argv", ["folder_throughput", *given, "--rounds", "1", "--json"])
    throughput.main()
    found = json.loads(capsys.readouterr().out)
    rates = found["photos" if own else "small"]["images_per_second"]
    assert {"classify_many", "canvas, processes", "canvas, threads"} <= set(rates) and min(rates.values()) > 0


def test_cold_start_takes_the_classifier_in_the_package_where_nothing_was_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cold_start = import_module("benchmarks.startup.cold_start")
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    started: list[list[str]] = []
    monkeypatch.setattr(cold_start, "run_once", lambda command: (started.append(command), (1.0, 1.0))[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cold_start", "--photo", "a.jpg", "--runs", "1", "--json"])
    cold_start.main()
    assert json.loads(capsys.readouterr().out)["artifact"] == DEFAULT_MODEL
    assert [Path(command[-1]).name for command in started if "infer" in command] == [DEFAULT_MODEL] * 2
