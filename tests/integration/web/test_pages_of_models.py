"""Pages of the trained models and of photo classifiers in a browser: every golden prediction, and images as here."""

from __future__ import annotations

import io
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from exporting import export
from headless_browser import needs_chromium
from PIL import Image
from web_pages import make_page, package_file, real_runtime

import edge_fm
from edge_fm.data import load_dataset
from edge_fm_export.context import EvaluationSet
from edge_fm_export.gate.golden_images import GOLDEN_IMAGES, generated_candidates
from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.golden import golden_of
from edge_fm_runtime.artifacts.metadata import PhotoSpec

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")
web = import_module("benchmarks.artifacts.web")
pytestmark = [needs_chromium, pytest.mark.slow, pytest.mark.needs("tensorflow", "tf2onnx", "onnx")]
PACKAGED = "efficientnet-lite0-onnx-int8"


def require_same(artifact: Artifact, photos: list[bytes], profile: Path, *, golden: int) -> dict[str, Any]:
    """Open the page, replay the golden predictions, classify photos, cut the network."""
    row: dict[str, Any] = web.measure(artifact, photos, profile)
    assert (row["golden"], row["golden_passed"], row["golden_agreement"]) == (golden, True, 1), row
    assert (row["images"], row["same_labels"]) == (len(photos), len(photos)), row
    assert row["same_host_only"] and row["offline_label_same"], row
    return row


def coloured_photos(count: int) -> list[bytes]:
    """JPEGs of several sizes and orientations."""
    found = []
    for number, image in enumerate(generated_candidates((96, 128, 3))[:count]):
        stream, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 1 + number % 8
        Image.fromarray(image).resize((300 + 40 * number, 400)).save(stream, "JPEG", exif=exif)
        found.append(stream.getvalue())
    return found


@pytest.mark.parametrize("name", ["edgenet-n", "edgenet-s", "edgenet-m"])
def test_a_trained_model_predicts_in_a_browser_as_here(name: str, tmp_path: Path) -> None:
    options = edge_fm.ExportOptions(data="fashion-mnist-mini", web_runtime=package_file())
    (made,) = edge_fm.export(name, "web", "fp32", out=tmp_path, options=options).results
    photos = [web.png(image) for image in load_dataset("fashion-mnist-mini").test.images[:100]]
    row = require_same(load_artifact(made.path), photos, tmp_path / "profile", golden=GOLDEN_IMAGES)
    assert row["max_score_diff"] < 1e-4


def test_a_photo_classifier_of_a_keras_file_has_as_many_golden_predictions(tmp_path: Path) -> None:
    import keras

    from edge_fm.models import build_model

    keras.utils.set_random_seed(0)
    build_model("efficientnet-lite0", input_shape=(224, 224, 3), classes=10, size=96).save(tmp_path / "photos.keras")
    source = load_source(tmp_path / "photos.keras", photo=PhotoSpec("stretch"))
    candidates = generated_candidates((224, 224, 3))[:40]
    images = EvaluationSet("drawn", candidates, None, "drawn")
    runtime = real_runtime()
    (made,) = export(source, [Target("web", "fp32")], tmp_path, test=images, web_runtime=runtime).results
    row = require_same(load_artifact(made.path), coloured_photos(8), tmp_path / "profile", golden=GOLDEN_IMAGES)
    assert row["golden_max_abs_diff"] < 1e-4


def test_the_photo_classifier_in_the_package_replays_all_that_it_carries(tmp_path: Path) -> None:
    from edge_fm_runtime.artifacts.packaged import packaged_artifact

    path = packaged_artifact(Path(PACKAGED))
    assert path is not None
    artifact = make_page(load_artifact(path), tmp_path, real_runtime())
    assert len(golden_of(artifact).images) == 20
    require_same(artifact, coloured_photos(8), tmp_path / "profile", golden=20)
