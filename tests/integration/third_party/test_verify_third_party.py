"""A third-party model is opened again with the scaling put before it, so that `verify --against` compares like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

from edge_fm.cli import cli


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(a) for a in arguments])


def test_the_scaling_of_an_export_is_used_again_by_verify(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((12, 10, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    keras.Model(image, logits).save(tmp_path / "flowers.keras")
    (tmp_path / "labels.txt").write_text("tulip\nrose\nT-shirt/top\n")
    rng = np.random.default_rng(0)
    for label in ("rose", "tulip", "T-shirt_top"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)).save(
                tmp_path / "photos" / label / f"{i}.png"
            )
    evaluated = ("--data", tmp_path / "photos")
    asked = ("--format", "onnx", "--preset", "tf", "--labels", tmp_path / "labels.txt", "--out", tmp_path / "out")
    exported = run("export", tmp_path / "flowers.keras", *asked, *evaluated, "--json", "--quiet")
    assert exported.exit_code == 0, exported.output
    (made,) = json.loads(exported.stdout)
    metadata = json.loads((Path(made["artifact"]) / "edgefm.json").read_text())
    assert metadata["source"]["preprocessing"]["scale"] == 1 / 127.5
    assert any("softmax" in note for note in metadata["source"]["notes"])
    verified = run("verify", made["artifact"], "--against", tmp_path / "flowers.keras", *evaluated, "--json", "--quiet")
    assert verified.exit_code == 0, verified.output
    report = json.loads(verified.stdout)
    assert report["top1_agreement"] == 1.0
    assert report["accuracy"] is not None
    assert not any("is not the file" in warning for warning in report["warnings"])
    keras.Model(image, -logits).save(tmp_path / "other.keras")
    other = run("verify", made["artifact"], "--against", tmp_path / "other.keras", *evaluated, "--json", "--quiet")
    assert other.exit_code == 3
    assert any("other.keras is not the file that" in warning for warning in json.loads(other.stdout)["warnings"])
    assert "WARNING" in other.stderr.upper()


def test_a_model_that_is_not_the_original_never_passes(tmp_path: Path) -> None:
    """Its class is always the original's, so that agreement and drop are perfect: only its probabilities tell."""
    import keras

    def save(name: str, sharpness: float) -> Path:
        image = keras.Input((8, 8, 1), dtype="uint8")
        flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
        dense = keras.layers.Dense(2, activation="softmax")
        model = keras.Model(image, dense(flat))
        kernel = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
        dense.set_weights([sharpness * kernel, np.zeros(2, np.float32)])
        model.save(tmp_path / name)
        return tmp_path / name

    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (400, 8, 8, 1), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=pixels, labels=np.arange(400) % 2)
    original, again, other = save("one.keras", 1.0), save("again.keras", 1.0), save("other.keras", 1.5)
    # The same weights, but other bytes: a zip keeps the time.
    again.write_bytes(again.read_bytes() + b"\0")
    data = ("--data", tmp_path / "data.npz")
    asked = ("--format", "openvino", "--precision", "int8", "--max-drop", "50", "--json")
    done = run("export", original, *asked, *data, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    artifact = Path(json.loads(done.stdout)[0]["artifact"])
    for against in (original, again):
        done = run("verify", artifact, "--against", against, *data)
        assert done.exit_code == 0 and "PASSED" in done.stdout, done.output
    assert "saved again" in done.stderr
    done = run("verify", artifact, "--against", other, *data)
    assert done.exit_code == 3 and "PASSED" not in done.stdout, done.output
    assert "max_abs_diff_to_exported_model" in done.stdout and "it is another model" in done.stderr
    assert "other.keras is not the original of this artifact; name that: --against" in done.stderr
    payload = run("verify", artifact / "model.xml", "--against", again, *data)
    assert payload.exit_code == 0 and "top1_agreement_to_other_model" in payload.stdout, payload.output


def test_a_model_without_labels_is_named_by_its_data(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(image))
    keras.Model(image, x).save(tmp_path / "tiny.keras")
    rng = np.random.default_rng(0)
    for label in ("Ankle boot", "Bag"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "photos" / label / f"{i}.png")
    model, out = tmp_path / "tiny.keras", ("--out", tmp_path / "out", "--force")
    with_data = run("export", model, "--data", tmp_path / "photos", *out, "--json")
    assert with_data.exit_code == 0, with_data.output
    assert "the names and the order of photos: Ankle boot, Bag" in with_data.stderr
    folder = Path(json.loads(with_data.stdout)[0]["artifact"])
    assert json.loads((folder / "edgefm.json").read_text())["labels"] == ["Ankle boot", "Bag"]
    alone = run("export", model, *out, "--json")
    assert alone.exit_code == 0, alone.output
    assert "class_0 to class_1" in alone.stderr and "64 random images" in alone.stderr
    assert json.loads(alone.stdout)[0]["parity"]["top1_agreement"] == 1.0
