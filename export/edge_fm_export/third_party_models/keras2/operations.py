"""TensorFlow functions that Keras 2 recorded as layers (`x / 255` is a TFOpLambda layer named tf.math.truediv)."""

from __future__ import annotations

from functools import cache
from typing import Any

from edge_fm_export.compat.tensorflow_setup import import_keras

LAYERS = ("TFOpLambda", "SlicingOpLambda")
"""Class names of Keras 2's layers around one TensorFlow function."""
CLASS_NAME = "TensorFlowFunction"
REGISTERED_NAME = f"edgefm>{CLASS_NAME}"
FIRST = "first_argument"
"""Keyword of a function's first argument where that is a constant, as in `1 - x`."""
HARD_SIGMOID = "edgefm>keras2_hard_sigmoid"

_MATH = (
    "abs add ceil cos divide equal erf exp floor greater greater_equal less less_equal log log1p logical_and "
    "logical_not logical_or maximum minimum mod multiply negative not_equal pow reciprocal reduce_max reduce_mean "
    "reduce_min reduce_prod reduce_sum reduce_std reduce_variance round rsqrt sigmoid sign sin softmax softplus "
    "softsign sqrt square squared_difference subtract tanh truediv floordiv l2_normalize divide_no_nan cumsum argmax "
    "argmin reduce_any reduce_all reduce_euclidean_norm reduce_logsumexp multiply_no_nan top_k"
)
_NN = (
    "avg_pool avg_pool2d bias_add depth_to_space elu gelu l2_normalize leaky_relu log_softmax max_pool max_pool2d "
    "moments relu relu6 selu sigmoid silu softmax softplus softsign space_to_depth swish tanh avg_pool3d "
    "batch_normalization local_response_normalization max_pool3d"
)
_PLAIN = (
    "broadcast_to cast clip_by_value concat expand_dims gather identity pad repeat reshape reverse shape split "
    "squeeze stack stop_gradient tile transpose unstack where zeros_like ones_like matmul einsum tensordot fill "
    "argsort gather_nd norm one_hot range rank roll size slice sort strided_slice"
)
_IMAGE = (
    "adjust_brightness adjust_contrast adjust_gamma adjust_saturation central_crop convert_image_dtype "
    "crop_to_bounding_box extract_patches flip_left_right flip_up_down grayscale_to_rgb hsv_to_rgb "
    "pad_to_bounding_box per_image_standardization resize resize_with_crop_or_pad resize_with_pad rgb_to_grayscale "
    "rgb_to_hsv rgb_to_yiq rgb_to_yuv rot90 transpose yiq_to_rgb yuv_to_rgb"
)
_OPERATORS = {
    "__operators__.add": "add", "__operators__.radd": "radd", "__operators__.eq": "equal",
    "__operators__.ne": "not_equal", "math.divide": "divide",
}  # fmt: skip
_LINALG = "einsum l2_normalize matmul matrix_transpose norm normalize"
_GETITEM = "__operators__.getitem"

_NAMES = (
    *(f"math.{name}" for name in _MATH.split()),
    *(f"nn.{name}" for name in _NN.split()),
    *(f"image.{name}" for name in _IMAGE.split()),
    *(f"linalg.{name}" for name in _LINALG.split()),
    *_PLAIN.split(),
)
FUNCTIONS = frozenset({*_NAMES, *(f"compat.v1.{name}" for name in _NAMES), *_OPERATORS, _GETITEM})
"""The functions that are run: each is pure arithmetic on tensors, or changes their shape."""


@cache
def function_layer() -> Any:
    """The Keras layer class that calls one of `FUNCTIONS` by its name."""
    keras = import_keras()
    import tensorflow as tf

    class TensorFlowFunction(keras.layers.Layer):  # type: ignore[name-defined,misc]
        """Calls a TensorFlow function, as Keras 2's TFOpLambda did: without casting its inputs."""

        def __init__(self, function: str, constants: dict[str, Any], **kwargs: Any) -> None:
            super().__init__(autocast=False, **kwargs)
            if function not in FUNCTIONS:
                raise ValueError(f"{function} is not among the functions that may run.")
            self.function, self.constants = function, dict(constants)

        def call(self, *args: Any, **kwargs: Any) -> Any:
            kwargs = self.constants | kwargs
            if FIRST in kwargs:
                args = (kwargs.pop(FIRST), *args)
            if self.function == _GETITEM:
                return args[0][_index(kwargs.get("slice_spec", args[1] if len(args) > 1 else ()))]
            if self.function == "__operators__.radd":
                return tf.add(args[1] if len(args) > 1 else kwargs["y"], args[0])
            target: Any = tf
            for part in _OPERATORS.get(self.function, self.function).split("."):
                target = getattr(target, part)
            return target(*args, **kwargs)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "function": self.function, "constants": self.constants}

    return TensorFlowFunction


def custom_objects() -> dict[str, Any]:
    """What a rewritten description may name, as keras.saving.custom_object_scope takes it."""
    return {REGISTERED_NAME: function_layer(), HARD_SIGMOID: hard_sigmoid}


def hard_sigmoid(x: Any) -> Any:
    """Keras 2's piecewise linear sigmoid, clip(0.2 x + 0.5, 0, 1); that of Keras 3 has the slope 1/6."""
    keras = import_keras()

    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _index(spec: Any) -> Any:
    """A Python index from the JSON of a slice: {"start": None, "stop": 3, "step": None}, numbers, "..." and None."""
    if isinstance(spec, dict) and spec.get("class_name") == "__ellipsis__":
        return Ellipsis
    if isinstance(spec, dict):
        return slice(spec.get("start"), spec.get("stop"), spec.get("step"))
    if isinstance(spec, list | tuple):
        return tuple(_index(part) for part in spec)
    return Ellipsis if isinstance(spec, str) and spec in ("...", "Ellipsis") else spec
