"""Class activation maps: what each place of the last feature map adds to the logit of each class.

Where features are pooled by their mean and a dense layer follows, the logit of a class is the sum over all places of
the products of feature map and kernel, divided by the number of places, plus a constant: these are the map (Zhou et al.
2016, "Learning Deep Features for Discriminative Localization"). It is exact, and needs no gradients. A depthwise
convolution as large as the feature map, which weighs each place, is pooling of this kind, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.keras_internals import producer
from edge_fm_export.outputs.head import Head
from edge_fm_runtime.errors import ModelError

HINT = (
    "Leave cam out of --outputs. Supported: GlobalAveragePooling2D, or a DepthwiseConv2D as large as the feature map, "
    "then Dense; or Conv2D of 1x1 pixels, then GlobalAveragePooling2D. Batch normalization may stand between."
)
_NOTHING_DONE = ("Dropout", "Identity", "Flatten", "Reshape", "Cast")
"""What leaves the pooled features of an image as they are, but for their shape."""


@dataclass(frozen=True, eq=False)
class ClassMaps:
    """How to compute class activation maps.

    Attributes:
        features: symbolic feature map `[N,h,w,channels]`, of the model in which the head lies.
        weights: float32 `[h,w,channels]` or `[1,1,channels]`: multiplied with the feature map.
        kernel: float32 `[channels,classes]`: multiplied with the result.
    """

    features: Any
    weights: npt.NDArray[np.float32]
    kernel: npt.NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and classes of the maps of an image."""
        height, width = self.features.shape[1:3]
        return int(height), int(width), self.kernel.shape[1]

    @property
    def meaning(self) -> str:
        """What the maps are, for a person."""
        name = producer(self.features)[0].name
        return (
            f"class activation maps: what each place of the feature map {name} adds to the logit of each class; "
            "their sum over all places is the logit, but for a constant"
        )

    def output(self, keras: Any, features: Any) -> Any:
        """Symbolic maps `[N,h,w,classes]` of the feature map, float32."""
        x = features if features.dtype == "float32" else keras.ops.cast(features, "float32")
        kernel = self.kernel
        if self.weights.shape[:2] == (1, 1):
            kernel = self.weights[0, 0][:, None] * kernel
        else:
            x = x * self.weights[None]
        layer = keras.layers.Conv2D(
            kernel.shape[1], 1, use_bias=False, dtype="float32", name="class_activation_maps", trainable=False
        )
        maps = layer(x)
        layer.set_weights([kernel[None, None]])
        return maps


def find_class_maps(head: Head) -> ClassMaps:
    """Find the last feature map before the head, and what leads from it to the logits.

    Raises:
        ModelError: something else than pooling stands between; names it.
    """
    kernel = np.asarray(head.layer.kernel, np.float32)
    kernel = kernel.reshape(-1, kernel.shape[-1])
    if kernel.shape[1] == 1:  # a sigmoid: of two classes, 1-p and p
        kernel = np.concatenate([-kernel, kernel], axis=1)
    tensor, scale = head.features, np.ones(1, np.float32)
    if len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) != (1, 1):
        if tuple(head.layer.kernel_size) != (1, 1) or tuple(head.layer.strides) != (1, 1) or head.layer.groups != 1:
            raise _not_supported(head.layer)
        return _maps(tensor, np.full((1, 1, 1), _share(tensor), np.float32), kernel, head.layer)
    while True:
        operation, inputs = producer(tensor)
        kind = type(operation).__name__
        if kind == "GlobalAveragePooling2D" and operation.data_format == "channels_last":
            return _maps(inputs[0], scale[None, None] * _share(inputs[0]), kernel, operation)
        if kind == "DepthwiseConv2D" and _weighs_places(operation, inputs[0]):
            return _maps(inputs[0], np.asarray(operation.kernel, np.float32)[..., 0] * scale, kernel, operation)
        if kind == "BatchNormalization" and operation.axis in (-1, len(tensor.shape) - 1):
            variance = np.asarray(operation.moving_variance, np.float32)
            scale = scale / np.sqrt(variance + np.float32(operation.epsilon))
            scale = scale * np.asarray(operation.gamma, np.float32) if operation.scale else scale
            tensor = inputs[0]
        elif kind in _NOTHING_DONE and len(inputs) == 1 and _one_place(inputs[0]):
            tensor = inputs[0]
        else:
            raise _not_supported(operation)


def _weighs_places(layer: Any, features: Any) -> bool:
    """Whether a depthwise convolution gives one number for each channel, of all places."""
    return (
        layer.depth_multiplier == 1
        and layer.padding == "valid"
        and tuple(layer.kernel_size) == tuple(features.shape[1:3])
        and layer.activation.__name__ == "linear"
    )


def _one_place(tensor: Any) -> bool:
    """Whether a tensor is a vector `[N,channels]`, or has one place alone."""
    return len(tensor.shape) == 2 or (len(tensor.shape) == 4 and tuple(tensor.shape[1:3]) == (1, 1))


def _share(features: Any) -> np.float32:
    """What each place counts in the mean over all places; 1 where their number is not known, which is refused later."""
    places = features.shape[1:3]
    return np.float32(1.0 if None in places else 1.0 / (places[0] * places[1]))


def _maps(features: Any, weights: Any, kernel: npt.NDArray[np.float32], operation: Any) -> ClassMaps:
    if len(features.shape) != 4 or None in features.shape[1:]:
        raise _not_supported(operation)
    channels = int(features.shape[-1])
    shape = (*weights.shape[:2], channels)
    return ClassMaps(features, np.ascontiguousarray(np.broadcast_to(weights, shape), np.float32), kernel)


def _not_supported(operation: Any) -> ModelError:
    name = getattr(operation, "name", type(operation).__name__)
    return ModelError(
        f"This model has no class activation maps: {name} ({type(operation).__name__}) stands where the pooling of its "
        "last feature map is looked for.",
        hint=HINT,
    )
