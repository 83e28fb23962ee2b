"""A Keras classifier that returns more than probabilities: its features, and maps of where it saw each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_fm_export.compat.tensorflow_setup import import_keras
from edge_fm_export.outputs.cam import find_class_maps
from edge_fm_export.outputs.head import Head, find_head
from edge_fm_runtime.artifacts.metadata import EXTRA_OUTPUTS, PROBABILITIES, OutputSpec
from edge_fm_runtime.errors import ExportError, ModelError

_HINT = "Leave --outputs out. The head that is supported: features, a Dense or Conv2D layer, a softmax or sigmoid."


@dataclass(frozen=True, eq=False)
class ExtraOutputs:
    """What an exported model returns beside its probabilities.

    Attributes:
        model: Keras model: uint8 `[N,H,W,C]` named `image` -> a dict of float32 tensors by the names of the outputs,
            `probabilities` among them. It shares its layers with the model that it was made from.
        specs: name, shape and meaning of each output but the probabilities, in the order of the exported file.
    """

    model: Any
    specs: tuple[OutputSpec, ...]


def check_outputs(names: str | Sequence[str]) -> tuple[str, ...]:
    """The named outputs, each once, in the order in which they are exported.

    Raises:
        ExportError: there is no such output.
    """
    if isinstance(names, str):
        names = names.split(",")
    unknown = [name for name in names if name not in EXTRA_OUTPUTS]
    if unknown:
        raise ExportError(
            f"There is no output {', '.join(map(repr, unknown))}; supported: {', '.join(EXTRA_OUTPUTS)}.",
            hint=f"Such as: edgefm export --outputs {EXTRA_OUTPUTS[0]}",
        )
    return tuple(name for name in EXTRA_OUTPUTS if name in names)


def require_outputs(model: Any, names: Sequence[str]) -> None:
    """Raise unless `model` can return these outputs; cheap, and before any other work.

    Raises:
        ExportError: there is no such output.
        ModelError: the model has no layer that gives it.
    """
    if wanted := check_outputs(names):
        head = _head(model)
        if "embedding" in wanted:
            _vector(head)
        if "cam" in wanted:
            find_class_maps(head)


def extra_outputs(model: Any, names: Sequence[str]) -> ExtraOutputs:
    """Build the model that returns these outputs too.

    Args:
        model: uint8 `[N,H,W,C]` named `image` -> float32 `[N,classes]` named `probabilities`.
        names: of `EXTRA_OUTPUTS`, at least one.

    Raises:
        ExportError: there is no such output.
        ModelError: the model has no layer that gives it.
    """
    keras = import_keras()
    wanted = check_outputs(names)
    head = _head(model)
    maps = find_class_maps(head) if "cam" in wanted else None
    extended = _with_tensors(keras, head, [head.features, *([] if maps is None else [maps.features])])
    probabilities, features, *of_maps = extended.outputs
    outputs: dict[str, Any] = {PROBABILITIES: probabilities}
    specs = []
    if "embedding" in wanted:
        size, meaning = _vector(head)
        vector = features if len(features.shape) == 2 else keras.layers.GlobalAveragePooling2D()(features)
        outputs["embedding"] = vector if vector.dtype == "float32" else keras.ops.cast(vector, "float32")
        specs.append(OutputSpec("embedding", (size,), meaning))
    if maps is not None:
        outputs["cam"] = maps.output(keras, *of_maps)
        specs.append(OutputSpec("cam", maps.shape, maps.meaning))
    return ExtraOutputs(keras.Model(extended.inputs[0], outputs, name=model.name), tuple(specs))


def _head(model: Any) -> Head:
    return find_head(model, problem="The features of this model cannot be found", hint=_HINT)


def _vector(head: Head) -> tuple[int, str]:
    """The length of the embedding, and what it is.

    Raises:
        ModelError: the features are no vector and no map `[N,H,W,C]`, or of unknown size.
    """
    shape, name = tuple(head.features.shape), head.layer.name
    if len(shape) not in (2, 4) or shape[-1] is None:
        raise ModelError(
            f"The features of this model cannot be exported: {name} reads {list(shape)}; supported are a vector "
            "[N,features] and a feature map [N,height,width,features].",
            hint=_HINT,
        )
    kind = type(head.layer).__name__
    if len(shape) == 2:
        return int(shape[-1]), f"the feature vector that the last layer with weights, {name} ({kind}), reads"
    return int(shape[-1]), f"the mean over all places of what the last layer with weights, {name} ({kind}), reads"


def _with_tensors(keras: Any, head: Head, tensors: Sequence[Any]) -> Any:
    """A model that returns the output of the outermost model, and these tensors of the innermost one."""
    *outer, inner = head.models
    extended = keras.Model(_input(inner), [inner.outputs[0], *tensors])
    for model, held in zip(reversed(outer), reversed(head.models[1:]), strict=True):
        extended = _around(keras, model, held, extended)
    return extended


def _input(model: Any) -> Any:
    """The one input of a model, or all of them; a list of one would not be called with a tensor alone."""
    return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def _around(keras: Any, model: Any, held: Any, extended: Any) -> Any:
    """`model` with `extended` in the place of the model `held` in it, and the tensors of that one as well."""
    found: list[list[Any]] = []

    def call(operation: Any, *arguments: Any, **options: Any) -> Any:
        if operation is not held:
            return operation(*arguments, **options)
        output, *tensors = extended(*arguments, **options)
        found.append(tensors)
        return keras.tree.pack_sequence_as(held.output, [output])

    copy = keras.models.clone_model(
        keras.Model(_input(model), model.outputs[0]), clone_function=lambda operation: operation, call_function=call
    )
    if len(found) != 1:
        raise ModelError(
            f"The features of this model cannot be found: {held.name} ({type(held).__name__}) is called "
            f"{len(found)} times.",
            hint=_HINT,
        )
    return keras.Model(_input(copy), [copy.outputs[0], *found[0]])
