"""Artifacts that return embeddings: every format and precision agrees with Keras, and the runtime makes use of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from exporting import TARGETS
from PIL import Image
from tiny_models import TINY_SHAPES, tiny_images, tiny_set

import edge_fm
from edge_fm.cli import cli
from edge_fm_export.context import SourceModel
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_export.gate.gate import verify_against
from edge_fm_export.results import ExportResult
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.golden import golden_of, save_golden
from edge_fm_runtime.engines import ENGINES, create_engine
from edge_fm_runtime.errors import EngineError
from edge_fm_runtime.parity.extra_outputs import compare_outputs
from edge_fm_runtime.parity.verification import verify_golden

Exported = Callable[[str, Target], ExportResult]
ALL_ENGINES = {**ENGINES, **REFERENCE_ENGINES}
ONNX = Target("onnx", "fp32")


@pytest.mark.slow
@pytest.mark.parametrize("target", [t for t in TARGETS if t.format != "tflm"], ids=str)  # which has none
def test_every_format_returns_what_keras_does(
    target: Target, exported_with_outputs: Exported, tiny_sources: dict[str, SourceModel]
) -> None:
    result = exported_with_outputs("grey", target)
    artifact = load_artifact(result.path)
    (spec,) = artifact.metadata.extra_outputs
    assert (spec.name, spec.shape) == ("embedding", (200,))
    recorded = (artifact.metadata.parity or {})["extra_outputs"]["embedding"]
    assert recorded["n"] == 200 and recorded["min_cosine"] <= recorded["mean_cosine"] <= 1 + 1e-9
    images, _ = tiny_images(TINY_SHAPES["grey"], 100, seed=9)
    model = tiny_sources["grey"].model
    features = type(model)(model.inputs[0], model.get_layer("flatten").output)
    original = {"embedding": np.asarray(features(images, training=False))}
    engine = create_engine(artifact, registry=ALL_ENGINES)
    for batch in (1, 7):
        found = engine.predict_outputs(images, batch=batch)
        assert list(found) == ["probabilities", "embedding"] and found["embedding"].dtype == np.float32
        np.testing.assert_allclose(found["probabilities"], engine.predict_all(images, batch=batch), atol=1e-6)
        (measured,) = compare_outputs([(original, found)])
        if target.precision == "fp32":
            assert measured.max_abs_diff <= 1e-4
        else:
            assert measured.mean_cosine >= {"fp16": 0.999, "int8": 0.99, "w8a16": 0.99}[target.precision]
    verification = verify_golden(artifact, engine)
    assert verification.passed, verification.checks
    names = [check.name for check in verification.checks]
    kind = "max_abs_diff" if target.precision == "fp32" else "mean_cosine"
    assert {f"{kind}_embedding", f"{kind}_embedding_to_exported"} < set(names)
    engine.close()


def test_without_outputs_nothing_of_them_is_recorded(exported: Exported) -> None:
    result = exported("grey", ONNX)
    content = json.loads((result.path / "edgefm.json").read_text())
    assert "extra_outputs" not in content and "extra_outputs" not in content["parity"]
    assert b"extra_outputs" not in (result.path / "model.onnx").read_bytes()
    assert set(np.load(result.path / "golden.npz").files) == {"images", "reference", "exported"}


@pytest.mark.parametrize("model", ["runs/grey", "MODEL.keras"])
def test_an_artifact_without_embeddings_names_the_command_that_adds_them(
    model: str, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exported("grey", ONNX).path.resolve()
    monkeypatch.chdir(tmp_path)
    if model == "runs/grey":
        (tmp_path / model).mkdir(parents=True)
    with edge_fm.Classifier.load(path) as classifier:
        with pytest.raises(EngineError, match="returns probabilities, and no embedding") as error:
            classifier.classify(np.zeros((28, 28), np.uint8), embedding=True)
        assert error.value.hint == (
            f"Export one that does: edgefm export {model} --format onnx --precision fp32 --outputs embedding"
        )


def test_a_classifier_returns_the_embedding_of_a_photo(exported_with_outputs: Exported) -> None:
    images, _ = tiny_images(TINY_SHAPES["grey"], 3, seed=9)
    with edge_fm.Classifier.load(exported_with_outputs("grey", ONNX).path) as classifier:
        expected = classifier.engine.infer_outputs(images)["embedding"]
        photos = [image[..., 0] for image in images]
        for photo, vector in zip(photos, expected, strict=True):
            found = classifier.classify(photo, embedding=True)
            assert found.embedding is not None and found.embedding.dtype == np.float32
            np.testing.assert_allclose(found.embedding, vector, atol=1e-5)
            assert classifier.classify(photo).embedding is None
        many = list(classifier.classify_many(photos, embedding=True))
        assert [type(one) for one in many] == [edge_fm.Classification] * 3
        np.testing.assert_allclose([one.embedding for one in many], expected, atol=1e-5)  # type: ignore[union-attr]


def test_a_file_without_the_outputs_that_its_metadata_records_is_refused(
    exported: Exported, exported_with_outputs: Exported
) -> None:
    recorded = load_artifact(exported_with_outputs("grey", ONNX).path)
    plain = load_artifact(exported("grey", ONNX).path)
    with pytest.raises(EngineError, match=r"returns probabilities \[N, 4\]; its metadata says .* embedding \[N, 200\]"):
        create_engine(replace(recorded, payload=plain.payload))


def test_verify_notices_other_embeddings(exported_with_outputs: Exported, tmp_path: Path) -> None:
    shutil.copytree(exported_with_outputs("grey", ONNX).path, tmp_path / "copy")
    artifact = load_artifact(tmp_path / "copy")
    golden = golden_of(artifact)
    pair = golden.extra["embedding"]
    changed = {"embedding": replace(pair, reference=pair.reference + np.float32(0.01))}
    save_golden(replace(golden, extra=changed), tmp_path / "copy" / "golden.npz")
    verification = verify_golden(artifact, create_engine(artifact))
    assert [check.name for check in verification.checks if not check.passed] == ["max_abs_diff_embedding"]


def test_verify_against_the_original_compares_embeddings(
    exported_with_outputs: Exported, tiny_sources: dict[str, SourceModel]
) -> None:
    artifact = load_artifact(exported_with_outputs("grey", ONNX).path)
    test = tiny_set(TINY_SHAPES["grey"], 60, seed=5)
    result = verify_against(artifact, tiny_sources["grey"], test, create_engine(artifact))
    checks = {check.name: check for check in result.checks}
    assert checks["max_abs_diff_embedding"].passed and checks["max_abs_diff_embedding"].value < 1e-4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of four classes, named by their class, a broken file, and one image of class 2 beside the folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    images, labels = tiny_images(TINY_SHAPES["grey"], 41, seed=9)
    for number, (image, label) in enumerate(zip(images[:40], labels[:40], strict=True)):
        Image.fromarray(image[..., 0]).save(folder / f"{label}-{number:02}.png")
    (folder / "broken.png").write_bytes(b"not an image")
    Image.fromarray(tiny_images(TINY_SHAPES["grey"], 3, seed=8)[0][2][..., 0]).save(tmp_path / "query.png")
    return folder


def test_similar_ranks_photos_of_the_same_class_first(exported_with_outputs: Exported, photos: Path) -> None:
    artifact = exported_with_outputs("grey", ONNX).path
    result = edge_fm.similar(photos.parent / "query.png", photos, artifact, top=10)
    assert result.compared == 40 and [failure.input for failure in result.failures] == [str(photos / "broken.png")]
    assert {Path(one.photo.input).name[0] for one in result.similar} == {"2"} and len(result.similar) == 10
    likeness = [one.similarity for one in result.similar]
    assert likeness == sorted(likeness, reverse=True) and 0.5 < likeness[-1] <= likeness[0] < 1
    first = Path(result.similar[0].photo.input)
    again = edge_fm.similar(first, photos, artifact, top=50)
    assert str(first) not in [one.photo.input for one in again.similar] and len(again.similar) == 39


def test_the_command_prints_a_table_or_json(exported: Exported, exported_with_outputs: Exported, photos: Path) -> None:
    artifact = str(exported_with_outputs("grey", ONNX).path)
    arguments = ["similar", str(photos.parent / "query.png"), str(photos), "--model", artifact, "--top", "3"]
    done = CliRunner().invoke(cli, [*arguments, "--json", "--quiet"])
    assert done.exit_code == 4 and done.stderr.startswith(f"{photos / 'broken.png'}: ")
    printed = json.loads(done.stdout)
    assert list(printed) == ["input", "label", "index", "score", "artifact", "compared", "similar", "failed"]
    assert printed["index"] == 2 and printed["compared"] == 40 and len(printed["similar"]) == 3
    assert list(printed["similar"][0]) == ["similarity", "input", "label", "index", "score"]
    assert printed["failed"][0]["input"] == str(photos / "broken.png")
    (photos / "broken.png").unlink()
    done = CliRunner().invoke(cli, [*arguments[:2], str(photos / "none"), *arguments[3:], "--quiet"])
    assert done.exit_code == 1 and not done.stdout and "none does not exist" in done.stderr
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert all(Path(one["input"]).name in done.stdout for one in printed["similar"])
    plain = ["--model", str(exported("grey", ONNX).path)]
    done = CliRunner().invoke(cli, [*arguments[:3], *plain])
    assert done.exit_code == 1 and "--outputs embedding" in done.output
    empty = photos.parent / "empty"
    empty.mkdir()
    done = CliRunner().invoke(cli, [*arguments[:2], str(empty), *arguments[3:]])
    assert done.exit_code == 1 and "Found no photo to compare" in done.output
