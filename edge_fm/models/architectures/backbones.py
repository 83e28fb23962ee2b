"""Networks that were trained on ImageNet: how each is built, fed, and where its published weights are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_fm.models.architectures import efficientnet_lite, resnet18
from edge_fm.models.architectures.keras_applications import APPLICATIONS, Application
from edge_fm.models.keras_import import require_keras
from edge_fm_export.third_party_models.pixel_scaling import FAMILIES
from edge_fm_runtime.errors import ModelError

_KERAS_FILES = "https://storage.googleapis.com/tensorflow/keras-applications"
# Sides for which MobileNets were trained; another side takes the weights of the largest, as Keras does.
_MOBILENET_SIDES = (96, 128, 160, 192, 224)


@dataclass(frozen=True)
class Backbone:
    """A network without its classifier: a row of `BACKBONES`.

    Attributes:
        application: its name in keras.applications; None for ours.
        preprocessing: a key of `edge_fm_export.third_party_models.pixel_scaling.MODES`: what it wants done to pixels.
        url: of its weights without the classifier, with `{alpha}` and `{side}` where there are several files.
        checksum: MD5 or SHA-256 of that file, as keras.applications checks it; empty where Keras knows none.
        alphas: width multipliers that weights are published for; empty where it has no `alpha`.
        checksums: where there is a file for each width multiplier.
        smallest: least height and width that its layers can take.
        cached_as: what Keras calls the file in its cache; empty for the end of `url`.
    """

    application: str | None
    preprocessing: str
    url: str = ""
    checksum: str = ""
    alphas: tuple[float, ...] = ()
    checksums: Mapping[float, str] = field(default_factory=dict)
    smallest: int = 32
    cached_as: str = ""


def _application(given: Application) -> Backbone:
    url = given.file if given.file.startswith("https:") else f"{_KERAS_FILES}/{given.file}"
    preprocessing = FAMILIES[given.family].name
    return Backbone(
        given.function,
        preprocessing,
        url,
        given.checksum,
        smallest=given.smallest,
        cached_as=given.cached_as,
    )


def _mobilenet_v3(size: str, checksums: Mapping[float, str]) -> Backbone:
    url = f"{_KERAS_FILES}/mobilenet_v3/weights_mobilenet_v3_{size}_224_{{alpha}}_float_no_top_v2.h5"
    return Backbone(f"MobileNetV3{size.capitalize()}", "raw", url, "", (0.75, 1.0), checksums)


BACKBONES: Mapping[str, Backbone] = {
    "convnext-tiny": Backbone(
        "ConvNeXtTiny",
        "raw",
        f"{_KERAS_FILES}/convnext/convnext_tiny_notop.h5",
        "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    # Their weights are in Python packages: see `efficientnet_lite_weights`.
    **{name: Backbone(None, "lite") for name in efficientnet_lite.VARIANTS},
    "efficientnet-v2-b0": Backbone(
        "EfficientNetV2B0",
        "raw",
        f"{_KERAS_FILES}/efficientnet_v2/efficientnetv2-b0_notop.h5",
        "893217f2bb855e2983157299931e43ff",
    ),
    "mobilenet": Backbone(
        "MobileNet",
        "tf",
        f"{_KERAS_FILES}/mobilenet/mobilenet_{{alpha}}_{{side}}_tf_no_top.h5",
        "",
        (0.25, 0.5, 0.75, 1.0),
    ),
    "mobilenet-v2": Backbone(
        "MobileNetV2",
        "tf",
        f"{_KERAS_FILES}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{{alpha}}_{{side}}_no_top.h5",
        "",
        (0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    ),
    "mobilenet-v3-small": _mobilenet_v3(
        "small", {0.75: "ebdb5cc8e0b497cd13a7c275d475c819", 1.0: "d3e8ec802a04aa4fc771ee12a9a9b836"}
    ),
    "mobilenet-v3-large": _mobilenet_v3(
        "large", {0.75: "40af19a13ebea4e2ee0c676887f69a2e", 1.0: "07fb09a5933dd0c8eaafa16978110389"}
    ),
    "resnet18": Backbone(
        # The file that keras-hub's preset "resnet_18_imagenet" loads, without its dependencies.
        None,
        "torch",
        "https://huggingface.co/keras/resnet_18_imagenet/resolve/main/model.weights.h5",
        cached_as="resnet_18_imagenet.weights.h5",
    ),
    "resnet50": Backbone(
        "ResNet50",
        "caffe",
        f"{_KERAS_FILES}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
    "resnet152-v2": Backbone(
        "ResNet152V2",
        "tf",
        f"{_KERAS_FILES}/resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ed17cf2e0169df9d443503ef94b23b33",
    ),
    "vgg16": Backbone(
        "VGG16",
        "caffe",
        f"{_KERAS_FILES}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "vgg19": Backbone(
        "VGG19",
        "caffe",
        f"{_KERAS_FILES}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
    ),
    **{name: _application(given) for name, given in APPLICATIONS.items()},
}


def build_backbone(name: str, *, image: Any = None, side: int, alpha: float = 1.0, top: bool = False) -> Any:
    """Build a backbone with fresh weights.

    Args:
        name: a row of `BACKBONES`.
        image: symbolic float32 `[N,side,side,3]`, preprocessed, that it is laid upon; None for an input of its own.
        side: height and width of what it sees.
        alpha: width multiplier, for those that have one.
        top: with its ImageNet classifier of 1000 classes, whose input has a side of its own.

    Returns:
        keras.Model; its output is the last feature map `[N,h,w,channels]`, or with `top` the 1000 probabilities.
    """
    keras = require_keras(f"the model {name}")
    backbone = BACKBONES[name]
    if name in efficientnet_lite.VARIANTS:
        return efficientnet_lite.backbone(name, image=image, side=side, top=top)
    if backbone.application is None:
        return resnet18.backbone(image=image, side=side, top=top)
    function = getattr(keras.applications, backbone.application)
    options: dict[str, Any] = {"alpha": alpha} if backbone.alphas else {}
    if top:
        return function(weights=None, include_top=True, **options)
    # Keras takes the side from `input_shape` alone, and warns without it.
    return function(weights=None, include_top=False, input_tensor=image, input_shape=(side, side, 3), **options)


@dataclass(frozen=True)
class WeightsFile:
    """A file of published weights.

    Attributes:
        url: where it is.
        name: what it is called in Keras's cache.
        checksum: its MD5 or SHA-256, or empty.
    """

    url: str
    name: str
    checksum: str


def imagenet_file(name: str, *, side: int, alpha: float = 1.0) -> WeightsFile:
    """The file with a backbone's ImageNet weights.

    Raises:
        ModelError: none is published for this `alpha`.

    Example:
        >>> imagenet_file("mobilenet-v2", side=128, alpha=0.35).name
        'mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_128_no_top.h5'
    """
    backbone = BACKBONES[name]
    if backbone.alphas and alpha not in backbone.alphas:
        raise ModelError(
            f"ImageNet weights of {name} are published for alpha {', '.join(map(str, backbone.alphas))}; got {alpha}.",
            hint="Take one of these, or fresh weights: --weights none",
        )
    # keras.applications.MobileNet writes its alphas as 1_0, 7_5, 5_0 and 2_5.
    text = f"{alpha:.2f}".replace("1.00", "1_0").replace("0.75", "7_5").replace("0.50", "5_0").replace("0.25", "2_5")
    alpha_text = text if name == "mobilenet" else str(float(alpha))
    url = backbone.url.format(alpha=alpha_text, side=side if side in _MOBILENET_SIDES else max(_MOBILENET_SIDES))
    checksum = backbone.checksums.get(alpha, backbone.checksum)
    return WeightsFile(url, backbone.cached_as or url.rpartition("/")[2], checksum)
