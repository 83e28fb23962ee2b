"""Read a third-party model from `.keras`, `.h5` or SavedModel; code in it runs only if it is trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_fm_export.compat.tensorflow_graphs import freeze_variables
from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.inference_config import inference_config
from edge_fm_export.savedmodel.safety import require_safe_graph
from edge_fm_export.third_party_models import safety
from edge_fm_export.third_party_models.float32 import graph_as_float32
from edge_fm_export.third_party_models.keras2 import (
    KerasVersion,
    h5_version,
    keras2_advice,
    keras_file_version,
    operations,
    to_keras3,
)
from edge_fm_export.third_party_models.keras_file import cannot_load, h5_described_by, load_keras_file, read_config
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.brief_errors import brief

_RANDOM_OPERATORS = (
    "Random",
    "StatelessRandom",
    "StatefulUniform",
    "StatefulStandardNormal",
    "StatefulTruncatedNormal",
    "Rng",
)
_ENDPOINTS = ("serving_default", "serve", "call")


def load_model(path: Path, *, trust: bool = False) -> Any:
    """Load the model at `path`, uncompiled.

    Returns:
        keras.Model

    Raises:
        ModelError: it is no model, it carries code and `trust` is False, the code of custom layers is missing, or Keras
            cannot read it.
    """
    folder = find_saved_model(path)
    if folder is not None:
        return _load_saved_model(folder, trust=trust)
    if path.suffix.lower() == ".keras":
        return _load_keras(path, trust=trust)
    if path.suffix.lower() in (".h5", ".hdf5"):
        return _load_h5(path, trust=trust)
    raise ModelError(
        f"{path} is no model that can be opened; supported are .keras, .h5 and SavedModel folders.",
        hint="Save it with model.save('model.keras'), or export it with model.export('folder').",
    )


def find_saved_model(path: Path) -> Path | None:
    """The folder with `saved_model.pb` at `path`: itself, or the newest version in TensorFlow Serving's layout."""
    if not path.is_dir():
        return None
    versions = [p for p in path.iterdir() if p.name.isdigit() and (p / "saved_model.pb").is_file()]
    if (path / "saved_model.pb").is_file():
        return path
    return max(versions, key=lambda p: int(p.name), default=None)


def name_of(path: Path) -> str:
    """What to call the model at `path`: the file's or folder's name, and not a version number."""
    stem = path.stem if path.is_file() else path.resolve().name
    parent = path.resolve().parent.name
    return parent if stem.isdigit() and parent else stem


def _load_keras(path: Path, *, trust: bool) -> Any:
    written = read_config(path)
    _, keras = require_tensorflow("loading a Keras model")
    version = keras_file_version(path)
    config = _prepared(written, path, version, trust=trust)
    with keras.saving.custom_object_scope(_objects(config, path, version, trust=trust)):
        # Keras itself leaves the outermost compile configuration out.
        same = config == {key: value for key, value in written.items() if key != "compile_config"}
        return load_keras_file(path, trust=trust, config=None if same else config, version=version)


def _load_h5(path: Path, *, trust: bool) -> Any:
    _, keras = require_tensorflow("loading a Keras model")
    written = safety.read_h5_config(path)
    version = h5_version(path)
    config = _prepared(written, path, version, trust=trust)
    try:
        with quiet(), keras.saving.custom_object_scope(_objects(config, path, version, trust=trust)):
            if version.is_keras2:
                model = keras.saving.deserialize_keras_object(config, safe_mode=not trust)
                with h5_described_by(path, None) as file:
                    model.load_weights(file)
                return model
            with h5_described_by(path, None if config == written else config) as file:
                return keras.saving.load_model(file, compile=False, safe_mode=not trust)
    except ModelError:
        raise
    except Exception as error:
        raise cannot_load(error, path, version) from error


def _prepared(written: dict[str, Any], path: Path, version: KerasVersion, *, trust: bool) -> dict[str, Any]:
    """The description from which Keras 3 builds a model with the same predictions; code is refused unless trusted."""
    config = inference_config(written)
    advice = keras2_advice(path, version) if version.is_keras2 else None
    safety.require_safe(config, path, trust=trust, advice=advice)
    return to_keras3(config, path, version) if version.is_keras2 else config


def _objects(config: dict[str, Any], path: Path, version: KerasVersion, *, trust: bool) -> dict[str, Any]:
    """The classes that the description names and Keras does not have."""
    ours = operations.custom_objects() if version.is_keras2 else {}
    found = safety.inspect_config(config)
    custom = tuple(cls for cls in found.custom if cls.registered not in ours)
    advice = keras2_advice(path, version) if version.is_keras2 else None
    return ours | safety.custom_objects(replace(found, custom=custom), path, trust=trust, advice=advice)


def _load_saved_model(folder: Path, *, trust: bool) -> Any:
    """Wrap a SavedModel's signature in a Keras model.

    keras.layers.TFSMLayer does this too, but not for signatures that take their input by name.
    """
    tf, keras = require_tensorflow("loading a SavedModel")
    require_safe_graph(folder, trust=trust)
    try:
        with quiet():
            loaded = tf.saved_model.load(str(folder))
    except Exception as error:
        raise ModelError(
            f"TensorFlow {tf.__version__} cannot load {folder}: {brief(error)}", hint="Export it again."
        ) from error
    signatures = dict(loaded.signatures)
    endpoint = next((name for name in _ENDPOINTS if name in signatures), next(iter(sorted(signatures)), None))
    if endpoint is None:
        raise ModelError(
            f"{folder} has no signature, which would name its inputs and outputs.",
            hint="Export it with model.export('folder'), which adds one.",
        )
    signature = signatures[endpoint]
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        tensors = "; ".join(
            f"{what} " + ", ".join(f"{name} {list(spec.shape)}" for name, spec in sorted(specs.items()))
            for what, specs in (("takes", inputs), ("returns", outputs))
        )
        raise ModelError(
            f"The signature {endpoint!r} of {folder} {tensors}.",
            hint="A classifier of images takes one tensor [N,height,width,channels] and returns one [N,classes].",
        )
    ((name, spec),) = inputs.items()
    if spec.shape.rank is None:
        raise ModelError(
            f"The signature {endpoint!r} of {folder} takes a tensor of any shape.",
            hint="Export it with the shape of its images: model.export('folder', input_signature=[...]).",
        )
    return _wrap(tf, keras, signature, name, spec, folder)


def _wrap(tf: Any, keras: Any, signature: Any, name: str, spec: Any, folder: Path) -> Any:
    """A Keras model around a signature, its variables made constants.

    The frozen graph is imported anew for each shape of input, so that every inner shape is known to who traces the
    model; a call of the signature itself would hide them behind the open batch that it was saved with.
    """
    try:
        with quiet():
            frozen = freeze_variables(signature)
            graph_def = frozen.graph.as_graph_def()
    except Exception as error:
        functions = signature.graph.as_graph_def().library.function
        _refuse_random((node for function in functions for node in function.node_def), folder)
        raise ModelError(
            f"TensorFlow {tf.__version__} cannot freeze {folder}: {brief(error)}",
            hint="A classifier is a pure function of its pixels; export it without lookup tables and state.",
        ) from error
    with quiet():
        needed = tf.compat.v1.graph_util.extract_sub_graph(graph_def, [frozen.outputs[0].op.name])
    _refuse_random(_reached(needed.node, graph_def.library.function), folder)
    had = graph_as_float32(graph_def)
    dtype = "float32" if spec.dtype.is_floating else spec.dtype.name
    source, output = frozen.inputs[0].name, frozen.outputs[0].name

    def run(inputs: Any) -> Any:
        (result,) = tf.graph_util.import_graph_def(graph_def, input_map={source: inputs}, return_elements=[output])
        return result

    eager = tf.function(run, autograph=False)

    class SavedModelLayer(keras.layers.Layer):  # type: ignore[misc]
        """Runs the frozen graph."""

        def call(self, inputs: Any) -> Any:
            # Within a trace, not through `eager`: that would take the graph it made for the open batch.
            return eager(inputs) if tf.executing_eagerly() else run(inputs)

    image = keras.Input(batch_shape=tuple(spec.shape), dtype=dtype, name=name)
    layer = SavedModelLayer(name="saved_model", dtype="float32")
    model = keras.Model(image, layer(image), name="saved" if folder.name.isdigit() else folder.name)
    # Its weights are constants of the graph: count_params returns 0.
    model.holds_frozen_graph = True
    model.rebuilt_from = had
    return model


def _reached(nodes: Iterable[Any], functions: Iterable[Any]) -> Iterator[Any]:
    """The nodes, and those of the functions that they call, such as the branches of a condition."""
    bodies = {function.signature.name: function.node_def for function in functions}
    seen: set[str] = set()
    todo = list(nodes)
    while todo:
        node = todo.pop()
        yield node
        for value in node.attr.values():
            for called in (value.func, *value.list.func):
                if called.name in bodies and called.name not in seen:
                    seen.add(called.name)
                    todo += bodies[called.name]


def _refuse_random(nodes: Iterable[Any], folder: Path) -> None:
    """Refuse a graph that draws random numbers: it predicts something else at each call.

    Keras' `model.export` leaves augmentation layers as they are in training.
    """
    drawing = next((node.name for node in nodes if node.op.startswith(_RANDOM_OPERATORS)), None)
    if drawing is not None:
        layer = "/".join(drawing.split("/")[-3:-1]) or drawing
        raise ModelError(
            f"{folder} changes its images at random ({layer}): it was exported with augmentation or noise switched on, "
            "so it predicts something else at each call.",
            hint="Give the .keras file (model.save('model.keras')), where such layers are off, or export the model "
            "without them.",
        )
