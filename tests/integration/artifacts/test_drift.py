"""`edgefm drift`: what is recorded at export, what is seen of photos, and what is said of them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_models import TINY_SHAPES, tiny_images

import edge_fm
from edge_fm.cli import cli
from edge_fm_export.results import ExportResult
from edge_fm_export.targets import BUILDERS, Target
from edge_fm_runtime import load_artifact
from edge_fm_runtime.artifacts.files import DRIFT_FILE
from edge_fm_runtime.drift.reference import load_reference, save_reference
from edge_fm_runtime.errors import ArtifactError, EngineError, IntegrityError, PhotoError

Exported = Callable[[str, Target], ExportResult]
ONNX = Target("onnx", "fp32")
DEVICE = [target for target in BUILDERS if target.format not in ("savedmodel", "tflm")]  # tflm returns no embedding


@pytest.fixture
def artifact(exported_with_outputs: Exported) -> Path:
    return exported_with_outputs("grey", ONNX).path


def seen(seed: int, n: int = 300, kind: str = "grey") -> np.ndarray:
    return tiny_images(TINY_SHAPES[kind], n, seed=seed)[0]


@pytest.mark.slow
@pytest.mark.parametrize("target", DEVICE, ids=str)
@pytest.mark.parametrize("kind", ["grey", "colour"])
def test_every_format_sees_what_has_changed(exported_with_outputs: Exported, kind: str, target: Target) -> None:
    path = exported_with_outputs(kind, target).path
    alarms = [edge_fm.drift(path, seen(100 + seed, kind=kind)).changed for seed in range(5)]
    assert sum(alarms) <= 1
    dark = edge_fm.drift(path, (seen(99, kind=kind) // 2).astype(np.uint8))
    assert dark.changed and "brightness" in [test.name for test in dark.tests if test.changed]


def test_a_missing_class_a_new_one_and_another_camera(artifact: Path) -> None:
    images, labels = tiny_images(TINY_SHAPES["grey"], 400, seed=50)
    fired = {}
    new = images[:300].copy()
    new[::5, :, :14], new[::5, :, 14:] = images[0, :, :14], images[1, :, 14:]  # two bright quadrants, as no class has
    for name, changed in {
        "missing": images[labels != 2],
        "new": new,
        "camera": np.round(255 * (images / 255) ** 1.25).astype(np.uint8),
    }.items():
        result = edge_fm.drift(artifact, changed)
        assert result.changed, name
        fired[name] = {test.name for test in result.tests if test.changed}
    assert {"classes", "predictions", "embedding"} <= fired["missing"]
    assert "embedding" in fired["new"]
    assert {"brightness", "contrast"} & fired["camera"]


def test_what_is_recorded(artifact: Path, exported: Exported) -> None:
    content = json.loads((artifact / "edgefm.json").read_text("utf-8"))
    assert content["drift"]["n"] == 400 and content["drift"]["dataset"] == "quadrants 5"
    assert DRIFT_FILE in content["files"] and (artifact / DRIFT_FILE).stat().st_size < 100_000
    assert "400 images (quadrants 5)" in (artifact / "README.md").read_text("utf-8")
    assert b"quadrants 5" not in (artifact / "model.onnx").read_bytes()
    reference = load_reference(load_artifact(artifact))
    assert list(reference.tests) == content["drift"]["tests"] and reference.tests[-1] == "embedding"
    assert all((np.diff(values) >= 0).all() for values in reference.statistics.values())
    without = exported("grey", ONNX).path
    assert "drift" not in json.loads((without / "edgefm.json").read_text("utf-8"))
    assert not (without / DRIFT_FILE).exists()


def test_the_reference_survives_the_file(artifact: Path, tmp_path: Path) -> None:
    opened = load_artifact(artifact)
    reference = load_reference(opened)
    save_reference(reference, tmp_path / DRIFT_FILE)
    assert (tmp_path / DRIFT_FILE).read_bytes() == (artifact / DRIFT_FILE).read_bytes()


def test_the_hint_without_a_reference_is_the_command_that_helps(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exported("grey", ONNX).path.resolve()
    monkeypatch.chdir(tmp_path)

    def hint(artifact: Path | str) -> str:
        with pytest.raises(ArtifactError, match="records no held-out images") as error:
            edge_fm.drift(artifact, seen(1))
        return str(error.value.hint)

    options = "--format onnx --precision fp32"
    assert hint(path).endswith(f"edgefm export MODEL.keras {options} --data IMAGES --outputs embedding")
    assert hint("edgenet-s-onnx-int8").endswith("edgefm export MODEL.keras --data IMAGES --outputs embedding")
    (tmp_path / "runs" / "grey").mkdir(parents=True)
    (tmp_path / "runs" / "latest").symlink_to("grey")
    assert hint(path).endswith(f"edgefm export runs/grey {options} --outputs embedding")
    assert hint("edgenet-s-onnx-int8").endswith("here the newest: edgefm export --outputs embedding")
    shutil.copy(path / "model.onnx", tmp_path / "bare.onnx")
    with pytest.raises(ArtifactError, match="is a bare file"):
        edge_fm.drift(tmp_path / "bare.onnx", seen(1))


def test_a_changed_or_unlisted_reference_is_refused(artifact: Path, exported: Exported, tmp_path: Path) -> None:
    shutil.copytree(artifact, tmp_path / "changed")
    content = bytearray((artifact / DRIFT_FILE).read_bytes())
    content[200] ^= 1
    (tmp_path / "changed" / DRIFT_FILE).write_bytes(content)
    with pytest.raises(IntegrityError, match=r"drift.npz was changed"):
        edge_fm.drift(tmp_path / "changed", seen(1))
    shutil.copytree(exported("grey", ONNX).path, tmp_path / "unlisted")
    shutil.copy(artifact / DRIFT_FILE, tmp_path / "unlisted")
    with pytest.raises(IntegrityError, match="is not listed"):
        load_artifact(tmp_path / "unlisted")


def test_malformed_references_are_refused(artifact: Path) -> None:
    opened = load_artifact(artifact)
    with np.load(artifact / DRIFT_FILE) as file:
        arrays = dict(file)

    def changed(**other: Any) -> ArtifactError:
        stream = io.BytesIO()
        np.savez(stream, **{name: value for name, value in {**arrays, **other}.items() if value is not None})
        with pytest.raises(ArtifactError) as error:
            load_reference(replace(opened, contents={DRIFT_FILE: stream.getvalue()}))
        return error.value

    assert "holds no reference" in changed(classes=None).message
    assert "statistic_brightness" in changed(statistic_brightness=arrays["statistic_brightness"][:9]).message
    assert "statistic_contrast" in changed(statistic_contrast=arrays["statistic_contrast"] * np.float16(np.nan)).message
    assert "classes int64" in changed(classes=-arrays["classes"]).message
    assert "embedding: mean" in changed(embedding_mean=arrays["embedding_mean"][:-1]).message
    assert "predictions: mean" in changed(predictions_cells=arrays["predictions_cells"] + 200).message
    with pytest.raises(ArtifactError, match="holds no reference"):
        load_reference(replace(opened, contents={DRIFT_FILE: b"PK\x03\x04"}))


def photos(place: Path, images: np.ndarray) -> Path:
    place.mkdir()
    for number, pixels in enumerate(images):
        Image.fromarray(pixels[..., 0]).save(place / f"{number:03}.png")
    return place


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_files_give_what_canvases_give(artifact: Path, tmp_path: Path) -> None:
    images = seen(20, 60)
    of_files = edge_fm.drift(artifact, photos(tmp_path / "photos", images))
    assert of_files.to_json()["tests"] == edge_fm.drift(artifact, images).to_json()["tests"]
    assert of_files.photos == 60 and not of_files.failures and "60 photos" in of_files.notes[0]


def test_the_command(artifact: Path, tmp_path: Path) -> None:
    folder = photos(tmp_path / "two\nlines", seen(21, 120))
    done = run("drift", artifact, folder)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Not seen to have changed. 120 photos beside 400 held-out images (quadrants 5)")
    dark = photos(tmp_path / "dark", seen(21, 120) // 2)
    done = run("drift", artifact, dark)
    assert done.exit_code == 0 and done.stdout.startswith("Changed: ") and "brightness" in done.stdout
    done = run("drift", artifact, dark, "--fail-on-change", "--json")
    assert done.exit_code == 5
    result = json.loads(done.stdout)
    assert result["changed"] and result["alpha"] == 0.02 and result["photos"] == 120
    assert {test["name"] for test in result["tests"]} == set(load_reference(load_artifact(artifact)).tests)
    (folder / "broken.png").write_bytes(b"not a photo")
    done = run("drift", artifact, folder, folder / "missing.png", "--fail-on-change", "--quiet")
    assert done.exit_code == 4 and "broken.png" in done.stderr and "missing.png" in done.stderr


def test_copies_are_counted(artifact: Path, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos", seen(22, 40))
    result = edge_fm.drift(artifact, [folder, folder])
    assert result.photos == 80 and result.copies == 40 and any("40 of the photos have" in note for note in result.notes)
    images = seen(22, 40)
    assert edge_fm.drift(artifact, np.concatenate([images, images[:1]])).copies == 1


def test_too_few_photos_and_wrong_numbers(artifact: Path, tmp_path: Path) -> None:
    few = photos(tmp_path / "few", seen(23, 29))
    (few / "broken.png").write_bytes(b"")
    with pytest.raises(PhotoError, match=r"Got 29 photos, and 1 that could not be read; .*30 are compared\. .*broken"):
        edge_fm.drift(artifact, few)
    with pytest.raises(PhotoError, match="Got 0 photos, and 1 that"):
        edge_fm.drift(artifact, tmp_path / "nowhere" / "*.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhotoError, match="Got 0 photos; at least 30"):
        edge_fm.drift(artifact, tmp_path / "empty")
    with pytest.raises(PhotoError, match=r"uint8 pixels of shape \[40, 9, 9, 1\]"):
        edge_fm.drift(artifact, np.zeros((40, 9, 9, 1), np.uint8))
    with pytest.raises(PhotoError, match="Got 0 photos"):
        edge_fm.drift(artifact, np.zeros((0, 28, 28, 1), np.uint8))
    with pytest.raises(EngineError, match=r"supported: 0\.01 to 0\.5"):
        edge_fm.drift(artifact, seen(1), alpha=0.001)
    assert run("drift", artifact, few, "--alpha", "0.6").exit_code == 2


def test_alpha_decides_what_is_called_changed(artifact: Path) -> None:
    results = [edge_fm.drift(artifact, seen(24), alpha=alpha) for alpha in (0.01, 0.5)]
    assert [test.p_value for test in results[0].tests] == [test.p_value for test in results[1].tests]
    for result in results:
        assert [test.changed for test in result.tests] == [test.adjusted_p <= result.alpha for test in result.tests]
