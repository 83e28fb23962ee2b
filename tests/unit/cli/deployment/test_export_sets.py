"""`edgefm export` on the command line: sets that must be apart are, small sets do, and the table comes in any case."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from edge_fm.cli import cli

CLASSES = ("left", "middle", "right")
SIDE = 9


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def bar(label: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a bright third, whose place is the class."""
    image = rng.integers(0, 100, (SIDE, SIDE), dtype=np.uint8)
    image[:, 3 * label : 3 * label + 3] += 120
    return image


def folder(path: Path, each: int, *, seed: int, flat: bool = False) -> Path:
    """`each` images of each class, in a subfolder for each class or all in one folder."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(CLASSES):
        for number in range(each):
            place = path if flat else path / name
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(bar(label, rng)).save(place / f"{name}-{number}.png")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write a model that knows the bright third, with its outputs in an order and for pixels of a scale."""
    import keras

    root = tmp_path_factory.mktemp("models")

    def make(
        name: str = "bars", *, order: tuple[int, ...] = (0, 1, 2), gain: float = 1.0, constant: bool = False
    ) -> Path:
        path = root / f"{name}.keras"
        if path.exists():
            return path
        image = keras.Input((SIDE, SIDE, 1), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255)(image)
        x = keras.layers.AveragePooling2D((SIDE, 3))(x)
        dense = keras.layers.Dense(3, activation="softmax")
        built = keras.Model(image, dense(keras.layers.Flatten()(x)))
        kernel = gain * 20.0 * np.eye(3, dtype=np.float32)[:, list(order)]
        dense.set_weights([0 * kernel if constant else kernel, np.array([1, 0, 0], np.float32) * constant])
        built.save(path)
        return path

    return make


def calibrated_on(made: dict[str, Any]) -> int:
    metadata = json.loads((Path(made["artifact"]) / "edgefm.json").read_text())
    return int(metadata["quantization"]["samples"])


def export(model: Path, tmp_path: Path, *more: str | Path, precision: str = "int8") -> Result:
    return run("export", model, "--precision", precision, "--out", tmp_path / "out", *more)


@pytest.mark.parametrize("flat", [True, False])
def test_calibration_images_of_the_evaluation_set_are_refused(
    model: Callable[..., Path], tmp_path: Path, flat: bool
) -> None:
    photos = folder(tmp_path / "photos", 8, seed=1, flat=True)
    # The same images under other names, in another layout: their pixels give them away.
    same = photos if flat else folder(tmp_path / "copies", 8, seed=1)
    done = export(model(), tmp_path, "--data", photos, "--calibration", same)
    assert done.exit_code == 1
    assert "are test images too" in done.stderr and "--calibration SOURCE" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_training_split_of_the_evaluation_folder_calibrates(model: Callable[..., Path], tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 20, seed=1)
    done = export(model(), tmp_path, "--data", photos, "--calibration", photos, "--json")
    assert done.exit_code == 0, done.output
    assert "test images too" not in done.stderr
    assert "int8 is calibrated on 48 images, all that there are" in done.stderr
    assert calibrated_on(json.loads(done.stdout)[0]) == 48


@pytest.mark.needs("ai_edge_litert", "ai_edge_quantizer")
@pytest.mark.parametrize(("precision", "named"), [("w8a16", "w8a16 is"), ("int8,w8a16", "int8 and w8a16 are")])
def test_notes_on_calibration_name_the_precisions(
    model: Callable[..., Path], tmp_path: Path, precision: str, named: str
) -> None:
    photos = folder(tmp_path / "photos", 20, seed=1)
    done = export(model(), tmp_path, "--data", photos, "--format", "litert", precision=precision)
    assert f"{named} calibrated on 48 images, all that there are" in done.stderr, done.output


def test_evaluation_images_are_left_out_of_a_calibration_set_that_has_more(
    model: Callable[..., Path], tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", 4, seed=1, flat=True)
    more = folder(tmp_path / "more", 4, seed=1, flat=True)
    folder(more, 6, seed=2, flat=True)  # other images under the first names, and two more of each class
    for number in range(4):
        (photos / f"left-{number}.png").rename(more / f"again-{number}.png")
        Image.open(more / f"again-{number}.png").save(photos / f"left-{number}.png")
    done = export(model(), tmp_path, "--data", photos, "--calibration", more, "--json")
    assert done.exit_code == 0, done.output
    assert "4 of the 22 images" in done.stderr and "not calibrated on them" in done.stderr
    assert calibrated_on(json.loads(done.stdout)[0]) == 18


def test_a_training_split_with_copies_of_test_images_says_how_many(model: Callable[..., Path], tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos" / "train", 10, seed=1).parent
    for name in CLASSES:
        (photos / "test" / name).mkdir(parents=True)
        for number in range(4):
            Image.open(photos / "train" / name / f"{name}-{number}.png").save(photos / "test" / name / f"{number}.bmp")
    done = export(model(), tmp_path, "--data", photos, "--json")
    assert done.exit_code == 0, done.output
    assert "12 of the 30 images" in done.stderr
    assert calibrated_on(json.loads(done.stdout)[0]) == 18


@pytest.mark.parametrize("control", [False, True])
def test_small_sets_are_taken_as_they_are(model: Callable[..., Path], tmp_path: Path, control: bool) -> None:
    photos = folder(tmp_path / "photos", 10, seed=1)
    more = ["--accuracy-control"] if control else []
    done = export(model(), tmp_path, "--data", photos, "--samples", "500", "--json", *more)
    assert done.exit_code == 0, done.output
    # 24 to learn from; a third of them is held out where accuracy control needs it.
    assert calibrated_on(json.loads(done.stdout)[0]) == (16 if control else 24)
    assert "500 were requested" in done.stderr


def test_a_validation_split_of_its_own_steers_accuracy_control(model: Callable[..., Path], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for seed, (part, each) in enumerate({"train": 8, "val": 4, "test": 4}.items()):
        folder(photos / part, each, seed=seed)
    # Copies of two validation images among the training images, and of one test image among the validation images.
    for source, target in (("val", "train"), ("val", "train"), ("test", "val")):
        number = len(list((photos / target / "left").iterdir()))
        Image.open(photos / source / "left" / f"left-{number % 4}.png").save(
            photos / target / "left" / f"x{number}.png"
        )
    done = export(model(), tmp_path, "--data", photos, "--accuracy-control", "--json")
    assert done.exit_code == 0, done.output
    (made,) = json.loads(done.stdout)
    assert calibrated_on(made) == 24
    quantization = json.loads((Path(made["artifact"]) / "edgefm.json").read_text())["quantization"]
    assert quantization["accuracy_control"]["images"] == 12


def test_a_precision_that_cannot_be_built_does_not_end_the_others(model: Callable[..., Path], tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 8, seed=1, flat=True)
    done = export(model(), tmp_path, "--data", photos, "--calibration", photos, "--json", precision="all")
    assert done.exit_code == 1
    made = {row["precision"]: row for row in json.loads(done.stdout)}
    assert made["fp32"]["parity"]["passed"] and made["fp16"]["parity"]["passed"]
    assert made["int8"]["artifact"] is None and "test images too" in made["int8"]["error"]
    assert "int8 will not be built" in done.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["bars-onnx-fp16", "bars-onnx-fp32"]


def test_without_any_images_the_floats_are_built(model: Callable[..., Path], tmp_path: Path) -> None:
    done = export(model(), tmp_path, precision="all")
    assert done.exit_code == 1
    assert "onnx int8: int8 needs images" in done.stderr and "--calibration SOURCE" in done.stderr
    assert "bars-onnx-fp32" in done.stdout and "not built" in done.stdout


def test_a_failed_gate_still_prints_the_table_and_the_option_that_helps(
    model: Callable[..., Path], tmp_path: Path
) -> None:
    photos = folder(tmp_path / "photos", 10, seed=1)
    done = export(model(), tmp_path, "--data", photos, "--max-diff", "1e-12", precision="all")
    assert done.exit_code == 3, done.output
    assert "FAILED" in done.stdout and "bars-onnx-fp16" in done.stdout
    option = next(line for line in done.stderr.splitlines() if "To accept it" in line).split("as it is: ")[1].split()
    again = export(model(), tmp_path, "--data", photos, "--max-diff", "0.5", precision="all")
    assert again.exit_code == 0 and option[0] == "--max-diff", again.output


def test_outputs_in_another_order_than_the_labels_are_said_loudly(model: Callable[..., Path], tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 10, seed=1)
    shuffled = model("shuffled", order=(1, 2, 0))
    done = export(shuffled, tmp_path, "--data", photos, "--quiet", precision="fp32")
    assert done.exit_code == 0, done.output
    assert "WARNING: The original model itself is right on 0.0%" in done.stderr
    assert "another order" in done.stderr and "--labels FILE" in done.stderr
    assert "DOUBTFUL: see the warning" in done.stdout
    (artifact,) = (tmp_path / "out").iterdir()
    assert "another order" in (artifact / "README.md").read_text()
    for command in (
        ("evaluate", artifact, "--data", photos),
        ("verify", artifact, "--against", shuffled, "--data", photos),
    ):
        result = run(*command, "--json")
        assert result.exit_code == 0 and "another order" in result.stderr
        assert json.loads(result.stdout)["warnings"]
    labels = tmp_path / "labels.txt"
    (order,) = re.findall(r"--labels FILE \((.*)\)", done.stderr)
    labels.write_text(order.replace(", ", "\n"))
    mended = export(shuffled, tmp_path, "--data", photos, "--labels", labels, "--force", precision="fp32")
    assert mended.exit_code == 0 and "WARNING" not in mended.stderr, mended.output


def test_a_model_that_always_says_the_same_points_to_the_scaling(model: Callable[..., Path], tmp_path: Path) -> None:
    photos = folder(tmp_path / "photos", 10, seed=1)
    done = export(model("constant", constant=True), tmp_path, "--data", photos, precision="fp32")
    assert "100% of its predictions are left" in done.stderr and "scaled otherwise" in done.stderr


def test_a_good_model_gets_no_warning(model: Callable[..., Path], tmp_path: Path) -> None:
    done = export(model(), tmp_path, "--data", folder(tmp_path / "photos", 10, seed=1), precision="fp32")
    assert done.exit_code == 0 and "WARNING" not in done.output
    assert "the original's accuracy there is 100.00%" in done.stdout
