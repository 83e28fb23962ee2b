"""Class activation maps: every format agrees with Keras, and `edgefm infer --heatmap` draws where a class was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from exporting import TARGETS, export
from PIL import Image
from tiny_models import TINY_LABELS, TINY_SHAPES, tiny_images, tiny_set

import edge_fm
from edge_fm.cli import cli
from edge_fm.evaluation import Evaluation
from edge_fm.evaluation.worst_section import heatmaps_of
from edge_fm_export.context import SourceModel
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_export.outputs.extra import extra_outputs
from edge_fm_export.results import ExportResult
from edge_fm_export.sources import make_source
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.engines import ENGINES, create_engine
from edge_fm_runtime.parity.extra_outputs import compare_outputs
from edge_fm_runtime.parity.verification import verify_golden
from edge_fm_runtime.photos.heatmap import draw_heatmap

keras = pytest.importorskip("keras")
SHAPE = TINY_SHAPES["grey"]
Exported = Callable[[str, Target], ExportResult]


@pytest.fixture(scope="module")
def source() -> SourceModel:
    """A model that finds the bright quadrant, pooled by a weight for each place."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(8, 4, strides=4, activation="relu", name="maps")(x)
    x = layers.DepthwiseConv2D(7, use_bias=False, name="pool")(x)
    x = layers.Flatten()(layers.BatchNormalization(momentum=0.8)(x))
    x = layers.Dense(4, name="logits")(x)
    model = keras.Model(image, layers.Activation("softmax", name="probabilities")(x))
    images, labels = tiny_images(SHAPE, 512, seed=1)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images, labels, batch_size=64, epochs=6, verbose=0)
    made = make_source(
        model, name="maps", labels=TINY_LABELS["grey"], photo=PhotoSpec(), sha256="0" * 64, where=Path("maps.keras")
    )
    return replace(made, extra=extra_outputs(model, ["embedding", "cam"]))


@pytest.fixture(scope="module")
def made(source: SourceModel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Target], Path]:
    root, found = tmp_path_factory.mktemp("maps"), {}

    def make(target: Target) -> Path:
        if target not in found:
            sets: dict[str, Any] = {"test": tiny_set(SHAPE, 100, seed=2), "calibration": tiny_set(SHAPE, 60, seed=3)}
            found[target] = export(source, [target], root, **sets).results[0].path
        return found[target]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("target", [t for t in TARGETS if t.precision != "fp16" and t.format != "tflm"], ids=str)
def test_every_format_returns_the_maps_of_keras(
    target: Target, source: SourceModel, made: Callable[[Target], Path]
) -> None:
    artifact = load_artifact(made(target))
    assert [(one.name, one.shape) for one in artifact.metadata.extra_outputs] == [
        ("embedding", (8,)),
        ("cam", (7, 7, 4)),
    ]
    images, _ = tiny_images(SHAPE, 50, seed=9)
    assert source.extra is not None
    original = {name: np.asarray(v) for name, v in source.extra.model(images, training=False).items()}
    engine = create_engine(artifact, registry={**ENGINES, **REFERENCE_ENGINES})
    found = engine.predict_outputs(images, batch=7)
    assert list(found) == ["probabilities", "embedding", "cam"]
    for measured in compare_outputs([(original, found)]):
        if target.precision == "fp32":
            assert measured.max_abs_diff <= 1e-4
        else:
            assert measured.mean_cosine >= 0.99
    verification = verify_golden(artifact, engine)
    assert verification.passed, verification.checks
    engine.close()


def test_a_heat_map_is_highest_where_the_class_is(made: Callable[[Target], Path]) -> None:
    images, labels = tiny_images(SHAPE, 40, seed=9)
    with edge_fm.Classifier.load(made(Target("onnx", "fp32"))) as classifier:
        maps = classifier.engine.infer_outputs(images)["cam"]
        right = 0
        for image, label, of_classes in zip(images, labels, maps, strict=True):
            found = classifier.classify(image[..., 0], heatmap=True, embedding=True)
            assert found.heatmap is not None and found.embedding is not None
            np.testing.assert_allclose(found.heatmap, of_classes[..., found.index], atol=1e-5)
            row, column = np.unravel_index(found.heatmap.argmax(), found.heatmap.shape)
            right += (row > 3) * 2 + (column > 3) == label
    assert right >= 36  # four quadrants: by chance 10


def test_the_command_writes_a_heat_map_for_each_photo(
    made: Callable[[Target], Path], exported: Exported, tmp_path: Path
) -> None:
    images, _ = tiny_images(SHAPE, 2, seed=9)
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"not an image")
    artifact = made(Target("onnx", "fp32"))
    arguments = ["infer", str(tmp_path / "photos"), "--heatmap", str(tmp_path / "maps"), "--model"]
    done = CliRunner().invoke(cli, [*arguments, str(artifact), "--json"])
    assert done.exit_code == 4, done.output
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == ["00000-0.png", "00001-1.png"]
    with edge_fm.Classifier.load(artifact) as classifier:
        photo = tmp_path / "photos" / "0.png"
        heatmap = classifier.classify(photo, heatmap=True).heatmap
        assert heatmap is not None
        drawn = draw_heatmap(classifier.canvas(photo), heatmap)
    written = np.asarray(Image.open(tmp_path / "maps" / "00000-0.png"))
    assert written.shape == (280, 280, 3)
    np.testing.assert_array_equal(written[::10, ::10], drawn)
    done = CliRunner().invoke(cli, [*arguments, str(exported("grey", Target("onnx", "fp32")).path)])
    assert done.exit_code == 1 and "--outputs cam" in done.output


def test_what_speaks_against_the_class_is_not_coloured() -> None:
    canvas = np.full((4, 4, 1), 100, np.uint8)
    drawn = draw_heatmap(canvas, np.full((2, 2), -1, np.float32))
    np.testing.assert_array_equal(drawn, np.full((4, 4, 3), 100))
    lone = np.zeros((4, 4), np.float32)
    lone[1, 2] = 5.0
    drawn = draw_heatmap(canvas, lone)
    changed = (drawn != 100).any(axis=2)
    assert changed[1, 2] and changed.sum() == 1


def test_the_page_shows_where_the_model_saw_what_it_got_wrong(
    made: Callable[[Target], Path], exported: Exported, tmp_path: Path
) -> None:
    images, labels = tiny_images(SHAPE, 12, seed=9)
    names = TINY_LABELS["grey"]
    rows = ["file,label,split"]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
        rows.append(f'{number}.png,"{names[(label + 1) % 4]}",test')  # a wrong label, so that predictions are wrong
    for place, name in enumerate(names):
        Image.fromarray(images[place, ..., 0] // 2).save(tmp_path / f"train{place}.png")
        rows.append(f'train{place}.png,"{name}",train')
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n")
    data = str(tmp_path / "data.csv")
    artifact = made(Target("onnx", "fp32"))
    result = edge_fm.evaluate(artifact, data=data, report=tmp_path / "page")
    assert isinstance(result.evaluation, Evaluation) and len(result.evaluation.worst) >= 4 and result.report is not None
    assert "Where the model saw the class that it predicted" in result.report.read_text()
    assert (tmp_path / "page" / "worst-heatmaps.png").is_file()
    # The maps are those that the model gives for the predicted classes, in the order of the wrong predictions.
    worst = result.evaluation.worst
    shown = np.stack([np.asarray(Image.open(tmp_path / str(one.file))) for one in worst])[..., None]
    with edge_fm.Classifier.load(artifact) as classifier:
        places = list(range(len(worst)))
        moved = [replace(one, index=place) for place, one in zip(places, worst, strict=True)]
        maps = heatmaps_of(moved, shown, names, engine=classifier.engine, outputs=["embedding", "cam"])
        assert maps is not None
        for image, drawn, one in zip(shown, maps, worst, strict=True):
            found = classifier.classify(image[..., 0], heatmap=True)
            assert found.label == one.predicted and found.heatmap is not None
            np.testing.assert_allclose(drawn, found.heatmap, atol=1e-5)
    without = edge_fm.evaluate(exported("grey", Target("onnx", "fp32")).path, data=data, report=tmp_path / "other")
    assert without.report is not None and "Where the model saw" not in without.report.read_text()
