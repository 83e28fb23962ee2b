"""Multi-label models the whole way: trained, exported to all formats, gated, verified, evaluated and inferred."""

from __future__ import annotations

import csv
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_fm
from edge_fm.api.train import TrainOptions
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.errors import DataError, EngineError, ExportError, RecipeError

pairs = import_module("benchmarks.artifacts.multi_label")
LABELS = list(pairs.KINDS)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    return Path(pairs.make_pairs(folder, "fashion-mnist-mini", train=600, validation=150, test=200))


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"data.multi_label": True, "training.select_by": "map", "photo.mode": "stretch"}
    options = TrainOptions(model="lenet5", label_column="labels", epochs=6, batch_size=32, settings=settings)
    folder = tmp_path_factory.mktemp("runs") / "run"
    edge_fm.train(None, str(manifest), folder, options=options)
    return folder


@pytest.fixture(scope="module")
def artifact(run: Path) -> Path:
    report = edge_fm.export(run, "onnx", "int8", strict=False)
    assert not report.failures, report.failures[0].error
    return report.results[0].path


def test_a_run_learns_its_labels_and_records_thresholds(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert metrics["task"] == "multi-label"
    assert metrics["labels"] == LABELS
    assert metrics["test_map"] > 0.7  # the labels' shares are 0.19 to 0.5
    assert metrics["selected_by"] == "val_map"
    assert evaluation["map"] == pytest.approx(metrics["test_map"])
    assert evaluation["macro_f1"] == pytest.approx(metrics["test_macro_f1"])
    thresholds = metrics["scores"]["label_thresholds"]
    assert thresholds["n"] == 150
    assert [score["threshold"] for score in evaluation["per_label"].values()] == thresholds["values"]
    assert not (run / "confusion.png").exists()


def test_infer_and_evaluate_agree_on_the_artifact(artifact: Path, manifest: Path) -> None:
    metadata = load_artifact(artifact).metadata
    assert metadata.task == "multi-label"
    assert metadata.accuracy is not None
    assert metadata.accuracy["measure"] == "mAP"
    assert metadata.parity is not None
    assert metadata.accuracy["value"] == metadata.parity["map"]
    found = edge_fm.evaluate(artifact, data=str(manifest)).to_json()
    assert found["map"] == pytest.approx(metadata.parity["map"], abs=1e-6)
    exact, f1 = pairs.infer_figures(artifact, manifest)
    assert exact == found["exact_match"]
    assert f1 == pytest.approx({label: score["f1"] for label, score in found["per_label"].items()})


def test_drift_compares_predictions_and_images(artifact: Path, manifest: Path) -> None:
    data = edge_fm.data.load_dataset(str(manifest), multi_label=True, label_column="labels")
    images = np.asarray(data.test.images)
    same = edge_fm.drift(artifact, images)
    names = [test.name for test in same.tests]
    assert "predictions" in names and not {"classes", "scores", "embedding"} & {*names}
    assert not same.changed and not any("embedding" in note for note in same.notes)
    dark = edge_fm.drift(artifact, (images // 2).astype(np.uint8))
    assert dark.changed and {"brightness"} <= {test.name for test in dark.tests if test.changed}


def test_rows_of_infer_have_all_labels_that_apply(artifact: Path, manifest: Path) -> None:
    with manifest.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    files = [manifest.parent / row["file"] for row in rows[:60]]
    thresholds = load_artifact(artifact).metadata.scores["label_thresholds"]["values"]  # type: ignore[index]
    with Classifier.load(artifact) as classifier:
        every = list(classifier.classify_many(files, top_k=4))
    counts = set()
    for one in every:
        row = one.to_json()
        wanted = [p for p in row["top"] if p["score"] >= thresholds[p["index"]]]
        assert row["labels"] == wanted
        assert row["label"] == (wanted[0]["label"] if wanted else None)
        counts.add(len(wanted))
    assert {0, 1, 2} <= counts


def test_verify_checks_labels(artifact: Path, run: Path) -> None:
    golden = edge_fm.verify(artifact)
    assert golden.passed
    assert {"label_agreement", "label_agreement_to_exported_batch"} <= {check.name for check in golden.checks}
    against = edge_fm.verify(artifact, against=run)
    assert against.passed
    assert {"map", "label_agreement", "per_label_drop"} <= set(against.to_json())


@pytest.mark.slow
def test_every_format_and_precision_passes_its_gate(run: Path, tmp_path: Path) -> None:
    report = edge_fm.export(run, "all", "all", out=tmp_path, strict=False)
    assert not report.failures, report.failures[0].error
    for result in report.results:
        assert result.metadata.task == "multi-label"
        assert result.parity.to_json()["drop_points"] <= 0.5


def test_a_third_party_model_gets_thresholds_from_validation_images(manifest: Path, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 56, 1)),
            layers.Rescaling(1 / 255),
            layers.AveragePooling2D(4),
            layers.Flatten(),
            layers.Dense(4, activation="sigmoid"),
        ]
    )
    dataset = edge_fm.data.load_dataset(str(manifest), multi_label=True, label_column="labels")
    sets = import_module("edge_fm.data.label_sets").label_sets(dataset.label_names)
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    model.fit(dataset.train.images, sets.table[dataset.train.labels], epochs=5, batch_size=64, verbose=0)
    model.save(tmp_path / "net.keras")
    options: dict[str, Any] = {"data": str(manifest), "label_column": "labels", "labels": LABELS}
    exported = edge_fm.export(tmp_path / "net.keras", options=edge_fm.ExportOptions(**options), out=tmp_path / "out")
    (result,) = exported.results
    assert result.metadata.scores is not None
    recorded = result.metadata.scores["label_thresholds"]
    assert recorded["n"] == 150
    assert dataset.validation is not None
    best = import_module("edge_fm_runtime.parity.multi_label").best_thresholds
    own = best(np.asarray(model(dataset.validation.images)), sets.table[dataset.validation.labels].astype(np.bool_))
    np.testing.assert_allclose(recorded["values"], own, atol=1e-5)
    with pytest.raises(ExportError, match="--temperature is for one class of many"):
        again = edge_fm.ExportOptions(**options, temperature="auto")
        edge_fm.export(tmp_path / "net.keras", options=again, out=tmp_path / "no")


def test_what_is_for_one_class_is_refused(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="each label has a threshold of its own"):
        Classifier.load(artifact, min_score=0.5)
    with pytest.raises(DataError, match="page of an evaluation"):
        edge_fm.evaluate(artifact, data="fashion-mnist-mini", report=tmp_path / "report")
    with pytest.raises(DataError, match="is no manifest"):
        edge_fm.evaluate(artifact, data="fashion-mnist-mini")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("augmentation.mixup", 0.2),
        ("training.class_weights", "balanced"),
        ("training.select_by", "balanced_accuracy"),
        ("distillation.teacher", ["net.keras"]),
        ("data.other_things", "others"),
        ("data.classes", ["bag", "shoe"]),
    ],
)
def test_recipes_of_one_class_are_refused(key: str, value: Any, manifest: Path) -> None:
    options = TrainOptions(settings={"data.multi_label": True, key: value})
    with pytest.raises(RecipeError, match=key):
        edge_fm.train("edgenet-s", str(manifest), options=options)


def test_studies_are_refused(manifest: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "pairs.toml"
    recipe.write_text(
        f'name = "pairs"\n[model]\nname = "lenet5"\n[data]\nsource = "{manifest}"\nlabel_column = "labels"\n'
        'multi_label = true\n[search.space]\n"optimizer.learning_rate" = [1e-3, 1e-2]\n'
    )
    studies: dict[str, Any] = {
        "Cross-validation": lambda: edge_fm.crossval(recipe, out=tmp_path / "folds"),
        "A search": lambda: edge_fm.search(recipe, out=tmp_path / "search"),
        "A sweep": lambda: edge_fm.sweep({"seed": [1, 2]}, recipe, out=tmp_path / "sweep"),
    }
    for what, study in studies.items():
        with pytest.raises(RecipeError, match=f"{what} is for one class an image"):
            study()
