"""A score below `min_score` gets no label, whatever the engine and wherever the threshold comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_fm
from edge_fm_runtime import Classifier, load_artifact
from edge_fm_runtime.artifacts.embedded import read_embedded
from edge_fm_runtime.artifacts.metadata import Metadata, dump_metadata
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.errors import ArtifactError, EngineError

PHOTOS = [np.full((4, 4), value, np.uint8) for value in (0, 90, 255)]
REJECTION = {
    "threshold": 0.4,
    "target_accuracy": 0.92,
    "dataset": "made up",
    "n": 100,
    "others": [{"name": "hats", "n": 10, "accepted": 0.1}],
    "table": [{"threshold": 0.4, "coverage": 0.8, "accuracy": 0.93, "others_accepted": None}],
}
SCORES = {
    "temperature": 1.5,
    "dataset": "made up",
    "n": 100,
    "bins": 15,
    "before": {"loss": 0.5, "calibration_error": 0.1, "brier": 0.3},
    "after": {"loss": 0.4, "calibration_error": 0.02, "brier": 0.28},
    "note": None,
    "rejection": REJECTION,
}


@pytest.fixture
def with_threshold(make_artifact: Callable[..., Path], metadata: Metadata) -> Path:
    return make_artifact("with-threshold", metadata=replace(metadata, scores=SCORES))


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("decode_ms", "infer_ms")}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_score_below_is_rejected_and_one_at_the_threshold_is_not(artifact_folder: Path, engine: str) -> None:
    pytest.importorskip(engine)
    with Classifier.load(artifact_folder, engine) as classifier:
        plain = [classifier.classify(photo, top_k=2) for photo in PHOTOS]
    limit = sorted(one.score for one in plain)[1]
    with Classifier.load(artifact_folder, engine, min_score=limit) as classifier:
        assert classifier.min_score == limit
        single = [classifier.classify(photo, top_k=2) for photo in PHOTOS]
    assert [one.rejected for one in single] == [one.score < limit for one in plain]
    assert sum(bool(one.rejected) for one in single) == 1
    for before, one in zip(plain, single, strict=True):
        assert before.rejected is None and "rejected" not in before.to_json()
        assert one.label == (None if one.rejected else before.label)
        assert (one.index, one.score, one.top) == (before.index, before.score, before.top)
        expected = before.to_json() | {"label": one.label, "rejected": one.rejected}
        assert untimed(one.to_json()) == untimed(expected)


def test_many_photos_and_the_api_reject_as_one_photo_does(artifact_folder: Path, tmp_path: Path) -> None:
    from PIL import Image

    files = [tmp_path / f"{i}.png" for i in range(len(PHOTOS))]
    for file, photo in zip(files, PHOTOS, strict=True):
        Image.fromarray(photo).save(file)
    with Classifier.load(artifact_folder, min_score=0.6) as classifier:
        single = [untimed(classifier.classify(file).to_json()) for file in files]
        many = [untimed(one.to_json()) for one in classifier.classify_many(files)]
    called = [untimed(one.to_json()) for one in edge_fm.classify(files, artifact_folder, min_score=0.6)]
    assert single == many == called
    assert {row["rejected"] for row in single} == {True, False}


def test_auto_is_the_recorded_threshold_also_of_the_bare_file(with_threshold: Path) -> None:
    for path in (with_threshold, with_threshold / "model.onnx"):
        with Classifier.load(path, min_score="auto") as classifier:
            assert classifier.min_score == 0.4
    assert edge_fm.verify(with_threshold).passed
    assert load_artifact(with_threshold).metadata.scores == SCORES


def test_auto_without_a_threshold_says_how_to_get_one(
    artifact_folder: Path, make_artifact: Callable[..., Path], metadata: Metadata
) -> None:
    with pytest.raises(ArtifactError, match="records no threshold") as error:
        Classifier.load(artifact_folder, min_score="auto")
    assert "--min-score 0.5" in str(error.value.hint) and "--validation SOURCE" in str(error.value.hint)
    none = {**SCORES, "rejection": {**REJECTION, "threshold": None, "reason": "Nothing is right."}}
    folder = make_artifact("none", metadata=replace(metadata, scores=none))
    with pytest.raises(ArtifactError, match="Nothing is right"):
        Classifier.load(folder, min_score="auto")


@pytest.mark.parametrize("wanted", [-0.1, 1.5, float("nan"), True, "Auto"])
def test_what_is_no_score_is_refused(artifact_folder: Path, wanted: Any) -> None:
    with pytest.raises(EngineError, match="from 0 to 1"):
        Classifier.load(artifact_folder, min_score=wanted)


def test_an_artifact_from_before_has_no_scores_and_its_embedded_copy_is_as_it_was(artifact_folder: Path) -> None:
    metadata = load_artifact(artifact_folder).metadata
    assert metadata.scores is None and "scores" not in metadata.to_json()
    assert read_embedded(artifact_folder / "model.onnx") == metadata.embedded()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 0),
        ("temperature", "hot"),
        ("n", -1),
        ("before", []),
        ("after", {"loss": "low"}),
        ("rejection", 0.5),
        ("rejection", {"threshold": 1.2}),
        ("rejection", {"threshold": "0.4"}),
        ("rejection", {"table": [{"threshold": 0.1}]}),
        ("rejection", {"table": [{"threshold": 0.1, "coverage": 2, "accuracy": None}]}),
        ("rejection", {"others": [{"name": "hats"}]}),
    ],
)
def test_a_damaged_section_is_refused_and_named(metadata: Metadata, key: str, value: Any) -> None:
    text = dump_metadata(replace(metadata, scores={**SCORES, key: value}))
    with pytest.raises(ArtifactError, match=f"scores.{key}"):
        parse_metadata(text, where="here")


def test_a_threshold_that_differs_from_the_embedded_one_is_found(with_threshold: Path) -> None:
    file = with_threshold / "edgefm.json"
    metadata = parse_metadata(file.read_text(), where="here")
    file.write_text(dump_metadata(replace(metadata, scores={**SCORES, "rejection": {**REJECTION, "threshold": 0.1}})))
    with pytest.raises(ArtifactError, match=r"differs from the copy inside model\.onnx: scores"):
        load_artifact(with_threshold)
    file.write_text(dump_metadata(replace(metadata, scores=None)))
    with pytest.raises(ArtifactError, match="scores"):
        load_artifact(with_threshold)
