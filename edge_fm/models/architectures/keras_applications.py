"""The other networks of keras.applications, each a model by its name, with its own preprocessing and weights.

Those whose cost is listed, and that the package's own recipes use, are in `table` and `backbones`. These take the same
options and the same head of averaged features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fm.models.table import ModelKind

_PHOTO = (224, 224, 3)
_SOURCES = {
    "convnext": "Liu 2022, arXiv:2201.03545",
    "densenet": "Huang 2016, arXiv:1608.06993",
    "efficientnet": "Tan 2019, arXiv:1905.11946",
    "efficientnet_v2": "Tan 2021, arXiv:2104.00298",
    "inception_v3": "Szegedy 2015, arXiv:1512.00567",
    "inception_resnet_v2": "Szegedy 2016, arXiv:1602.07261",
    "nasnet": "Zoph 2017, arXiv:1707.07012",
    "resnet": "He 2015, arXiv:1512.03385",
    "resnet_v2": "He 2016, arXiv:1603.05027",
    "xception": "Chollet 2016, arXiv:1610.02357",
}


@dataclass(frozen=True)
class Application:
    """A network of keras.applications.

    Attributes:
        function: its name there, such as "DenseNet121".
        family: the module that has its `preprocess_input`: a key of `pixel_scaling.FAMILIES`.
        file: address of its weights without the classifier; relative to the usual place, or whole.
        checksum: MD5 or SHA-256 of that file.
        smallest: least height and width that its layers can take.
        cached_as: what Keras calls the file in its cache; empty for the end of `file`.
    """

    function: str
    family: str
    file: str
    checksum: str
    smallest: int = 32
    cached_as: str = ""


APPLICATIONS: Mapping[str, Application] = {
    "convnext-small": Application(
        "ConvNeXtSmall",
        "convnext",
        "convnext/convnext_small_notop.h5",
        "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
    ),
    "convnext-base": Application(
        "ConvNeXtBase",
        "convnext",
        "convnext/convnext_base_notop.h5",
        "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
    ),
    "convnext-large": Application(
        "ConvNeXtLarge",
        "convnext",
        "convnext/convnext_large_notop.h5",
        "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    ),
    "convnext-xlarge": Application(
        "ConvNeXtXLarge",
        "convnext",
        "convnext/convnext_xlarge_notop.h5",
        "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
    ),
    "densenet121": Application(
        "DenseNet121",
        "densenet",
        "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "30ee3e1110167f948a6b9946edeeb738",
    ),
    "densenet169": Application(
        "DenseNet169",
        "densenet",
        "densenet/densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "b8c4d4c20dd625c148057b9ff1c1176b",
    ),
    "densenet201": Application(
        "DenseNet201",
        "densenet",
        "densenet/densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "c13680b51ded0fb44dff2d8f86ac8bb1",
    ),
    "efficientnet-b0": Application(
        "EfficientNetB0",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "50bc09e76180e00e4465e1a485ddc09d",
    ),
    "efficientnet-b1": Application(
        "EfficientNetB1",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb1_notop.h5",
        "74c4e6b3e1f6a1eea24c589628592432",
    ),
    "efficientnet-b2": Application(
        "EfficientNetB2",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb2_notop.h5",
        "111f8e2ac8aa800a7a99e3239f7bfb39",
    ),
    "efficientnet-b3": Application(
        "EfficientNetB3",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb3_notop.h5",
        "af6d107764bb5b1abb91932881670226",
    ),
    "efficientnet-b4": Application(
        "EfficientNetB4",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb4_notop.h5",
        "ebc24e6d6c33eaebbd558eafbeedf1ba",
    ),
    "efficientnet-b5": Application(
        "EfficientNetB5",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb5_notop.h5",
        "38879255a25d3c92d5e44e04ae6cec6f",
    ),
    "efficientnet-b6": Application(
        "EfficientNetB6",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb6_notop.h5",
        "9ecce42647a20130c1f39a5d4cb75743",
    ),
    "efficientnet-b7": Application(
        "EfficientNetB7",
        "efficientnet",
        "https://storage.googleapis.com/keras-applications/efficientnetb7_notop.h5",
        "cbcfe4450ddf6f3ad90b1b398090fe4a",
    ),
    "efficientnet-v2-b1": Application(
        "EfficientNetV2B1",
        "efficientnet_v2",
        "efficientnet_v2/efficientnetv2-b1_notop.h5",
        "0e80663031ca32d657f9caa404b6ec37",
    ),
    "efficientnet-v2-b2": Application(
        "EfficientNetV2B2",
        "efficientnet_v2",
        "efficientnet_v2/efficientnetv2-b2_notop.h5",
        "1dfe2e7a5d45b6632553a8961ea609eb",
    ),
    "efficientnet-v2-b3": Application(
        "EfficientNetV2B3",
        "efficientnet_v2",
        "efficientnet_v2/efficientnetv2-b3_notop.h5",
        "f6abf7b5849ac99a89b50dd3fd532856",
    ),
    "efficientnet-v2-s": Application(
        "EfficientNetV2S",
        "efficientnet_v2",
        "efficientnet_v2/efficientnetv2-s_notop.h5",
        "af0682fb74e8c54910f2d4393339c070",
    ),
    "efficientnet-v2-m": Application(
        "EfficientNetV2M",
        "efficientnet_v2",
        "efficientnet_v2/efficientnetv2-m_notop.h5",
        "1b8dc055df72dde80d614482840fe342",
    ),
    "efficientnet-v2-l": Application(
        "EfficientNetV2L",
        "efficientnet_v2",
        "efficientnet_v2/efficientnetv2-l_notop.h5",
        "b0b66b5c863aef5b46e8608fe1711615",
    ),
    "inception-v3": Application(
        "InceptionV3",
        "inception_v3",
        "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "bcbd6486424b2319ff4ef7d526e38f63",
        smallest=75,
    ),
    "inception-resnet-v2": Application(
        "InceptionResNetV2",
        "inception_resnet_v2",
        "inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "d19885ff4a710c122648d3b5c3b684e4",
        smallest=75,
    ),
    "nasnet-mobile": Application(
        "NASNetMobile",
        "nasnet",
        "nasnet/NASNet-mobile-no-top.h5",
        "1ed92395b5b598bdda52abe5c0dbfd63",
        cached_as="nasnet_mobile_no_top.h5",
    ),
    "nasnet-large": Application(
        "NASNetLarge",
        "nasnet",
        "nasnet/NASNet-large-no-top.h5",
        "d81d89dc07e6e56530c4e77faddd61b5",
        cached_as="nasnet_large_no_top.h5",
    ),
    "resnet101": Application(
        "ResNet101",
        "resnet",
        "resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "88cf7a10940856eca736dc7b7e228a21",
    ),
    "resnet152": Application(
        "ResNet152",
        "resnet",
        "resnet/resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    "resnet50-v2": Application(
        "ResNet50V2",
        "resnet_v2",
        "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "fac2f116257151a9d068a22e544a4917",
    ),
    "resnet101-v2": Application(
        "ResNet101V2",
        "resnet_v2",
        "resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "c0ed64b8031c3730f411d2eb4eea35b5",
    ),
    "xception": Application(
        "Xception",
        "xception",
        "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "b0042744bf5b25fce3cb969f33bebb97",
        smallest=71,
    ),
}

KINDS: Mapping[str, ModelKind] = {
    name: ModelKind(
        family=f"keras-{application.family.replace('_', '-')}",
        source=_SOURCES[application.family],
        input_shape=_PHOTO,
        backbone=True,
    )
    for name, application in APPLICATIONS.items()
}

_IMAGENET_VARIANCE = np.square([0.229, 0.224, 0.225])


def divide_as_published(name: str, network: Any) -> None:
    """Give an EfficientNet with ImageNet weights the second division that Keras builds into it; changes it in place.

    Keras' normalization divides by the standard deviation, and the publication's by the variance. Keras adds the rest
    as a layer, which it leaves out where the network is built without weights; here the stored variance takes it. A
    file with other statistics than ImageNet's stays as it is.

    Args:
        name: of the model.
        network: its backbone, the weights loaded.
    """
    if name not in APPLICATIONS or APPLICATIONS[name].family != "efficientnet":
        return
    layer = next(layer for layer in network.layers if type(layer).__name__ == "Normalization")
    mean, variance, *count = layer.get_weights()
    if np.allclose(variance.reshape(-1), _IMAGENET_VARIANCE, rtol=1e-3):
        scale = np.sqrt(_IMAGENET_VARIANCE).reshape(variance.shape)
        layer.set_weights([mean, (variance * scale).astype(variance.dtype), *count])
        layer.finalize_state()
