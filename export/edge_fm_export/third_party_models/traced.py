"""A third-party model as one TensorFlow graph, in which values between its layers can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.third_party_models.input_layout import ModelInput
from edge_fm_runtime.engines.batches import split_batches

Floats = npt.NDArray[np.float32]

_WEIGHTED = {
    "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2",
    "DepthwiseConv2dNative", "Einsum", "MatMul",
}  # fmt: skip
# A recurrent layer's loop walks through such a list of its inputs.
_LISTS = {"TensorListFromTensor"}
# These hide what they do.
_OPAQUE = {
    "Case", "If", "PartitionedCall", "StatefulPartitionedCall", "StatelessCase", "StatelessIf", "StatelessWhile",
    "While",
}  # fmt: skip
_UNCHANGED = {
    "Identity",
    "IdentityN",
    "Cast",
    "Reshape",
    "Squeeze",
    "ExpandDims",
    "StopGradient",
    "PlaceholderWithDefault",
}
_FINAL = {"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh"}
_FEATURES = {
    "AvgPool": "a pooling layer",
    "FusedBatchNormV3": "a batch normalization",
    "Max": "a pooling layer",
    "MaxPool": "a pooling layer",
    "Mean": "a pooling layer",
    "Relu": "a ReLU",
    "Relu6": "a ReLU",
}
_LINEAR = {*_WEIGHTED, "Add", "AddV2", "BiasAdd", "LogSoftmax", "Relu"}


class TracedModel:
    """The graph of a Keras model.

    Attributes:
        activation: "softmax", "sigmoid", "tanh", "linear" (also for ReLU and the logarithm of a softmax, which are no
            probabilities), or None where the last operation is something else.
        ends_in: what the graph ends in, where that makes features as a rule, such as a pooling layer; otherwise None.
    """

    def __init__(self, model: Any, taken: ModelInput) -> None:
        tf, keras = require_tensorflow("opening a Keras model")

        def call(values: Any) -> Any:
            (output,) = keras.tree.flatten(model(values, training=False))
            return tf.identity(output)

        with quiet():
            self._function = tf.compat.v1.wrap_function(call, [tf.TensorSpec((taken.batch, *taken.shape), taken.dtype)])
        self._taken = taken
        self._input = self._function.inputs[0]
        output = self._function.outputs[0]
        self.activation, self._last = _final(output)
        self.ends_in = _FEATURES.get(_before_unchanged(output).op.type)
        self._first = _first_values(self._input, self._function.graph)

    def first_values(self, images: Floats) -> list[Floats]:
        """What reaches the first layers with weights, for `images` `[N,H,W,C]`; nothing where that cannot be seen."""
        return self._run(self._first, images)

    def logits(self, images: Floats) -> Floats:
        """The values before a final softmax or sigmoid, for `images` `[N,H,W,C]`."""
        return self._run([self._last], images)[0].reshape(len(images), -1)

    def _run(self, tensors: Sequence[Any], images: Floats) -> list[Floats]:
        tf, _ = require_tensorflow("opening a Keras model")
        if not tensors:
            return []
        run = self._function.prune(self._input, list(tensors))
        found: list[list[Floats]] = [[] for _ in tensors]
        for batch, count in split_batches(images, self._taken.batch or len(images), pad=True):
            with quiet():
                values = run(tf.cast(batch.reshape(-1, *self._taken.shape), self._taken.dtype))
            for parts, value in zip(found, values, strict=True):
                parts.append(np.asarray(tf.cast(value, "float32"))[:count])
        return [np.concatenate(parts) for parts in found]


def _before_unchanged(tensor: Any) -> Any:
    """The tensor whose values arrive in `tensor` unchanged but for their type and shape."""
    while tensor.op.type in _UNCHANGED:
        tensor = tensor.op.inputs[tensor.value_index if tensor.op.type == "IdentityN" else 0]
    return tensor


def _final(output: Any) -> tuple[str | None, Any]:
    """The activation that ends the graph, and the tensor before it."""
    tensor = _before_unchanged(output)
    kind = tensor.op.type
    if kind in _FINAL:
        return _FINAL[kind], tensor.op.inputs[0]
    return ("linear" if kind in _LINEAR else None), output


def _first_values(source: Any, graph: Any) -> list[Any]:
    """The float tensors that come from the input and meet weights for the first time."""
    reached = {source.ref()}
    first: dict[Any, Any] = {}
    for operation in graph.get_operations():
        inputs = [tensor for tensor in operation.inputs if tensor.ref() in reached]
        if not inputs:
            continue
        if operation.type in _OPAQUE and not first:
            return []
        if operation.type in _WEIGHTED or operation.type in _LISTS or operation.type in _OPAQUE:
            first |= {tensor.ref(): tensor for tensor in inputs if tensor.dtype.is_floating}
        else:
            reached.update(tensor.ref() for tensor in operation.outputs)
    return list(first.values())
