"""Wrap a third-party Keras classifier: uint8 pixels in, probabilities out, scaling inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings

from edge_fm_export.class_labels import labels_or_numbers
from edge_fm_export.compat.tensorflow_setup import require_tensorflow
from edge_fm_export.context import SourceModel
from edge_fm_export.third_party_models.files import load_model, name_of
from edge_fm_export.third_party_models.fixed_batch import takes_one_size_alone
from edge_fm_export.third_party_models.float32 import as_float32, rebuilt_note
from edge_fm_export.third_party_models.input_layout import ModelInput, arrange, describe_shape, model_input
from edge_fm_export.third_party_models.keras_file import sha256_of
from edge_fm_export.third_party_models.names import make_names_fit
from edge_fm_export.third_party_models.pixel_scaling import Preprocessing, apply_preprocessing
from edge_fm_export.third_party_models.probabilities import as_probabilities
from edge_fm_export.third_party_models.scale_detection import examine, notes_on_scale
from edge_fm_export.third_party_models.scaling_trial import TracedScalingTrial
from edge_fm_export.third_party_models.traced import TracedModel
from edge_fm_runtime.artifacts.metadata import InputSpec, PhotoSpec
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.brief_errors import brief


def load_third_party_model(
    path: str | Path,
    *,
    model: Any = None,
    labels: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    trust: bool = False,
    photo: PhotoSpec | None = None,
    input_size: tuple[int, int] | None = None,
) -> SourceModel:
    """Open a third-party classifier and wrap it so that it takes pixels and returns probabilities.

    Logits (recognised by predictions for a few images) get a softmax, a single sigmoid becomes two classes, and what
    pixels need goes in front. The result's `notes` list everything added.

    Args:
        path: a `.keras` or `.h5` file, a SavedModel folder, or TensorFlow Serving's folder of numbered ones.
        model: the Keras model, where it has been loaded from `path` already.
        labels: one for each class; None names them class_0, class_1, ...
        preprocessing: what the model needs done to pixels; None leaves them 0..255, as floats.
        trust: run code that the file carries.
        photo: how a photo becomes the input.
        input_size: height and width, for models that take any.

    Raises:
        ModelError: it is no image classifier, the labels are not as many as the classes, or it carries code and `trust`
            is False.
        MissingDependencyError: Keras or TensorFlow is not installed.

    Example:
        >>> load_third_party_model("mobilenet.keras", preprocessing=find_preset("mobilenet_v2"))  # doctest: +SKIP
    """
    path = Path(path)
    _, keras = require_tensorflow("loading a Keras model")
    if model is None:
        model = load_model(path, trust=trust)
    model, had = as_float32(model, path, trust=trust)
    model = _with_plain_input(keras, model)
    had = had or getattr(model, "rebuilt_from", None)
    make_names_fit(keras, model)
    taken = model_input(model, path, input_size)
    if not takes_one_size_alone(model, taken):
        taken = replace(taken, batch=None)
    pick, classes = _classes(keras, model, taken, path)
    size = (taken.height, taken.width, taken.channels)
    notes = [] if had is None else [rebuilt_note(had)]
    image = keras.Input(batch_shape=(taken.batch, *size), dtype="uint8", name="image")
    pixels = _pixels(keras, image, taken, preprocessing, path, notes)
    traced = _traced(model, taken, path)
    if classes == 1 and traced.activation in ("softmax", "tanh"):
        raise ModelError(
            f"{path} returns one value with a {traced.activation}, which is no probability of yes or no.",
            hint="Train it with activation='sigmoid' on its last layer, or with one output for each class.",
        )
    warnings = _examine_scale(traced, taken, model, path, preprocessing, notes)
    scores = keras.Model(image, pick(model(arrange(keras, pixels, taken))))
    features = _warn_of_features(traced, classes, path, notes) if labels is None else ()
    probabilities, task = as_probabilities(keras, scores, traced.activation, classes, path, notes)
    wrapped = keras.Model(image, probabilities, name="classifier")
    count = 2 if classes == 1 else classes
    return SourceModel(
        name=name_of(path),
        model=wrapped,
        input=InputSpec(*size, batch=taken.batch),
        labels=labels_or_numbers(labels, count, path),
        named=labels is not None,
        photo=_photo(photo, taken, notes),
        sha256=sha256_of(path),
        notes=tuple(notes),
        warnings=(*warnings, *features),
        scaling_trial=TracedScalingTrial(traced, taken, preprocessing) if _takes_floats(taken) else None,
        preprocessing=None if preprocessing is None else preprocessing.to_json(),
        task=task,
    )


def _with_plain_input(keras: Any, model: Any) -> Any:
    """The model with its one input as a tensor, where it takes a dict or a list of one."""
    structure = getattr(model, "input", None) if isinstance(model, keras.Model) else None
    if isinstance(structure, (dict, list, tuple)) and len(model.inputs) == 1:
        return keras.Model(model.inputs[0], model.outputs, name=model.name)
    return model


def _classes(keras: Any, model: Any, taken: ModelInput, path: Path) -> tuple[Any, int]:
    """The number of classes, and a function that takes the output out of a dict or list of one."""
    if model.count_params() == 0 and not getattr(model, "holds_frozen_graph", False):
        raise ModelError(f"{path} has no weights: there is nothing to export.", hint="Train it, and save it again.")
    image = keras.KerasTensor((taken.batch, *taken.shape), dtype=taken.dtype)
    try:
        with _softmax_over_one_value():
            output = model(image)
    except Exception as error:
        raise _cannot_call(error, taken, path) from error
    flat = keras.tree.flatten(output)
    hint = "A classifier returns one tensor [N,classes]."
    if len(flat) != 1:
        shapes = ", ".join(describe_shape(tuple(t.shape)) for t in flat)
        raise ModelError(
            f"{path} has {len(flat)} outputs: {shapes}.",
            hint=hint + " Take the one with the classes: keras.Model(model.input, model.output[0])",
        )
    shape = tuple(flat[0].shape)
    # A head of convolutions leaves sides of one pixel.
    sides, classes = shape[1:-1], shape[-1]
    if len(shape) < 2 or classes is None or classes < 1 or any(side != 1 for side in sides):
        kind = {3: "a sequence", 4: "a map of features or segments"}.get(len(shape), "no classes")
        raise ModelError(
            f"{path} returns {describe_shape(shape)}, {kind}.",
            hint=hint + " A backbone needs a head: GlobalAveragePooling2D and Dense(classes, activation='softmax').",
        )

    def pick(value: Any) -> Any:
        (tensor,) = keras.tree.flatten(value)
        return keras.layers.Reshape((classes,), name="classes_alone")(tensor) if sides else tensor

    return pick, int(classes)


def _traced(model: Any, taken: ModelInput, path: Path) -> TracedModel:
    try:
        with _softmax_over_one_value():
            return TracedModel(model, taken)
    except Exception as error:  # whatever its layers raise
        raise _cannot_call(error, taken, path) from error


@contextmanager
def _softmax_over_one_value() -> Iterator[None]:
    """Hide Keras' warning of a softmax over one value: such a model is refused, with what to do about it."""
    with catch_warnings():
        filterwarnings("ignore", message="You are using a softmax over axis")
        yield


def _cannot_call(error: Exception, taken: ModelInput, path: Path) -> ModelError:
    size = f"{taken.height}x{taken.width}"
    return ModelError(
        f"{path} does not take images of {size}x{taken.channels}: {brief(error)}",
        hint="If it was trained on another size: --input-size HEIGHTxWIDTH. Otherwise the model itself fails: "
        "model.predict in the Keras that is installed here shows where.",
    )


def _photo(requested: PhotoSpec | None, taken: ModelInput, notes: list[str]) -> PhotoSpec:
    """How a photo becomes the input: by default as Keras' own loader of image folders does it."""
    if taken.channels not in (1, 3):
        notes.append(
            f"The model takes {taken.channels} channels, and photos give 1 (grey) or 3 (RGB): the artifact takes "
            "arrays with all its channels, from an .npz file or by Classifier.predict_pixels, and no photos."
        )
        return requested or PhotoSpec("stretch")
    if requested is not None:
        return requested
    notes.append(
        f"Photos are stretched to {taken.height}x{taken.width}, as keras.utils.image_dataset_from_directory does; "
        "--photo fit keeps their proportions, --photo crop cuts the centre."
    )
    return PhotoSpec("stretch")


def _pixels(
    keras: Any,
    image: Any,
    taken: ModelInput,
    preprocessing: Preprocessing | None,
    path: Path,
    notes: list[str],
) -> Any:
    """The values that the model takes, `[N,H,W,C]`, from uint8 pixels."""
    if taken.arranged:
        notes.append(
            f"The model takes {describe_shape((None, *taken.shape))}: each image, "
            f"{taken.height}x{taken.width}x{taken.channels}, is brought into that shape row by row."
        )
    if not _takes_floats(taken):
        if preprocessing is not None and not preprocessing.identity:
            raise ModelError(
                f"{path} takes {taken.dtype} pixels, so they cannot be scaled in front of it.",
                hint="Leave out --preset, --input-scale, --mean and --std: its scaling is inside.",
            )
        return image if taken.dtype == "uint8" else keras.ops.cast(image, taken.dtype)
    if preprocessing is None:
        return keras.ops.cast(image, taken.dtype)
    return apply_preprocessing(keras, image, preprocessing, taken.channels, taken.dtype)


def _examine_scale(
    traced: TracedModel,
    taken: ModelInput,
    model: Any,
    path: Path,
    preprocessing: Preprocessing | None,
    notes: list[str],
) -> tuple[str, ...]:
    """Add notes on the scaling of pixels to `notes`; returns those of them that are warnings."""
    if not _takes_floats(taken):
        return ()
    remarks, warnings = notes_on_scale(examine(traced, taken), traced, taken, model, path.stem, preprocessing)
    notes += [*remarks, *warnings]
    return tuple(warnings)


def _takes_floats(taken: ModelInput) -> bool:
    return taken.dtype.startswith(("float", "bfloat"))


def _warn_of_features(traced: TracedModel, classes: int, path: Path, notes: list[str]) -> tuple[str, ...]:
    """A warning, added to `notes` too, where the output looks like features of an image in place of its classes."""
    if traced.ends_in is None:
        return ()
    warning = (
        f"{path.stem} ends in {traced.ends_in}: its {classes} values look like features, not like classes. A softmax "
        "over features is no prediction. Add a layer that is trained for the classes, Dense(classes, "
        "activation='softmax'); if these are class scores, name the classes: --labels FILE."
    )
    notes.append(warning)
    return (warning,)
