"""`edgefm evaluate --report` of an artifact and of a run: one page, with feature maps where there is a Keras model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tiny_models import TINY_SHAPES, TinyRun

from edge_fm.cli import cli
from edge_fm.data import load_dataset
from edge_fm_runtime.artifacts.metadata import Metadata

pytestmark = pytest.mark.slow

LABELS = ("T-shirt/top", "Ankle boot", "Bag")


def dataset(path: Path, shape: tuple[int, int, int], labels: tuple[str, ...]) -> Path:
    rng = np.random.default_rng(0)
    truth = np.tile(np.arange(len(labels)), 12)
    images = rng.integers(0, 256, (len(truth), *shape), dtype=np.uint8)
    np.savez(path, x_train=images, y_train=truth, x_test=images[::-1], y_test=truth[::-1])
    (path.parent / "labels.txt").write_text("\n".join(labels) + "\n")
    return path


@pytest.mark.needs("matplotlib")
def test_an_artifact_has_a_page_without_feature_maps(artifact_folder: Path, tmp_path: Path) -> None:
    data = dataset(tmp_path / "tiny.npz", (4, 4, 1), LABELS)
    arguments = ["evaluate", str(artifact_folder), "--data", str(data), "--json"]
    result = CliRunner().invoke(cli, [*arguments, "--report", str(tmp_path / "page"), "--batch-size", "8"])
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["inference"]["images_per_s"] > 0 and printed["inference"]["batch"] == 8
    assert sum(one["count"] for one in printed["calibration"]) == printed["n"] == 36
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "Calibration" in page and "Feature maps" not in page
    assert json.loads((tmp_path / "page" / "evaluation.json").read_text()) == printed
    result = CliRunner().invoke(cli, [*arguments, "--report", str(tmp_path / "other"), "--layer", "conv"])
    assert result.exit_code == 1 and "an artifact has none" in result.output
    result = CliRunner().invoke(cli, [*arguments, "--layer", "conv"])
    assert result.exit_code == 2 and "belongs to --report" in result.output


@pytest.mark.needs("jinja2", "matplotlib")
def test_wrong_photos_of_a_folder_are_named(
    make_artifact: Callable[..., Path], metadata: Metadata, tmp_path: Path
) -> None:
    names = ("Shirt", "Ankle boot", "Bag")
    artifact = make_artifact("named", metadata=replace(metadata, labels=names))
    rng = np.random.default_rng(0)
    for number in range(36):
        place = tmp_path / "photos" / names[number % 3] / f"IMG {number} & more.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8)).save(place)
    arguments = ["evaluate", str(artifact), "--data", str(tmp_path / "photos"), "--split", "all", "--json"]
    result = CliRunner().invoke(cli, [*arguments, "--report", str(tmp_path / "page")])
    assert result.exit_code == 0, result.output
    worst = json.loads(result.stdout)["worst"]
    page = (tmp_path / "page/report.html").read_text(encoding="utf-8")
    assert worst
    for one in worst:
        assert (tmp_path / "photos" / one["file"]).is_file() and one["file"].split("/")[0] == one["true"]
        assert one["file"].replace("&", "&amp;") in page


@pytest.mark.parametrize("kind", TINY_SHAPES)
def test_a_run_has_a_page_with_the_maps_of_a_layer(kind: str, tiny_runs: dict[str, TinyRun], tmp_path: Path) -> None:
    run = tiny_runs[kind]
    labels = tuple(json.loads((run.folder / "metrics.json").read_text())["labels"])
    data = dataset(tmp_path / "tiny.npz", TINY_SHAPES[kind], labels)
    arguments = ["evaluate", str(run.folder), "--data", str(data), "--report", str(tmp_path / "page")]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert "What layer" in page and (tmp_path / "page" / "feature_maps-3.png").is_file()
    result = CliRunner().invoke(cli, [*arguments, "--layer", "nothing"])
    assert result.exit_code == 1 and "Layers with a map: " in result.output


def test_images_that_the_model_has_learned_from_are_counted(
    make_artifact: Callable[..., Path], metadata: Metadata, tmp_path: Path
) -> None:
    data = dataset(tmp_path / "tiny.npz", (4, 4, 1), LABELS)  # its test images are its training images
    known = {"data": {"source": str(data), "hash": load_dataset(str(data)).content_hash}}
    artifact = make_artifact(metadata=replace(metadata, training=known))

    def warnings_of(*more: str) -> tuple[list[str], str]:
        done = CliRunner().invoke(cli, ["evaluate", str(artifact), "--data", str(data), "--json", "--quiet", *more])
        assert done.exit_code == 0, done.output
        return [w for w in json.loads(done.stdout)["warnings"] if "training images" in w], done.stderr

    for split, n in (("test", 36), ("all", 72)):
        (warning,), stderr = warnings_of("--split", split)
        assert warning.startswith(f"{n} of the {n} images") and warning in stderr
    assert warnings_of("--split", "train")[0] == []
    with np.load(data) as arrays:
        np.savez(data, **{**arrays, "x_test": 255 - arrays["x_test"]})
    (warning,), stderr = warnings_of("--split", "all")  # other data than it learned from, in their place
    assert "has another content hash than when the model was trained on it" in warning and warning in stderr
    shutil.copy(data, tmp_path / "other.npz")
    assert warnings_of("--split", "all", "--data", str(tmp_path / "other.npz"))[0] == []  # nothing is known
