"""The preprocessing of pixels that a third-party model needs: parsed, and put into the graph."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import ModelError

Numbers: TypeAlias = str | float | Sequence[float]


@dataclass(frozen=True)
class Preprocessing:
    """`(pixel * scale - mean) / std`, for pixels 0..255 in RGB order.

    Attributes:
        scale: one factor for all pixels, such as 1/255.
        mean: for all channels, or one for each, in the order that the model takes them.
        std: likewise; never 0.
        bgr: swap red and blue first, for models trained on BGR images.
        name: what to call it in notes.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False
    name: str = "custom"

    @property
    def identity(self) -> bool:
        """Whether pixels stay as they are."""
        return self.scale == 1.0 and not any(self.mean) and set(self.std) == {1.0} and not self.bgr

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for an artifact's metadata."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, raw: object) -> Preprocessing | None:
        """Read what `to_json` gave; None for None.

        Raises:
            ModelError: it is something else.
        """
        if raw is None:
            return None
        try:
            fields = dict(raw)  # type: ignore[call-overload]  # anything else than a mapping is refused below
            return cls(
                float(fields["scale"]),
                tuple(float(v) for v in fields["mean"]),
                tuple(float(v) for v in fields["std"]),
                bgr=bool(fields["bgr"]),
                name=str(fields["name"]),
            )
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"The recorded preprocessing {raw!r} is malformed.", hint="Export the model again: edgefm export"
            ) from error

    def describe(self) -> str:
        """One phrase for a person."""
        if self.identity:
            return "pixels 0..255 as they are"
        order = "BGR, " if self.bgr else ""
        shown = (", ".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
        return "{}(pixel * {:g} - [{}]) / [{}]".format(order, self.scale, *shown)


# The modes of keras.applications.imagenet_utils.preprocess_input.
_RAW = Preprocessing(name="raw")
_TF = Preprocessing(1 / 127.5, (1.0,), (1.0,), name="tf")
_TORCH = Preprocessing(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), name="torch")
_CAFFE = Preprocessing(1.0, (103.939, 116.779, 123.68), (1.0,), bgr=True, name="caffe")
_UNIT = Preprocessing(1 / 255, name="unit")
_LITE = Preprocessing(1.0, (127.0,), (128.0,), name="lite")

MODES: Mapping[str, Preprocessing] = {
    "raw": _RAW,
    "unit": _UNIT,
    "tf": _TF,
    "torch": _TORCH,
    "caffe": _CAFFE,
    "lite": _LITE,
}
"""By what they do; "unit" is 0..1, "lite" is (pixel - 127) / 128."""

FAMILIES: Mapping[str, Preprocessing] = {
    "convnext": _RAW,
    "densenet": _TORCH,
    "efficientnet": _RAW,
    "efficientnet_lite": _LITE,
    "efficientnet_v2": _RAW,
    "inception_resnet_v2": _TF,
    "inception_v3": _TF,
    "mobilenet": _TF,
    "mobilenet_v2": _TF,
    "mobilenet_v3": _RAW,
    "nasnet": _TF,
    "resnet": _CAFFE,
    "resnet_v2": _TF,
    "vgg16": _CAFFE,
    "vgg19": _CAFFE,
    "xception": _TF,
}
"""By the module of keras.applications (it has no EfficientNet-Lite); the "raw" ones scale inside the model."""

PRESETS: Mapping[str, Preprocessing] = {**FAMILIES, **MODES}

# Names of models (MobileNetV3Small, resnet50, efficientnetv2-b0) -> their family. The longer names come first.
_MODELS = (
    (re.compile(r"^mobilenet_?v3"), "mobilenet_v3"),
    (re.compile(r"^mobilenet_?v2"), "mobilenet_v2"),
    (re.compile(r"^mobilenet(_|$)"), "mobilenet"),
    (re.compile(r"^efficientnet_?v2"), "efficientnet_v2"),
    (re.compile(r"^efficientnet_?(b\d)?$"), "efficientnet"),
    (re.compile(r"^efficientnet_?lite_?\d?$"), "efficientnet_lite"),
    (re.compile(r"^resnet_?(\d+)?_?v2$"), "resnet_v2"),
    (re.compile(r"^resnet_?(\d+)?$"), "resnet"),
    (re.compile(r"^densenet_?\d*$"), "densenet"),
    (re.compile(r"^convnext"), "convnext"),
    (re.compile(r"^inception_?resnet_?v2$"), "inception_resnet_v2"),
    (re.compile(r"^inception_?v3$"), "inception_v3"),
    (re.compile(r"^nasnet"), "nasnet"),
    (re.compile(r"^vgg_?16$"), "vgg16"),
    (re.compile(r"^vgg_?19$"), "vgg19"),
    (re.compile(r"^xception$"), "xception"),
)


def family_of(name: str) -> str | None:
    """The family that a model's name belongs to, or None.

    Example:
        >>> family_of("MobileNetV3Small"), family_of("resnet50"), family_of("my_model")
        ('mobilenet_v3', 'resnet', None)
    """
    plain = re.sub(r"[-. ]", "_", name.strip().lower())
    return next((family for pattern, family in _MODELS if pattern.match(plain)), None)


def find_preset(name: str) -> Preprocessing:
    """The preprocessing called `name`: a family, a model of keras.applications, or one of `MODES`.

    Raises:
        ModelError: there is none; lists those that there are.
    """
    plain = name.strip().lower().replace("-", "_")
    found = PRESETS.get(plain) or FAMILIES.get(family_of(name) or "")
    if found is None:
        raise ModelError(
            f"There is no preset {name!r}; there are: {', '.join(sorted(FAMILIES))}, and by what they do "
            f"{', '.join(MODES)}.",
            hint="Or give the numbers, such as: --input-scale 1/255 --mean 0.5 --std 0.25",
        )
    family = plain if plain in PRESETS else str(family_of(name))
    return Preprocessing(found.scale, found.mean, found.std, found.bgr, name=family)


def parse_preprocessing(
    preset: str | None = None,
    input_scale: str | float | None = None,
    mean: Numbers | None = None,
    std: Numbers | None = None,
) -> Preprocessing | None:
    """Make a `Preprocessing` of the command line's options; None where none is given.

    Args:
        preset: see `find_preset`; excludes the others.
        input_scale: a number or a fraction, such as "1/255".
        mean: one number, or one for each channel, such as "0.485,0.456,0.406"; in units of the scaled pixels.
        std: likewise.

    Raises:
        ModelError: no number, a scale or std of 0, or a preset together with numbers.

    Example:
        >>> parse_preprocessing(input_scale="1/255", mean="0.5", std=0.5).describe()
        '(pixel * 0.00392157 - [0.5]) / [0.5]'
    """
    if preset is not None:
        if input_scale is not None or mean is not None or std is not None:
            raise ModelError(
                f"The preset {preset!r} was given together with --input-scale, --mean or --std.",
                hint="Give either the preset or the numbers.",
            )
        return find_preset(preset)
    if input_scale is None and mean is None and std is None:
        return None
    scales = _numbers(1.0 if input_scale is None else input_scale, "--input-scale")
    means = _numbers(0.0 if mean is None else mean, "--mean")
    stds = _numbers(1.0 if std is None else std, "--std")
    if len(scales) != 1 or scales[0] <= 0:
        raise ModelError(
            f"--input-scale takes one number above 0, got {input_scale!r}.", hint="Such as: --input-scale 1/255"
        )
    if any(value <= 0 for value in stds):
        raise ModelError(f"--std takes numbers above 0, got {std!r}.", hint="Such as: --std 0.229,0.224,0.225")
    if len(means) > 1 and len(stds) > 1 and len(means) != len(stds):
        raise ModelError(
            f"--mean has {len(means)} numbers and --std has {len(stds)}.",
            hint="Give one number for all channels, or one for each channel.",
        )
    return Preprocessing(scales[0], means, stds)


def apply_preprocessing(keras: Any, image: Any, preprocessing: Preprocessing, channels: int, dtype: str) -> Any:
    """Add the preprocessing to the graph after the uint8 tensor `image`.

    Args:
        keras: the module.
        image: symbolic uint8 `[N,H,W,C]`.
        preprocessing: what to do.
        channels: C.
        dtype: floats that the model takes.

    Returns:
        Symbolic `[N,H,W,C]` of `dtype`.

    Raises:
        ModelError: it is made for another number of channels.
    """
    mean, std = (_for_channels(values, channels, preprocessing) for values in (preprocessing.mean, preprocessing.std))
    if preprocessing.bgr and channels != 3:
        raise ModelError(
            f"{preprocessing.name} swaps red and blue; the model takes {channels} channels.",
            hint="Give --input-scale, --mean and --std instead of the preset.",
        )
    x = keras.ops.cast(image, dtype)
    if preprocessing.bgr:
        x = keras.ops.take(x, [2, 1, 0], axis=-1)
    if preprocessing.identity or (preprocessing.scale == 1.0 and not any(mean) and set(std) == {1.0}):
        return x
    scale = [preprocessing.scale / s for s in std]
    offset = [-m / s for m, s in zip(mean, std, strict=True)]
    same = len(set(scale)) == 1 and len(set(offset)) == 1
    layer = keras.layers.Rescaling(
        scale[0] if same else scale, offset=offset[0] if same else offset, name="preprocessing", dtype=dtype
    )
    return layer(x)


def apply_to_array(preprocessing: Preprocessing, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What `apply_preprocessing` puts into a graph, done to float32 pixels 0..255 `[N,H,W,C]`."""
    pixels = images[..., ::-1] if preprocessing.bgr else images
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    return np.asarray((pixels * preprocessing.scale - mean) / std, dtype=np.float32)


def _for_channels(values: tuple[float, ...], channels: int, preprocessing: Preprocessing) -> list[float]:
    if len(values) not in (1, channels):
        raise ModelError(
            f"{preprocessing.name} has {len(values)} numbers, one for each channel; the model takes {channels} "
            f"channel{'s' * (channels != 1)}.",
            hint="Give one number for all channels, or one for each: --mean and --std",
        )
    return list(values) * (channels if len(values) == 1 else 1)


def _numbers(value: Numbers, option: str) -> tuple[float, ...]:
    parts: Sequence[object]
    if isinstance(value, str):
        parts = [part for part in re.split(r"[,\s]+", value.strip()) if part]
    else:
        parts = [value] if isinstance(value, int | float) else list(value)
    try:
        numbers = tuple(_number(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            f"{option} takes numbers or fractions, got {value!r}.", hint=f"Such as: {option} 0.5, or 1/255"
        ) from error
    if not numbers or not all(math.isfinite(n) for n in numbers):
        raise ModelError(f"{option} takes finite numbers, got {value!r}.", hint=f"Such as: {option} 0.5, or 1/255")
    return numbers


def _number(part: object) -> float:
    if isinstance(part, str):
        above, slash, below = part.partition("/")
        return float(above) / float(below) if slash else float(part)
    return float(part)  # type: ignore[arg-type]
