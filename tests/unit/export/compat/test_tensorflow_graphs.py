"""Frozen and inlined graphs by TensorFlow's internals; the tests of what is missing fail when it is no longer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_fm_export.compat import tensorflow_graphs
from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow

pytestmark = pytest.mark.needs("tensorflow")
_CALLS = {"PartitionedCall", "StatefulPartitionedCall"}


@pytest.fixture(scope="module")
def layer() -> Any:
    """A grouped convolution, which Keras compiles with XLA on CPUs."""
    _, keras = require_tensorflow("the tests")
    convolution = keras.layers.Conv2D(4, 3, groups=2)
    convolution.build((None, 8, 8, 4))
    return convolution


@pytest.fixture(scope="module")
def traced(layer: Any) -> Any:
    """Its concrete function. It refers to the variables weakly: the fixture `layer` keeps them for all tests."""
    tf, _ = require_tensorflow("the tests")
    function = tf.function(lambda image: {"y": layer(image)}, autograph=False)
    with quiet():
        return function.get_concrete_function(tf.TensorSpec((1, 8, 8, 4), tf.float32, name="image"))


def test_a_frozen_function_has_no_variables_and_the_same_result(traced: Any) -> None:
    image = np.random.default_rng(0).random((1, 8, 8, 4), np.float32)
    frozen = tensorflow_graphs.freeze_variables(traced)
    assert len(traced.variables) == 2
    assert not {node.op for node in frozen.graph.as_graph_def().node} & {"ReadVariableOp", "VarHandleOp"}
    tf, _ = require_tensorflow("the tests")
    (result,) = frozen(tf.constant(image))
    np.testing.assert_allclose(result, traced(tf.constant(image))["y"], rtol=1e-5)


def test_functions_that_keras_compiles_are_inlined(traced: Any) -> None:
    frozen = tensorflow_graphs.freeze_variables(traced)
    graph_def = frozen.graph.as_graph_def()
    assert {node.op for node in graph_def.node} & _CALLS, "inline_functions can go: Keras compiles no function here"
    before = graph_def.SerializeToString(deterministic=True)
    output = frozen.outputs[0].op.name
    inlined = tensorflow_graphs.inline_functions(graph_def, inputs=["image"], outputs=[output])
    assert graph_def.SerializeToString(deterministic=True) == before
    operators = {node.op for node in inlined.node}
    assert "Conv2D" in operators and not operators & _CALLS
    assert tensorflow_graphs.inline_functions(inlined, inputs=["image"], outputs=[output]) is inlined


def test_the_functions_of_a_graph_know_their_shapes(traced: Any) -> None:
    calls = [o.get_attr("f").name for o in traced.graph.get_operations() if o.type in _CALLS]
    functions = tensorflow_graphs.functions_of(traced.graph)
    (convolution,) = [o for name in calls for o in functions[name].get_operations() if o.type == "Conv2D"]
    assert convolution.outputs[0].shape == (1, 6, 6, 4)


def test_a_saved_model_is_read(tmp_path: Any) -> None:
    tf, _ = require_tensorflow("the tests")
    tf.saved_model.save(tf.Module(), tmp_path)
    message = tensorflow_graphs.saved_model_message()
    message.ParseFromString((tmp_path / "saved_model.pb").read_bytes())
    assert len(message.meta_graphs) == 1


def test_operators_are_told_from_other_names() -> None:
    assert tensorflow_graphs.is_operator("Conv2D")
    assert tensorflow_graphs.is_operator("_Arg")
    assert not tensorflow_graphs.is_operator("__inference_call_1")


def test_tensorflow_still_has_no_public_names_for_them() -> None:
    tf, _ = require_tensorflow("the tests")
    assert not hasattr(tf.raw_ops, "_Arg"), "is_operator can ask tf.raw_ops"
    assert not hasattr(tf.compat.v1, "SavedModel"), "saved_model_message can use tf.compat.v1.SavedModel"
