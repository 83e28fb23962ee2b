"""The operators that TensorFlow Lite Micro has kernels for, and the layers of a model that need others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edge_fm_export.litert.model_file import operator_name
from edge_fm_export.quantization.explanation.layer_names import LayerNames
from edge_fm_runtime.errors import ExportError

ADD_METHODS: dict[str, str] = {
    "ABS": "Abs",
    "ADD": "Add",
    "ADD_N": "AddN",
    "ARG_MAX": "ArgMax",
    "ARG_MIN": "ArgMin",
    "AVERAGE_POOL_2D": "AveragePool2D",
    "BATCH_MATMUL": "BatchMatMul",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNd",
    "BROADCAST_ARGS": "BroadcastArgs",
    "BROADCAST_TO": "BroadcastTo",
    "CAST": "Cast",
    "CEIL": "Ceil",
    "CONCATENATION": "Concatenation",
    "CONV_2D": "Conv2D",
    "COS": "Cos",
    "CUMSUM": "CumSum",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "DEPTH_TO_SPACE": "DepthToSpace",
    "DEQUANTIZE": "Dequantize",
    "DIV": "Div",
    "ELU": "Elu",
    "EQUAL": "Equal",
    "EXP": "Exp",
    "EXPAND_DIMS": "ExpandDims",
    "FILL": "Fill",
    "FLOOR": "Floor",
    "FLOOR_DIV": "FloorDiv",
    "FLOOR_MOD": "FloorMod",
    "FULLY_CONNECTED": "FullyConnected",
    "GATHER": "Gather",
    "GATHER_ND": "GatherNd",
    "GREATER": "Greater",
    "GREATER_EQUAL": "GreaterEqual",
    "HARD_SWISH": "HardSwish",
    "L2_NORMALIZATION": "L2Normalization",
    "L2_POOL_2D": "L2Pool2D",
    "LEAKY_RELU": "LeakyRelu",
    "LESS": "Less",
    "LESS_EQUAL": "LessEqual",
    "LOG": "Log",
    "LOGICAL_AND": "LogicalAnd",
    "LOGICAL_NOT": "LogicalNot",
    "LOGICAL_OR": "LogicalOr",
    "LOGISTIC": "Logistic",
    "LOG_SOFTMAX": "LogSoftmax",
    "MAXIMUM": "Maximum",
    "MAX_POOL_2D": "MaxPool2D",
    "MEAN": "Mean",
    "MINIMUM": "Minimum",
    "MIRROR_PAD": "MirrorPad",
    "MUL": "Mul",
    "NEG": "Neg",
    "NOT_EQUAL": "NotEqual",
    "PACK": "Pack",
    "PAD": "Pad",
    "PADV2": "PadV2",
    "PRELU": "Prelu",
    "QUANTIZE": "Quantize",
    "REDUCE_MAX": "ReduceMax",
    "RELU": "Relu",
    "RELU6": "Relu6",
    "RESHAPE": "Reshape",
    "RESIZE_BILINEAR": "ResizeBilinear",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighbor",
    "ROUND": "Round",
    "RSQRT": "Rsqrt",
    "SELECT_V2": "SelectV2",
    "SHAPE": "Shape",
    "SIN": "Sin",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNd",
    "SPACE_TO_DEPTH": "SpaceToDepth",
    "SPLIT": "Split",
    "SPLIT_V": "SplitV",
    "SQRT": "Sqrt",
    "SQUARE": "Square",
    "SQUARED_DIFFERENCE": "SquaredDifference",
    "SQUEEZE": "Squeeze",
    "STRIDED_SLICE": "StridedSlice",
    "SUB": "Sub",
    "SUM": "Sum",
    "SVDF": "Svdf",
    "TANH": "Tanh",
    "TRANSPOSE": "Transpose",
    "TRANSPOSE_CONV": "TransposeConv",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "UNPACK": "Unpack",
    "ZEROS_LIKE": "ZerosLike",
}
"""Operator -> the end of the name of the method of `MicroMutableOpResolver` that adds its kernel, as `Conv2D` of
`AddConv2D`. Those that the interpreter of the package tflite-micro has (`python/tflite_micro/python_ops_resolver.cc`
of tflite-micro), less control flow, variables and signal processing."""


def operators_of(model: Any) -> tuple[str, ...]:
    """Names of the operators of a model of `model_file.read_model`, each once, in the order of the alphabet."""
    return tuple(sorted({operator_name(model, o) for graph in model.subgraphs for o in graph.operators}))


def require_operators(model: Any, keras_model: Any) -> None:
    """Raise unless TFLM has kernels for all operators.

    Args:
        model: as from `model_file.read_model`, of one subgraph or more.
        keras_model: what it was made from, whose layers the error names.

    Raises:
        ExportError: names each operator without a kernel and the layers that need it.
    """
    if len(model.subgraphs) > 1:
        raise ExportError(
            "TensorFlow Lite Micro runs models of one graph here; this one has control flow (a recurrent layer that is "
            "not unrolled, or a loop).",
            hint="Build recurrent layers with unroll=True, or use --format litert.",
        )
    missing: dict[str, list[str]] = {}
    for operator in model.subgraphs[0].operators:
        kind = operator_name(model, operator)
        if kind not in ADD_METHODS:
            missing.setdefault(kind, []).append(layer_of(model, operator, keras_model))
    if missing:
        needs = "; ".join(f"{kind} (layer {_some(layers)})" for kind, layers in sorted(missing.items()))
        raise ExportError(
            f"TensorFlow Lite Micro has no kernel for {needs}.",
            hint="Replace the layer, such as GELU by ReLU, and train again; or use --format litert.",
        )


def layer_of(model: Any, operator: Any, keras_model: Any) -> str:
    """The Keras layer that an operator came from; the name of its result where no layer has such a name."""
    tensor = model.subgraphs[0].tensors[int(operator.outputs[0])]
    name = (tensor.name or b"").decode("utf-8", "replace")
    return LayerNames(keras_model).of(name) or name or "unknown"


def _some(layers: Iterable[str]) -> str:
    names = list(dict.fromkeys(layers))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
