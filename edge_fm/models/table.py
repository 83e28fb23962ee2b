"""What is known of every model without building it: its family, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelKind:
    """What the registry knows of any model.

    Attributes:
        family: models that differ in size alone share one, and a builder.
        source: where the architecture comes from.
        input_shape: height, width, channels of the images that it is meant for.
        classes: number of classes that it is meant for.
        backbone: whether it is a network of its own, for which ImageNet weights are published, under a small head.
        trained: stages of the backbone that the model's publication trained together with the head.
    """

    family: str
    source: str
    input_shape: tuple[int, int, int] = (28, 28, 1)
    classes: int = 10
    backbone: bool = False
    trained: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelEntry(ModelKind):
    """What the registry knows of a model whose cost is listed; counted for its `input_shape` and `classes`.

    Attributes:
        params: weights, the untrained ones included.
        trainable: those that training changes when nothing is frozen.
        macs: multiply-accumulates of one image.
    """

    params: int
    trainable: int
    macs: int


_PHOTO = (224, 224, 3)
_REPORT = "a Fashion-MNIST report"
# Figures stand here so that `edgefm models` prints at once and without Keras; a test builds every model and compares.
MODELS: dict[str, ModelEntry] = {
    "edgenet-n": ModelEntry(family="edgenet", params=24_018, trainable=23_618, macs=2_792_928, source="EdgeFM"),
    "edgenet-s": ModelEntry(family="edgenet", params=90_522, trainable=89_722, macs=11_055_040, source="EdgeFM"),
    "edgenet-m": ModelEntry(family="edgenet", params=265_106, trainable=263_730, macs=31_632_696, source="EdgeFM"),
    "edgenet-l": ModelEntry(family="edgenet", params=1_594_730, trainable=1_591_146, macs=157_388_352, source="EdgeFM"),
    "cnn2-dense": ModelEntry(family="cnn", params=565_386, trainable=565_386, macs=2_970_752, source=_REPORT),
    "cnn3-dropout": ModelEntry(family="cnn", params=590_346, trainable=590_346, macs=3_585_152, source=_REPORT),
    "cnn3": ModelEntry(family="cnn", params=240_901, trainable=240_901, macs=3_236_608, source=_REPORT, classes=5),
    "cnn3-bn": ModelEntry(family="cnn", params=242_309, trainable=241_605, macs=3_236_608, source=_REPORT, classes=5),
    "cnn4-bn": ModelEntry(
        family="cnn", params=1_220_901, trainable=1_219_109, macs=13_179_648, source=_REPORT, classes=5
    ),
    "cnn4-l2": ModelEntry(
        family="cnn", params=3_383_589, trainable=3_381_797, macs=28_791_936, source=_REPORT, classes=5
    ),
    "convnet5": ModelEntry(family="convnet5", params=3_199_490, trainable=3_199_298, macs=13_808_400, source=_REPORT),
    "lenet5": ModelEntry(
        family="lenet", params=61_706, trainable=61_706, macs=416_520, source="LeCun 1998, 10.1109/5.726791"
    ),
    "convnext-tiny": ModelEntry(
        family="convnext",
        params=27_827_818,
        trainable=27_827_818,
        macs=4_454_770_944,
        source="Liu 2022, arXiv:2201.03545",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "efficientnet-lite0": ModelEntry(
        family="efficientnet-lite",
        params=3_425_834,
        trainable=3_383_818,
        macs=383_920_352,
        source="Tan 2019, arXiv:1905.11946; Lite 2020",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "efficientnet-lite1": ModelEntry(
        family="efficientnet-lite",
        params=4_202_154,
        trainable=4_148_490,
        macs=501_200_480,
        source="Tan 2019, arXiv:1905.11946; Lite 2020",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "efficientnet-lite2": ModelEntry(
        family="efficientnet-lite",
        params=4_881_978,
        trainable=4_823_882,
        macs=575_242_224,
        source="Tan 2019, arXiv:1905.11946; Lite 2020",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "efficientnet-lite3": ModelEntry(
        family="efficientnet-lite",
        params=7_005_578,
        trainable=6_928_906,
        macs=850_832_336,
        source="Tan 2019, arXiv:1905.11946; Lite 2020",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "efficientnet-lite4": ModelEntry(
        family="efficientnet-lite",
        params=11_850_746,
        trainable=11_738_378,
        macs=1_346_397_952,
        source="Tan 2019, arXiv:1905.11946; Lite 2020",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "efficientnet-v2-b0": ModelEntry(
        family="efficientnet-v2",
        params=5_932_122,
        trainable=5_871_514,
        macs=716_818_976,
        source="Tan 2021, arXiv:2104.00298",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "mobilenet": ModelEntry(
        family="mobilenet",
        params=3_493_834,
        trainable=3_471_946,
        macs=185_641_472,
        source="Howard 2017, arXiv:1704.04861",
        backbone=True,
    ),
    "mobilenet-v2": ModelEntry(
        family="mobilenet",
        params=2_588_490,
        trainable=2_554_378,
        macs=98_124_288,
        source="Sandler 2018, arXiv:1801.04381",
        backbone=True,
    ),
    "mobilenet-v3-small": ModelEntry(
        family="mobilenet-v3",
        params=944_890,
        trainable=932_778,
        macs=54_902_336,
        source="Howard 2019, arXiv:1905.02244",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "mobilenet-v3-large": ModelEntry(
        family="mobilenet-v3",
        params=3_005_962,
        trainable=2_981_562,
        macs=214_090_560,
        source="Howard 2019, arXiv:1905.02244",
        input_shape=_PHOTO,
        backbone=True,
    ),
    "resnet18": ModelEntry(
        family="resnet",
        params=11_191_242,
        trainable=11_181_642,
        macs=37_016_576,
        source="He 2015, arXiv:1512.03385",
        backbone=True,
        trained=("layer4",),
    ),
    "resnet50": ModelEntry(
        family="resnet",
        params=23_597_957,
        trainable=23_544_837,
        macs=78_702_592,
        source="He 2015, arXiv:1512.03385",
        classes=5,
        backbone=True,
    ),
    "resnet152-v2": ModelEntry(
        family="resnet",
        params=58_352_138,
        trainable=58_208_394,
        macs=222_564_352,
        source="He 2016, arXiv:1603.05027",
        backbone=True,
    ),
    "vgg16": ModelEntry(
        family="vgg",
        params=14_717_253,
        trainable=14_717_253,
        macs=313_199_104,
        source="Simonyan 2014, arXiv:1409.1556",
        classes=5,
        backbone=True,
    ),
    "vgg19": ModelEntry(
        family="vgg",
        params=20_029_514,
        trainable=20_029_514,
        macs=398_136_320,
        source="Simonyan 2014, arXiv:1409.1556",
        backbone=True,
    ),
}
