"""What TensorFlow runs of a SavedModel while it only loads it, and what it would wait for: refused before that."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.savedmodel.safety import require_safe_graph
from edge_fm_runtime.errors import ModelError

SHAPE = (8, 8, 3)
tf, keras = require_tensorflow("the tests")


def export_net(folder: Path) -> None:
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    with quiet():
        keras.Sequential([keras.Input(SHAPE), *head]).export(str(folder), verbose=False)


def save_version_1(folder: Path, change: Callable[[Any], object] = lambda meta: None) -> None:
    """Write a classifier as TensorFlow 1 did, whose saver TensorFlow runs when it loads it."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        image = v1.placeholder(tf.float32, [None, *SHAPE], name="image")
        weights = v1.get_variable("weights", shape=[3, 3], use_resource=True)
        probabilities = tf.nn.softmax(tf.linalg.matmul(tf.reduce_mean(image, axis=(1, 2)), weights))
        session.run(v1.global_variables_initializer())
        with quiet():
            v1.saved_model.simple_save(session, str(folder), {"image": image}, {"probabilities": probabilities})
    change_graph(folder, change)


def change_graph(folder: Path, change: Callable[[Any], object]) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    change(message.meta_graphs[0])
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())


def add_node(nodes: Any, name: str, operator: str, inputs: list[str], **attributes: Any) -> None:
    node = nodes.add(name=name, op=operator, input=inputs)
    for key, value in attributes.items():
        node.attr[key].CopyFrom(value)


def add_text(nodes: Any, name: str, value: Any) -> None:
    tensor = tf.make_tensor_proto(value)
    attribute = tf.compat.v1.AttrValue
    add_node(nodes, name, "Const", [], value=attribute(tensor=tensor), dtype=attribute(type=tensor.dtype))


def write_before(nodes: Any, name: str, file: Path) -> None:
    """Have a node of a graph wait for a checkpoint to be written to `file`."""
    for constant, value in (("prefix", str(file)), ("names", ["a"]), ("slices", [""]), ("content", "x")):
        add_text(nodes, f"evil/{constant}", value)
    texts = tf.compat.v1.AttrValue()
    texts.list.type.append(tf.string.as_datatype_enum)
    inputs = [f"evil/{part}" for part in ("prefix", "names", "slices", "content")]
    add_node(nodes, "evil/save", "SaveV2", inputs, dtypes=texts)
    next(node for node in nodes if node.name == name).input.append("^evil/save")


def test_a_model_of_version_1_that_writes_when_it_is_restored_is_refused(tmp_path: Path) -> None:
    """TensorFlow restores while it loads, so that nothing need be called for it."""

    def change(meta: Any) -> None:
        write_before(meta.graph_def.node, meta.saver_def.restore_op_name, tmp_path / "witness")

    save_version_1(tmp_path / "net", change)
    with pytest.raises(ModelError, match="SaveV2"):
        require_safe_graph(tmp_path / "net")
    with quiet():
        tf.saved_model.load(str(tmp_path / "net"))
    assert (tmp_path / "witness.index").exists(), "the test's own model does not do what it is refused for"


def test_a_model_that_restores_from_a_file_of_its_choice_is_refused(tmp_path: Path) -> None:
    def change(meta: Any) -> None:
        add_text(meta.graph_def.node, "evil/prefix", "/home/somebody/model/variables")
        for node in meta.graph_def.node:
            if node.op == "RestoreV2":
                node.input[0] = "evil/prefix"

    save_version_1(tmp_path / "net", change)
    with pytest.raises(ModelError, match="RestoreV2 of a file that the model names"):
        require_safe_graph(tmp_path / "net")


def test_a_function_that_restores_from_a_file_of_its_choice_is_refused(tmp_path: Path) -> None:
    def change(meta: Any) -> None:
        for function in meta.graph_def.library.function:
            for node in function.node_def:
                if node.op == "RestoreV2":
                    add_text(function.node_def, "evil", "/home/somebody/model/variables")
                    node.input[0] = "evil:output:0"

    export_net(tmp_path / "net")
    require_safe_graph(tmp_path / "net")
    change_graph(tmp_path / "net", change)
    with pytest.raises(ModelError, match="RestoreV2 of a file that the model names"):
        require_safe_graph(tmp_path / "net")


def test_a_function_of_the_saver_that_an_object_names_is_refused(tmp_path: Path) -> None:
    """Loading calls the functions by which objects are initialized and restored."""

    def change(meta: Any) -> None:
        (name,) = (f.signature.name for f in meta.graph_def.library.function if "traced_save" in f.signature.name)
        meta.object_graph_def.nodes.add().function.concrete_functions.append(name)

    export_net(tmp_path / "net")
    change_graph(tmp_path / "net", change)
    with pytest.raises(ModelError, match="SaveV2"):
        require_safe_graph(tmp_path / "net")


@pytest.mark.parametrize("first", [True, False])
def test_every_one_of_two_functions_by_one_name_is_checked(first: bool, tmp_path: Path) -> None:
    def change(meta: Any) -> None:
        functions = meta.graph_def.library.function
        other = type(functions[0])()
        other.CopyFrom(functions[0])
        add_node(functions[0].node_def if first else other.node_def, "evil", "WriteFile", [])
        functions.append(other)

    export_net(tmp_path / "net")
    change_graph(tmp_path / "net", change)
    with pytest.raises(ModelError, match="WriteFile"):
        require_safe_graph(tmp_path / "net")


def test_a_function_called_like_a_refused_operator_does_not_excuse_it(tmp_path: Path) -> None:
    def change(meta: Any) -> None:
        meta.graph_def.library.function.add().signature.name = "WriteFile"
        add_node(meta.graph_def.node, "evil", "WriteFile", [])

    save_version_1(tmp_path / "net", change)
    with pytest.raises(ModelError, match="WriteFile"):
        require_safe_graph(tmp_path / "net")


def test_a_fifo_in_the_folder_is_an_error_not_a_wait(tmp_path: Path) -> None:
    for name in ("saved_model.pb", "variables/variables.index"):
        export_net(tmp_path / name / "net")
        file = tmp_path / name / "net" / name
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(ModelError, match="FIFO"):
            require_safe_graph(tmp_path / name / "net")


def test_a_graph_larger_than_any_message_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "saved_model.pb").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ModelError, match="at most 2,147,483,647"):
        require_safe_graph(tmp_path)


def test_a_classifier_of_version_1_is_let_through(tmp_path: Path) -> None:
    save_version_1(tmp_path / "net")
    require_safe_graph(tmp_path / "net")
