"""The whole way of scores: a temperature from training, a threshold from export, and photos without a label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import edge_fm
from edge_fm.cli import cli
from edge_fm.models.trained_logits import undo_temperature
from edge_fm_export.scores.temperature import with_temperature
from edge_fm_runtime import Classifier, load_artifact

pytestmark = pytest.mark.slow

SETTINGS = {"data.samples": 800, "data.validation": 0.3, "training.label_smoothing": 0.2}
FORMATS = ("onnx", "openvino", "litert")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one short epoch, whose scores are far from its accuracy."""
    folder = tmp_path_factory.mktemp("scores") / "run"
    options = edge_fm.TrainOptions(model="edgenet-n", epochs=2, batch_size=32, settings=SETTINGS)
    edge_fm.train("edgenet-n", "fashion-mnist-mini", folder, options=options)
    return folder


def target(trained: Path) -> str:
    """A goal that all labels together miss, and the surest ones reach."""
    return f"{json.loads((trained / 'metrics.json').read_text())['val_accuracy'] + 0.1:.2f}"


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of other things, and one that is called like a class."""
    folder = tmp_path_factory.mktemp("others")
    noise = np.random.default_rng(0)
    for name, count in (("_other_noise", 6), ("_other_grey", 4), ("Bag", 2)):
        (folder / name).mkdir()
        for i in range(count):
            pixels = noise.integers(0, 256, (28, 28), dtype=np.uint8) if "noise" in name else np.full((28, 28), 60 * i)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def exported(trained: Path, others: Path) -> Path:
    done = run(
        *("export", trained, "--precision", "fp32", "--other-things", others, "--max-others", "1"),
        *("--target-accuracy", target(trained), *(word for name in FORMATS for word in ("--format", name))),
    )
    assert done.exit_code == 0, done.output
    assert "--min-score auto is" in done.stderr
    return trained / "export"


def test_training_records_what_the_temperature_does(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    scores = metrics["scores"]
    assert (scores["n"], scores["bins"], scores["note"]) == (240, 15, None)
    assert scores["after"]["loss"] < scores["before"]["loss"] and scores["temperature"] != 1
    found = edge_fm.evaluate(trained).to_json()
    assert found["loss"] == pytest.approx(metrics["test_loss"], abs=1e-5)
    assert found["scores"]["temperature"] == scores["temperature"] and found["calibration_bins"] == 15
    assert found["scores"]["before"]["loss"] != pytest.approx(found["loss"], abs=1e-3)
    assert found["scores"]["rejection"] is None


def test_a_student_and_further_training_see_the_logits_as_they_were_trained(trained: Path) -> None:
    import keras

    temperature = json.loads((trained / "metrics.json").read_text())["scores"]["temperature"]
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), dtype=np.uint8)
    model = keras.models.load_model(trained / "model.keras", compile=False)
    shipped = model.predict_on_batch(images)
    undo_temperature(model, trained / "model.keras")
    np.testing.assert_allclose(model.predict_on_batch(images), with_temperature(shipped, 1 / temperature), atol=1e-5)


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_has_the_temperature_and_a_threshold_of_its_own(
    trained: Path, exported: Path, format_: str
) -> None:
    folder = exported / f"edgenet-n-{format_}-fp32"
    metadata = load_artifact(folder).metadata
    scores = json.loads((trained / "metrics.json").read_text())["scores"]
    assert metadata.scores is not None
    rejection = metadata.scores["rejection"]
    assert {**metadata.scores, "rejection": None} == {**scores, "rejection": None}
    assert (rejection["n"], rejection["target_accuracy"], rejection["max_others"]) == (240, float(target(trained)), 1)
    assert [(group["name"], group["n"]) for group in rejection["others"]] == [("_other_grey", 4), ("_other_noise", 6)]
    threshold = rejection["threshold"]
    (row,) = [row for row in rejection["table"] if row["threshold"] == threshold]
    assert row["accuracy"] >= float(target(trained)) and threshold > 0
    with Classifier.load(folder, min_score="auto") as classifier:
        assert classifier.min_score == threshold
    assert edge_fm.verify(folder, against=trained).passed
    found = edge_fm.evaluate(folder).to_json()
    assert found["loss"] == pytest.approx(json.loads((trained / "metrics.json").read_text())["test_loss"], abs=1e-4)
    assert found["scores"]["rejection"]["threshold"] == threshold
    card = (folder / "README.md").read_text()
    assert f"`--min-score auto` is {threshold:g}" in card and "## Scores" in card


def test_photos_below_the_threshold_are_unknown(exported: Path, others: Path) -> None:
    folder = exported / "edgenet-n-onnx-fp32"
    threshold = load_artifact(folder).metadata.scores["rejection"]["threshold"]  # type: ignore[index]
    done = run("infer", others, "--recursive", "--model", folder, "--min-score", "auto", "--json")
    assert done.exit_code == 0, done.output
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == 12 and any(row["rejected"] for row in rows)
    for row in rows:
        assert row["rejected"] is (row["label"] is None)
        assert row["rejected"] is (row["score"] < threshold) or abs(row["score"] - threshold) < 1e-5


def test_a_temperature_given_at_export_opens_the_original_in_the_same_way(trained: Path, tmp_path: Path) -> None:
    options = edge_fm.ExportOptions(temperature=2.0, target_accuracy=1.0)
    report = edge_fm.export(trained, out=tmp_path / "out", options=options)
    (made,) = report.results
    assert made.metadata.source is not None and made.metadata.source["temperature"] == 2.0
    before = json.loads((trained / "metrics.json").read_text())["scores"]["temperature"]
    assert made.metadata.scores is not None
    assert made.metadata.scores["temperature"] == pytest.approx(2 * before)
    assert edge_fm.verify(made.path, against=trained).passed


def test_what_cannot_be_fitted_says_what_is_missing(trained: Path, tmp_path: Path) -> None:
    model = tmp_path / "own.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    done = run("export", model, "--data", "fashion-mnist-mini", "--temperature", "auto", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "There are no validation images" in done.stderr and "--validation SOURCE" in done.stderr
    done = run("export", model, "--temperature", "0", "--out", tmp_path / "out")
    assert done.exit_code == 2 and "from 0.01 to 100" in done.stderr
    done = run("export", trained, "--other-things", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert done.exit_code == 1 and "nowhere is no folder or manifest" in done.stderr


def test_a_third_party_model_gets_what_is_asked_for(trained: Path, tmp_path: Path) -> None:
    model = tmp_path / "own.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    options = edge_fm.ExportOptions(temperature=1.5, validation="fashion-mnist-mini")
    (asked,) = edge_fm.export(model, out=tmp_path / "asked", options=options).results
    assert asked.metadata.scores is not None
    assert asked.metadata.scores["temperature"] == 1.5 and asked.metadata.scores["rejection"]["n"] == 7000
    assert edge_fm.verify(asked.path, against=model).passed
