"""Weights from files: whole models', backbones' with and without the ImageNet classifier, and what does not fit."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_fm.data import load_dataset
from edge_fm.models import build_model
from edge_fm.models.architectures.backbones import build_backbone, imagenet_file
from edge_fm.training.distillation.distillation import load_teachers
from edge_fm.training.optimization.initial_weights import load_weights
from edge_fm.training.recipe import DistillationPart
from edge_fm_export.sources import load_source
from edge_fm_runtime.errors import ModelError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

NAME, OPTIONS = "mobilenet-v2", {"alpha": 0.05, "size": 32}
REAL = os.environ.get("EDGEFM_TEST_WEIGHTS")
real = pytest.mark.skipif(REAL is None, reason="EDGEFM_TEST_WEIGHTS names no folder of real weights")


def fresh(**options: Any) -> Any:
    return build_model(NAME, input_shape=(28, 28, 1), classes=3, **{**OPTIONS, **options})


def backbone(*, top: bool = False, alpha: float = 0.05) -> Any:
    model = build_backbone(NAME, side=32, alpha=alpha, top=top)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


def legacy(model: Any, path: Path) -> None:
    """Write the format of the files that keras.applications downloads."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def assert_taken(model: Any, source: Any) -> None:
    """Whether each layer of `model` that `source` has too has its weights."""
    names = {layer.name for layer in model.layers if layer.weights}
    shared = [layer for layer in source.layers if layer.weights and layer.name in names]
    assert len(shared) > 100
    for layer in shared:
        for ours, theirs in zip(model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "w.weights.h5": lambda model, path: model.save_weights(path),
    "w.h5": legacy,
    "w.keras": lambda model, path: model.save(path),
}


@pytest.mark.parametrize("file", WRITERS)
def test_a_backbone_alone(file: str, tmp_path: Path) -> None:
    source, model = backbone(), fresh()
    WRITERS[file](source, tmp_path / file)
    head = model.get_layer("logits").get_weights()
    note = load_weights(model, str(tmp_path / file), name=NAME, options=OPTIONS)
    assert note is not None and "backbone" in note and "classifier" not in note
    assert_taken(model, source)
    for ours, before in zip(model.get_layer("logits").get_weights(), head, strict=True):
        np.testing.assert_array_equal(ours, before)


@pytest.mark.parametrize("file", ["w.weights.h5", "w.h5"])
def test_a_backbone_with_its_classifier(file: str, tmp_path: Path) -> None:
    source, model = backbone(top=True), fresh()
    WRITERS[file](source, tmp_path / file)
    note = load_weights(model, str(tmp_path / file), name=NAME, options=OPTIONS)
    assert note is not None and "its ImageNet classifier left out" in note
    assert_taken(model, source)


@pytest.mark.parametrize("file", WRITERS)
def test_a_whole_model(file: str, tmp_path: Path) -> None:
    source, model = fresh(), fresh()
    WRITERS[file](source, tmp_path / file)
    assert load_weights(model, str(tmp_path / file), name=NAME, options=OPTIONS) is None
    for ours, theirs in zip(model.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_imagenet_comes_from_keras_own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    options = {"alpha": 0.35, "size": 96}
    source = build_backbone(NAME, side=96, alpha=0.35)
    (tmp_path / "models").mkdir()
    legacy(source, tmp_path / "models" / imagenet_file(NAME, side=96, alpha=0.35).name)
    model = fresh(**options)
    note = load_weights(model, "imagenet", name=NAME, options=options)
    assert note is not None and "_0.35_96_no_top.h5" in note
    assert_taken(model, source)


def test_resnet18_has_keras_hubs_layers_in_its_order() -> None:
    # The order of the convolutions and normalizations decides which of a file's arrays goes where. It was held against
    # keras-hub 0.32's resnet_18 network with random weights: same file, same predictions.
    model = build_backbone("resnet18", side=32)
    kinds = [
        (layer.kernel.shape[0], layer.strides[0], layer.filters)
        for layer in model.layers
        if type(layer).__name__ == "Conv2D"
    ]
    plain = [(3, 1)] * 2
    stage = [(3, 2), (1, 2), (3, 1), *plain]
    expected = [(7, 2, 64), *((k, s, 64) for k, s in plain + plain)]
    expected += [(k, s, width) for width in (128, 256, 512) for k, s in stage]
    assert kinds == expected
    assert model.count_params() == 11_186_112  # as keras-hub says of its preset


@pytest.mark.parametrize("name", [NAME, "cnn3"])
@pytest.mark.parametrize("file", WRITERS)
def test_a_file_of_another_model_is_refused_with_shapes(name: str, file: str, tmp_path: Path) -> None:
    WRITERS[file](backbone(alpha=0.35), tmp_path / file)
    options = OPTIONS if name == NAME else {}
    model = build_model(name, input_shape=(28, 28, 1), classes=3, **options)
    before = model.get_weights()
    with pytest.raises(ModelError, match="fit") as caught:
        load_weights(model, str(tmp_path / file), name=name, options=options)
    assert "260 weights" in str(caught.value) and "the model alone has" in str(caught.value)
    assert "the file alone has" in str(caught.value)
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("w.h5", b"\x89HDF\r\n\x1a\n cut off", "not an HDF5 file, or not a whole one"),
        ("w.weights.h5", b"text", "not an HDF5 file"),
        ("w.keras", b"text", "is not a readable .keras file"),
        ("w.keras", b"PK\x05\x06" + bytes(18), "is not a readable .keras file"),
        ("w.pt", b"text", "Supported: none, imagenet"),
        ("w.pth", b"text", "is a PyTorch state dict, which is read for efficientnet-lite0"),
        ("gone.h5", None, "There is no file"),
    ],
)
def test_files_that_are_none(name: str, content: bytes | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=says):
        load_weights(fresh(), str(tmp_path / name), name=NAME, options=OPTIONS)


@real
def test_real_weights_tell_garments_apart() -> None:
    from edge_fm.data import load_dataset

    train = load_dataset("fashion-mnist-mini").train
    model = build_model(NAME, input_shape=(28, 28, 1), classes=10, alpha=0.35)
    file = Path(str(REAL)) / "mobilenet_v2_0.35_imagenet_no_top.weights.h5"
    assert load_weights(model, str(file), name=NAME, options={"alpha": 0.35})
    import keras

    features = keras.Model(model.inputs, model.get_layer("features").output).predict(train.images[:600], verbose=0)
    # Nearest class mean of the first half, on the second.
    centres = np.stack([features[:300][train.labels[:300] == c].mean(axis=0) for c in range(10)])
    nearest = ((features[300:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == train.labels[300:600]).mean() > 0.6


@real
def test_real_weights_with_their_classifier() -> None:
    model = build_model("mobilenet", input_shape=(28, 28, 1), classes=10, alpha=0.25)
    file = Path(str(REAL)) / "mobilenet_v1_0.25_imagenet.weights.h5"
    note = load_weights(model, str(file), name="mobilenet", options={"alpha": 0.25})
    assert note is not None and "its ImageNet classifier left out" in note


@pytest.mark.parametrize("reader", ["weights", "teacher", "run"])
def test_a_file_with_code_or_classes_of_its_own_is_refused_unread(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, teachers and runs come from other people as models do; nothing that they name is imported."""
    plain, mark = tmp_path / "plain.keras", tmp_path / "ran"
    build_model("edgenet-n", input_shape=(12, 14, 1), classes=3).save(plain)
    (tmp_path / "strange_layers.py").write_text(
        f"open({str(mark)!r}, 'w').close()\nimport keras\nclass Strange(keras.layers.Activation): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    own = {"module": "strange_layers", "class_name": "Strange", "registered_name": "Package>Strange"}
    graph = {"module": "keras.layers", "class_name": "TFSMLayer", "registered_name": None}
    code = {"module": "keras.layers", "class_name": "Lambda", "registered_name": None}
    function = {"module": "strange_layers", "class_name": "function", "config": "run", "registered_name": "run"}
    for number, (changed, says) in enumerate(
        (
            (own, "layers of its own, whose code is not in the file: Strange"),
            (graph, "loads another program"),
            (code, "Python code in a Lambda layer"),
            ({"config": {"name": "x", "activation": function}}, "code is not in the file: run"),
        )
    ):
        file = tmp_path / f"{reader}-{number}" / "model.keras"
        file.parent.mkdir()
        with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                if entry.filename == "config.json":
                    config = json.loads(content)
                    config["config"]["layers"][-1].update(changed)
                    content = json.dumps(config).encode()
                new.writestr(entry, content)
        (file.parent / "metrics.json").write_text('{"model": "m", "labels": ["a", "b", "c"]}')
        with pytest.raises(ModelError, match=says) as caught:
            if reader == "weights":
                load_weights(build_model("edgenet-n", input_shape=(12, 14, 1), classes=3), str(file))
            elif reader == "teacher":
                load_teachers(DistillationPart(teacher=(str(file),)), load_dataset("fashion-mnist-mini"))
            else:
                load_source(file.parent)
        assert "--trust" not in (caught.value.hint or "")
        assert not mark.exists()
