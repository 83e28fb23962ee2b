"""What travels through an export: the prepared model, its evaluation and calibration sets, and what was built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

import numpy as np
import numpy.typing as npt

from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.scores.rejection import Goals
from edge_fm_runtime.artifacts.metadata import PROBABILITIES, InputSpec, PhotoSpec, Task
from edge_fm_runtime.defaults import MAX_DROP_POINTS
from edge_fm_runtime.errors import EdgeFMError
from edge_fm_runtime.parity.own_training import OwnTraining
from edge_fm_runtime.progress import ProgressFn, silent

if TYPE_CHECKING:
    import keras

    from edge_fm_export.browser_runtime.package import WebRuntime
    from edge_fm_export.outputs.extra import ExtraOutputs


INPUT = "image"
"""Name of an exported model's input."""


class ScalingTrial(Protocol):
    """Tries other scalings of pixels with a model."""

    def warning(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], *, data: str) -> str | None:
        """Name the scaling with which the model is right far more often on images uint8 `[N,H,W,C]`, if there is one.

        Args:
            images: some dozens of them are tried.
            labels: their classes `[N]`.
            data: what to call the images.
        """


@dataclass(frozen=True, eq=False)
class SourceModel:
    """A Keras classifier made ready: pixels in, probabilities out, whatever it was before.

    Attributes:
        name: what to call it, such as "edgenet-s".
        model: uint8 `[N,H,W,C]` named `image` -> float32 `[N,classes]` named `probabilities`.
        input: the input's size.
        labels: one for each class.
        photo: how a photo becomes the input.
        sha256: of the model's file, or of the concatenated files of a SavedModel.
        training: recipe and dataset hashes of a run of `edgefm train`; None for a third-party model.
        notes: what was added to the model (scaling, softmax) and why, one sentence each.
        warnings: those of the notes that name a probable mistake.
        scaling_trial: tries other scalings on labelled images; None for models that carry their own, as runs do.
        preprocessing: the scaling that was put into the graph, as JSON values (see `presets.Preprocessing`), so that
            the original can be opened in the same way again; None where none was.
        named: whether the labels were given; else they are class_0, class_1, ...
        trained: what is known of the training of a run; None for a third-party model.
        scores: the temperature of a run and what it did to the scores of its validation images, as in metrics.json;
            None where none was fitted.
        temperature: what the logits were divided by when the model was opened; None for nothing. Like `preprocessing`,
            it opens the original again in the same way.
        extra: what exported models return beside the probabilities; None for nothing.
        task: "multi-label" where each label has a sigmoid of its own; None for one class of many.
    """

    name: str
    model: keras.Model
    input: InputSpec
    labels: tuple[str, ...]
    photo: PhotoSpec
    sha256: str
    training: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    scaling_trial: ScalingTrial | None = None
    preprocessing: Mapping[str, Any] | None = None
    named: bool = True
    trained: OwnTraining | None = None
    scores: Mapping[str, Any] | None = None
    temperature: float | None = None
    extra: ExtraOutputs | None = None
    task: Task | None = None

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of an exported model's outputs, the probabilities first."""
        return (PROBABILITIES, *(() if self.extra is None else (spec.name for spec in self.extra.specs)))

    @cached_property
    def predict(self) -> Any:
        """`function` for the input's own batch size, traced once for all that runs it and what converts it."""
        return self.function(self.input.batch)

    def function(self, batch: int | None) -> Any:
        """The model as a function of TensorFlow: uint8 `[N,H,W,C]` named `image` -> a dict of float32 `[N,classes]`.

        It is traced when it is first called; eagerly, Keras would compile each grouped convolution anew for each batch.

        Args:
            batch: fixed N, or None.
        """
        tf, _ = require_tensorflow("the original model")
        image = tf.TensorSpec((batch, *self.input.shape), tf.uint8, name=INPUT)
        return tf.function(
            lambda image: {PROBABILITIES: self.model(image, training=False)}, autograph=False, input_signature=[image]
        )


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Images that evaluate or calibrate an exported model.

    Attributes:
        name: such as "fashion-mnist test".
        images: uint8 `[N,H,W,C]`.
        labels: int64 `[N]`; of a multi-label model `[N,labels]`, 1 where a label applies, else 0; None without labels.
        sha256: of the pixels (and labels).
    """

    name: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64] | None
    sha256: str


@dataclass(frozen=True, eq=False)
class RejectionSets:
    """Images that the threshold of an artifact is selected on.

    Attributes:
        validation: labelled images that nothing was learned from.
        others: images of other things, uint8 `[M,H,W,C]`, by the name of their group.
        goals: what the threshold must reach.
    """

    validation: EvaluationSet
    others: Mapping[str, npt.NDArray[np.uint8]]
    goals: Goals


@dataclass(frozen=True)
class QuantizeOptions:
    """How to quantize.

    Attributes:
        accuracy_control: leave in float what costs too much accuracy.
        max_drop_points: the accuracy drop, in points, that accuracy control aims for.
        seed: of everything random.
        any_cpu: select what predicts the same on every CPU, not what suits this one.
        keep_float: layers that stay in float, by their names in the Keras model.
        explain: of which int8 artifacts to measure what int8 does to each layer: none, those that fail their gate, or
            all.
    """

    accuracy_control: bool = False
    max_drop_points: float = MAX_DROP_POINTS
    seed: int = 0
    any_cpu: bool = False
    keep_float: tuple[str, ...] = ()
    explain: Literal["none", "failed", "all"] = "none"


_Made = TypeVar("_Made")


@dataclass(frozen=True, eq=False)
class BuildContext:
    """What a builder gets.

    Attributes:
        source: the model.
        scratch: folder shared by the builders of one export; intermediate models are stored there and built once.
        calibration: images from the training split; None where no target needs them.
        validation: labelled images that are not of the test split, for accuracy control and to estimate what int8
            loses; None without labels.
        quantize: how to quantize.
        static_batch: a fixed batch size, or None for a dynamic one.
        progress: called as work goes on.
        web_runtime: ONNX Runtime Web's files, which the web format needs; None without.
        board: name of the microcontroller board that a model for TFLM must fit; None for any.
    """

    source: SourceModel
    scratch: Path
    calibration: EvaluationSet | None = None
    validation: EvaluationSet | None = None
    quantize: QuantizeOptions = QuantizeOptions()
    static_batch: int | None = None
    progress: ProgressFn = silent
    web_runtime: WebRuntime | None = None
    board: str | None = None
    _made: dict[str, object] = field(default_factory=dict, init=False, repr=False)

    def once(self, name: str, make: Callable[[], _Made]) -> _Made:
        """What `make` returns, which is called for the first of the formats that have `name` in common.

        Where it raised an `EdgeFMError`, the others get the same one: what failed once would fail again, as slowly.
        """
        if name not in self._made:
            try:
                self._made[name] = make()
            except EdgeFMError as error:
                self._made[name] = error
        made = self._made[name]
        if isinstance(made, EdgeFMError):
            raise made
        return cast("_Made", made)


@dataclass(frozen=True)
class Built:
    """What a builder leaves in its folder.

    Attributes:
        payload: main file or folder, relative to the artifact's folder.
        quantization: the quantizer, its settings and what stayed in float; None for floats.
        graph: nodes, parameters and bytes of the payload.
        notes: for a person, one sentence each.
        explain: gives the `Explanation` (see `quantization.explanation`) of what int8 does to each layer; None where
            nothing can.
    """

    payload: str
    quantization: Mapping[str, Any] | None = None
    graph: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    explain: Callable[[], object] | None = None
