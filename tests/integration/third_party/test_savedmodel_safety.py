"""A SavedModel that does more than compute is refused before TensorFlow loads it, as a model and as an artifact."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.engines.savedmodel_engine import SavedModelEngine
from edge_fm_export.savedmodel.safety import require_safe_graph
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.files import hash_file, list_files
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, dump_metadata
from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.errors import EngineError, ModelError

if TYPE_CHECKING:
    from conftest import Exported

SHAPE = (8, 8, 3)
tf, keras = require_tensorflow("the tests")
raw = tf.raw_ops
Effect = Callable[[Any, str], object]


def net(*layers: Any, shape: tuple[int, int, int] = SHAPE) -> Any:
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input(shape), *layers, *head])


def save_with(effect: Effect, folder: Path, file: Path, *, dtype: Any = tf.float32) -> None:
    """Write a classifier whose signature also has `effect` on `file`."""

    class Net(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), dtype, name="image")], autograph=False)  # type: ignore[untyped-decorator]
        def __call__(self, image: Any) -> Any:
            effect(image, str(file))
            return {"probabilities": tf.nn.softmax(tf.reduce_mean(tf.cast(image, tf.float32), axis=(1, 2)))}

    module = Net()
    with quiet():
        tf.saved_model.save(module, str(folder), signatures=module.__call__.get_concrete_function())


def counted(dataset: Any) -> object:
    return dataset.reduce(0, lambda count, _: count + 1)


EFFECTS: dict[str, tuple[str, Effect]] = {
    "write": ("WriteFile", lambda x, file: tf.io.write_file(file, "x")),
    "write in a branch": (
        "WriteFile",
        lambda x, file: tf.cond(tf.size(x) > 0, lambda: tf.io.write_file(file, "x"), tf.no_op),
    ),
    "read": ("ReadFile", lambda x, file: tf.io.read_file(file)),
    "print to a file": ("PrintV2", lambda x, file: tf.print("x", output_stream=f"file://{file}")),
    "save a checkpoint": (
        "SaveV2",
        lambda x, file: raw.SaveV2(prefix=file, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1)]),
    ),
    "restore a checkpoint": (
        "RestoreV2",
        lambda x, file: raw.RestoreV2(prefix=file, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]),
    ),
    "merge checkpoints": (
        "MergeV2Checkpoints",
        lambda x, file: raw.MergeV2Checkpoints(checkpoint_prefixes=[file], destination_prefix=file),
    ),
    "cache a dataset": ("CacheDatasetV2", lambda x, file: counted(tf.data.Dataset.range(2).cache(file))),
    "read lines": ("TextLineDataset", lambda x, file: counted(tf.data.TextLineDataset(file))),
    "write a summary": (
        "CreateSummaryFileWriter",
        lambda x, file: raw.CreateSummaryFileWriter(
            writer=raw.SummaryWriter(), logdir=file, max_queue=1, flush_millis=1, filename_suffix="x"
        ),
    ),
    "map a file": (
        "ImmutableConst",
        lambda x, file: raw.ImmutableConst(dtype=tf.float32, shape=[1], memory_region_name=file),
    ),
    "dump a tensor": ("DebugIdentityV2", lambda x, file: raw.DebugIdentityV2(input=x, debug_urls=[f"file://{file}"])),
    "list files": ("MatchingFiles", lambda x, file: raw.MatchingFiles(pattern=file)),
}


@pytest.mark.parametrize("name", EFFECTS)
def test_an_operator_that_touches_files_is_refused(name: str, tmp_path: Path) -> None:
    operator, effect = EFFECTS[name]
    save_with(effect, tmp_path / "net", tmp_path / "witness")
    with pytest.raises(ModelError, match=operator) as caught:
        require_safe_graph(tmp_path / "net")
    assert "--trust" in str(caught.value.hint)
    require_safe_graph(tmp_path / "net", trust=True)


def test_a_table_that_reads_a_file_when_it_is_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")

    class Net(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            words = tf.lookup.TextFileInitializer(
                str(tmp_path / "words.txt"),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )
            self.table = tf.lookup.StaticHashTable(words, -1)

        @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE), tf.float32)], autograph=False)  # type: ignore[untyped-decorator]
        def __call__(self, image: Any) -> Any:
            shift = tf.cast(self.table.lookup(tf.constant("b")), tf.float32)
            return tf.nn.softmax(tf.reduce_mean(image, axis=(1, 2)) + shift)

    with quiet():
        tf.saved_model.save(Net(), str(tmp_path / "net"))
    with pytest.raises(ModelError, match="InitializeTableFromTextFileV2"):
        require_safe_graph(tmp_path / "net")


@pytest.mark.parametrize("name", ["../../words.txt", "/etc/hostname", "link.txt"])
def test_an_asset_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    folder = tmp_path / "net"
    with quiet():
        net().export(str(folder), verbose=False)
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "link.txt").symlink_to("/etc/hostname")
    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    message.meta_graphs[0].asset_file_def.add(filename=name)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(ModelError, match="outside its folder"):
        require_safe_graph(folder, trust=True)


@pytest.mark.parametrize("name", ["saved_model.cpb", "saved_model.pbtxt"])
def test_a_second_graph_that_was_not_checked_is_refused(name: str, tmp_path: Path) -> None:
    with quiet():
        net().export(str(tmp_path / "net"), verbose=False)
    (tmp_path / "net" / name).write_bytes(b"")
    with pytest.raises(ModelError, match=name):
        require_safe_graph(tmp_path / "net")


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "convolutions and augmentation": lambda: net(
        keras.layers.RandomFlip(),
        keras.layers.RandomRotation(0.1),
        keras.layers.RandomZoom(0.1),
        keras.layers.RandomContrast(0.1),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.DepthwiseConv2D(3),
        keras.layers.Dropout(0.2),
    ),
    "recurrent": lambda: keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Reshape((8, 24)),
            keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True)),
            keras.layers.GRU(4),
            keras.layers.Dense(3, activation="softmax"),
        ]
    ),
    "resizing": lambda: net(
        keras.layers.Resizing(16, 16, interpolation="bicubic"),
        keras.layers.UpSampling2D(interpolation="bilinear"),
        keras.layers.Conv2DTranspose(2, 3),
        keras.layers.ZeroPadding2D(),
    ),
    "MobileNetV3": lambda: keras.applications.MobileNetV3Small(weights=None, input_shape=(32, 32, 3), classes=3),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_with_variables_are_let_through(name: str, tmp_path: Path) -> None:
    with quiet():
        CLASSIFIERS[name]().export(str(tmp_path / "net"), verbose=False)
    require_safe_graph(tmp_path / "net")


def test_an_artifact_that_writes_a_file_is_not_loaded(exported: Exported, tmp_path: Path) -> None:
    """Its hashes are consistent, as an attacker would make them."""
    folder, witness = tmp_path / "artifact", tmp_path / "witness"
    shutil.copytree(exported("colour", Target("savedmodel", "fp32")).path, folder)
    metadata = load_artifact(folder).metadata
    shutil.rmtree(folder / "saved_model")
    save_with(EFFECTS["write"][1], folder / "saved_model" / "1", witness, dtype=tf.uint8)
    files = {name: hash_file(folder / name) for name in list_files(folder)}
    (folder / METADATA_FILE).write_text(dump_metadata(replace(metadata, files=files)), encoding="utf-8")
    artifact = load_artifact(folder)
    with pytest.raises(EngineError, match="WriteFile"):
        SavedModelEngine(artifact, EngineOptions())
    assert not witness.exists()
    loaded = tf.saved_model.load(str(folder / "saved_model" / "1"))
    loaded.signatures["serving_default"](image=tf.constant(np.zeros((1, *SHAPE), np.uint8)))
    assert witness.exists(), "the test's own model does not do what it is refused for"
