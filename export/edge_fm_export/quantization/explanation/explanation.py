"""What `--explain` finds about an int8 model: each layer's error, what floats would bring, and one advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OUTLIER_RATIO = 8.0
"""From this on a channel is called an outlier: it leaves 5 of 8 bits to the median channel."""


@dataclass(frozen=True)
class Outlier:
    """The channel of an activation that decides its range.

    Attributes:
        channel: its index.
        ratio: its largest absolute value, divided by the median of that of all channels.
    """

    channel: int
    ratio: float


@dataclass(frozen=True)
class LayerError:
    """What int8 does to the predictions in one layer, all others in float.

    Attributes:
        layer: its name in the Keras model, or in the graph where the Keras model has none.
        operators: the graph's operators that it consists of, such as ("Conv", "Relu").
        error: mean total variation distance of the probabilities from the float model's, 0 to 1.
        share: of the sum over all layers, 0 to 1.
        weight_error: `error` with its weights alone in int8; None where it has none, or was not among the worst.
        activation_error: `error` with its output alone in int8; None where it stays in float, or was not among the
            worst.
        error_after: `error` after equalization; None where there was none.
        weight_range: smallest and largest weight; None where it has none.
        activation_range: smallest and largest value of its output; None where it stays in float.
        outlier: the channel that decides the range of its output.
    """

    layer: str
    operators: tuple[str, ...]
    error: float
    share: float
    weight_error: float | None = None
    activation_error: float | None = None
    error_after: float | None = None
    weight_range: tuple[float, float] | None = None
    activation_range: tuple[float, float] | None = None
    outlier: Outlier | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that the JSON lists."""
        return {
            "layer": self.layer,
            "operators": list(self.operators),
            "error": self.error,
            "share": self.share,
            "weight_error": self.weight_error,
            "activation_error": self.activation_error,
            "error_after": self.error_after,
            "weight_range": None if self.weight_range is None else list(self.weight_range),
            "activation_range": None if self.activation_range is None else list(self.activation_range),
            "outlier_channel": None if self.outlier is None else self.outlier.channel,
            "outlier_ratio": None if self.outlier is None else self.outlier.ratio,
        }


@dataclass(frozen=True)
class FloatTrial:
    """What the model is with some layers left in float.

    Attributes:
        layers: the layers in float; none for the model as it was built.
        drop_points: its estimated accuracy drop, in percentage points.
        sufficient: whether the drop and its standard error are within the limit.
        bytes: size of its file.
        ms: median milliseconds for one image on this machine, all trials measured in turns.
    """

    layers: tuple[str, ...]
    drop_points: float
    sufficient: bool
    bytes: int
    ms: float

    def to_json(self) -> dict[str, Any]:
        """The object that the JSON lists."""
        return {
            "float_layers": list(self.layers),
            "drop_points": self.drop_points,
            "sufficient": self.sufficient,
            "bytes": self.bytes,
            "ms": self.ms,
        }


@dataclass(frozen=True)
class Explanation:
    """Where int8 loses accuracy.

    Attributes:
        layers: every quantized layer, the largest error first.
        trials: the model as it was built, then with more and more of the worst layers in float.
        measures: what was done beside plain calibration, such as "equalization".
        plain_drop_points: the estimated drop of plain calibration.
        limit_points: the drop that is allowed.
        images: how many images the drops were estimated on.
        image_set: what these are, such as "held out".
        kept: layers that `--keep-float` has left in float already, in all trials.
    """

    layers: tuple[LayerError, ...]
    trials: tuple[FloatTrial, ...]
    measures: tuple[str, ...]
    plain_drop_points: float
    limit_points: float
    images: int
    image_set: str
    kept: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the model as it was built stays within the limit."""
        return self.trials[0].sufficient

    @property
    def enough(self) -> FloatTrial | None:
        """The trial with the fewest layers in float that stays within the limit; None where none is needed or does."""
        if self.healthy:
            return None
        return next((trial for trial in self.trials[1:] if trial.sufficient), None)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The layers to leave in float, with those that are already; empty where `enough` is None."""
        enough = self.enough
        return () if enough is None else (*self.kept, *(layer for layer in enough.layers if layer not in self.kept))

    @property
    def cause(self) -> str:
        """Where the largest error comes from, in a sentence; empty where no layer stands out."""
        if not self.layers or (self.healthy and not self.measures):
            return ""
        worst = self.layers[0]
        channel = ""
        if worst.outlier is not None and worst.outlier.ratio >= OUTLIER_RATIO:
            channel = (
                f", whose channel {worst.outlier.channel} reaches {worst.outlier.ratio:,.0f} times the values of the "
                "median channel: one scale for all leaves the others few of 256 steps"
            )
        return f"{100 * worst.share:.0f}% of the layers' errors come from {worst.layer}{channel}."

    @property
    def advice(self) -> str:
        """What to do, in a sentence or two."""
        built = self.trials[0]
        done = f"with {' and '.join(self.measures)}, int8" if self.measures else "int8"
        where = f"{self.images:,} images {self.image_set}"
        if built.sufficient:
            found = f"Nothing needs mending: {done} loses {built.drop_points:.2f} points on {where}"
            was = f", {self.plain_drop_points:.2f} without" if self.measures else ""
            return f"{found}{was}; {self.limit_points:g} are allowed."
        enough = self.enough
        if enough is None:
            return (
                f"int8 loses {built.drop_points:.2f} points on {where}, and {self._not_enough}: use --precision fp16."
            )
        return (
            f"Leave {_joined(self.wanted)} in float: {keep_float_options(self.wanted)}. On {where} the drop falls "
            f"from {built.drop_points:.2f} to {enough.drop_points:.2f} points, the file "
            f"{'grows' if enough.bytes >= built.bytes else 'shrinks'} from {built.bytes:,} to {enough.bytes:,} bytes, "
            f"and an image takes {enough.ms:.2g} ms instead of {built.ms:.2g}."
        )

    @property
    def _not_enough(self) -> str:
        """That no trial was, as part of a sentence."""
        tried = self.trials[-1].layers
        if not tried:
            return "with its worst layer in float, none with weights would be left at int8"
        worst = "worst layer" if len(tried) == 1 else f"{len(tried)} worst layers"
        return f"leaving the {worst} in float does not bring it under {self.limit_points:g}"

    def to_json(self) -> dict[str, Any]:
        """The object `explanation` of `edgefm export --json`."""
        return {
            "healthy": self.healthy,
            "cause": self.cause,
            "advice": self.advice,
            "limit_points": self.limit_points,
            "plain_drop_points": self.plain_drop_points,
            "measures": list(self.measures),
            "images": {"count": self.images, "set": self.image_set},
            "layers": [layer.to_json() for layer in self.layers],
            "trials": [trial.to_json() for trial in self.trials],
        }


def keep_float_options(layers: Sequence[str]) -> str:
    """The options that leave `layers` in float.

    Example:
        >>> keep_float_options(["conv1", "my conv"])
        "--keep-float conv1 --keep-float 'my conv'"
    """
    from shlex import quote

    return " ".join(f"--keep-float {quote(layer)}" for layer in layers)


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
