"""TensorFlow SavedModel: the graph that every other format is made from, and an artifact of its own.

The variables are frozen into constants, as tf2onnx and OpenVINO do anyway: one trace serves every format, and the
same model gives the same bytes (a SavedModel with variables carries function names that count up within a process,
and a random fingerprint).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_fm_export.compat.tensorflow_graphs import freeze_variables, saved_model_message
from edge_fm_export.compat.tensorflow_setup import quiet, require_tensorflow
from edge_fm_export.context import INPUT, BuildContext, Built, SourceModel
from edge_fm_runtime.artifacts.metadata import PROBABILITIES, Metadata
from edge_fm_runtime.errors import ExportError

PAYLOAD = "saved_model"
VERSION = "1"
"""TensorFlow Serving looks for numbered versions: `saved_model/1/`."""
OUTPUT = PROBABILITIES
_MAX_PROTOBUF = (1 << 31) - 1


def saved_model(context: BuildContext) -> Path:
    """Return the frozen SavedModel's folder (the one that holds `saved_model.pb`), built once for each export.

    Signature `serving_default`: `image` uint8 `[N,H,W,C]` -> `probabilities` float32 `[N,classes]`, and the extra
    outputs that were requested; N is `context.static_batch` or free.

    Raises:
        ExportError: the model cannot be traced, or its weights exceed 2 GiB.
    """
    folder = context.scratch / "saved_model"
    if not (folder / "saved_model.pb").exists():
        tf, _ = require_tensorflow("export")
        with quiet():
            graph_def = frozen_graph(context.source, batch=context.static_batch)
            _write(tf, graph_def, folder, context.source.output_names)
    return folder


def build(context: BuildContext, folder: Path) -> Built:
    """Build the fp32 artifact: `saved_model/1/` as TensorFlow Serving lays it out."""
    target = folder / PAYLOAD / VERSION
    shutil.copytree(saved_model(context), target)
    graph_def = read_graph(target)
    nodes = sum(node.op not in ("Const", "Placeholder", "Identity", "NoOp") for node in graph_def.node)
    return Built(PAYLOAD, graph={"nodes": nodes})


def embed(payload: Path, text: str, metadata: Metadata) -> None:
    """A SavedModel has its metadata beside it, in `edgefm.json` alone: it is a folder already."""


def frozen_graph(source: SourceModel, *, batch: int | None = None) -> Any:
    """Trace the model and turn its variables into constants.

    Args:
        source: its extra outputs are the graph's, too.
        batch: fixed N, or None.

    Returns:
        tensorflow.GraphDef with the placeholder `image`, the output `probabilities` and the extra ones.
    """
    extra = None if source.extra is None else source.extra.model
    try:
        frozen = freeze_variables(_function(source, extra, batch).get_concrete_function())
        graph_def = frozen.graph.as_graph_def()
    except Exception as error:
        raise ExportError(
            f"TensorFlow cannot trace the model into a graph: {_first_line(error)}",
            hint="A model with Python control flow on tensor values, or with state, needs a layer rewritten "
            "with keras.ops; weights beyond 2 GiB do not fit.",
        ) from error
    # TensorFlow flattens a dict in the order of its keys.
    names = [OUTPUT] if extra is None else sorted(extra.output)
    for name, tensor in zip(names, frozen.outputs, strict=True):
        _name_output(graph_def, tensor.name, name)
    return graph_def


def _function(source: SourceModel, extra: Any, batch: int | None) -> Any:
    """The function of TensorFlow to trace; the one that the gate runs where it takes the same and returns the same."""
    if extra is None:
        return source.predict if batch == source.input.batch else source.function(batch)
    tf, _ = require_tensorflow("export")
    image = tf.TensorSpec((batch, *source.input.shape), tf.uint8, name=INPUT)
    return tf.function(lambda image: dict(extra(image, training=False)), autograph=False, input_signature=[image])


def read_graph(folder: Path) -> Any:
    """The GraphDef of the SavedModel in `folder`."""
    message = saved_model_message()
    message.ParseFromString((folder / "saved_model.pb").read_bytes())
    return message.meta_graphs[0].graph_def


def graph_operators(folder: Path) -> set[str]:
    """Names of the operators in the SavedModel's graph and in the functions that it calls."""
    graph = read_graph(folder)
    functions = (node for function in graph.library.function for node in function.node_def)
    return {node.op for nodes in (graph.node, functions) for node in nodes}


def _name_output(graph_def: Any, tensor: str, output: str) -> None:
    """Drop what is no part of the outputs (NoOp control nodes) and give an output, an Identity, its name."""
    source = tensor.removesuffix(":0")
    nodes = [node for node in graph_def.node if node.op != "NoOp" and node.name != source]
    (last,) = (node for node in graph_def.node if node.name == source)
    names = {node.name for node in nodes}
    if output in names:
        raise ExportError(
            f"The traced graph has an inner node named {output!r}, the name of the output.",
            hint="Rename that layer of the model.",
        )
    renamed = type(last)()
    renamed.CopyFrom(last)
    renamed.name = output
    nodes.append(renamed)
    for node in nodes:
        inputs = [i for i in node.input if not (i.startswith("^") and i[1:] not in names)]
        del node.input[:]
        node.input.extend(inputs)
    del graph_def.node[:]
    graph_def.node.extend(nodes)


def _write(tf: Any, graph_def: Any, folder: Path, outputs: Sequence[str]) -> None:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
        image, *results = (graph.get_tensor_by_name(f"{name}:0") for name in (INPUT, *outputs))
        signature = tf.compat.v1.saved_model.predict_signature_def(
            {INPUT: image}, dict(zip(outputs, results, strict=True))
        )
        with tf.compat.v1.Session(graph=graph) as session:
            builder = tf.compat.v1.saved_model.Builder(str(folder))
            builder.add_meta_graph_and_variables(
                session, [tf.saved_model.SERVING], {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature}
            )
            written = Path(tf.compat.as_str(builder.save()))
    # Written again, as protobuf maps have no order of their own.
    message = saved_model_message()
    message.ParseFromString(written.read_bytes())
    data = message.SerializeToString(deterministic=True)
    if len(data) > _MAX_PROTOBUF:
        raise ExportError("The model's graph exceeds protobuf's 2 GiB.", hint="Export a smaller model.")
    written.write_bytes(data)
    # There are no variables; git, zip and the like would lose the empty folder anyway.
    shutil.rmtree(folder / "variables", ignore_errors=True)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
