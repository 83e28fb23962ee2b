"""ONNX: fp32 through tf2onnx, fp16 through ONNX Runtime's float16 converter, metadata under one key."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edge_fm_export.compat.tensorflow_graphs import inline_functions
from edge_fm_export.compat.tensorflow_setup import captured_errors, quiet, require_tensorflow
from edge_fm_export.compat.tf2onnx_patches import operator_handlers, spread_scalars, without_graph_copies
from edge_fm_export.context import INPUT, BuildContext, Built
from edge_fm_export.onnx.graph_edits import to_bytes
from edge_fm_export.onnx.graph_rewrites import finalize, simplify
from edge_fm_export.onnx.quantizable_nodes import scaling_nodes
from edge_fm_export.packages import require_package
from edge_fm_export.savedmodel.resizing import require_usual_resizing
from edge_fm_export.savedmodel.savedmodel_format import graph_operators, read_graph, saved_model
from edge_fm_runtime.artifacts.metadata import EMBEDDED_KEY, Metadata
from edge_fm_runtime.errors import ConversionWarning, ExportError

PAYLOAD = "model.onnx"
OPSET = 17
"""tf2onnx writes up to 18; at 18 its global pooling needs a Transpose, at 17 it does not."""

_SCALING = ("Cast", "Mul", "Add", "Sub", "Div", "Transpose", "Reshape")


def fp32_model(context: BuildContext) -> Path:
    """Return the simplified fp32 ONNX model, built once for each export.

    Input `image` uint8 `[N,H,W,C]`, output `probabilities` float32 `[N,classes]`, then extra outputs; N is
    `context.static_batch` or free; opset 17, batch normalization folded, `onnx.checker` passed, no metadata.

    Raises:
        ExportError: tf2onnx cannot convert the model.
    """
    path = context.scratch / "fp32.onnx"
    if not path.exists():
        folder = saved_model(context)
        require_usual_resizing(graph_operators(folder), "ONNX")
        path.write_bytes(to_bytes(simplify(_convert(read_graph(folder), context.source.output_names))))
    return path


def build_fp32(context: BuildContext, folder: Path) -> Built:
    """Build the fp32 artifact's `model.onnx`."""
    data = fp32_model(context).read_bytes()
    (folder / PAYLOAD).write_bytes(data)
    return Built(PAYLOAD, graph=describe(folder / PAYLOAD))


def build_fp16(context: BuildContext, folder: Path) -> Built:
    """Build the fp16 artifact's `model.onnx`: weights and arithmetic in half precision, pixels in, float32 out."""
    path, notes = context.once("onnx fp16", partial(_half_model, context))
    (folder / PAYLOAD).write_bytes(path.read_bytes())
    return Built(PAYLOAD, graph=describe(folder / PAYLOAD), notes=notes)


def _half_model(context: BuildContext) -> tuple[Path, tuple[str, ...]]:
    """Convert the fp32 model to half precision: its file, and notes for a person."""
    import onnx

    require_package("onnxruntime", "ONNX fp16")
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = onnx.load(fp32_model(context))
    scaling = scaling_nodes(model.graph, _SCALING)  # in half precision it would round pixels
    with quiet():
        half = convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(scaling))
    _join_casts(half.graph)
    half = finalize(onnx.shape_inference.infer_shapes(half))
    path = context.scratch / "fp16.onnx"
    path.write_bytes(to_bytes(half))
    return path, ("The scaling of the pixels stays in float32.",) if scaling else ()


def embed(payload: Path, text: str, metadata: Metadata) -> None:
    """Write `text` into the model's `metadata_props` under the one key."""
    import onnx

    model = onnx.load(payload)
    del model.metadata_props[:]
    model.metadata_props.add(key=EMBEDDED_KEY, value=text)
    payload.write_bytes(to_bytes(model))


def describe(payload: Path) -> dict[str, int]:
    """Nodes and parameters (elements of float and integer weights) of an ONNX file."""
    import math

    import onnx

    graph = onnx.load(payload).graph
    weights = [math.prod(t.dims) for t in graph.initializer if t.data_type != onnx.TensorProto.INT64]
    return {"nodes": len(graph.node), "parameters": sum(weights)}


def _convert(graph_def: Any, outputs: Sequence[str]) -> Any:
    require_tensorflow("ONNX export")
    require_package("tf2onnx", "ONNX export")
    with quiet(), captured_errors("tf2onnx") as log_lines:
        import tf2onnx

        graph_def = spread_scalars(inline_functions(graph_def, inputs=[INPUT], outputs=list(outputs)))
        convert = partial(
            tf2onnx.convert.from_graph_def,
            graph_def,
            name="classifier",
            input_names=[f"{INPUT}:0"],
            output_names=[f"{name}:0" for name in outputs],
            tensors_to_rename={f"{name}:0": name for name in (INPUT, *outputs)},
            custom_op_handlers=operator_handlers(),
            opset=OPSET,
        )
        try:
            try:
                with without_graph_copies():
                    model, _ = convert()
            except Exception as error:  # noqa: BLE001 - whatever tf2onnx raises
                # Perhaps one of its optimizers alone failed: as it comes, it leaves that one out.
                log_lines.clear()
                model, _ = convert()
                _warn_of_copies(error)
        except Exception as error:
            raise ExportError(
                f"tf2onnx cannot convert the model at opset {OPSET}: {'; '.join(log_lines) or error}", hint=_REWRITE
            ) from error
    _require_operators(model, log_lines)
    return model


def _warn_of_copies(error: Exception) -> None:
    warnings.warn(
        f"tf2onnx converted the model only as it comes, in more time and memory: {type(error).__name__}: {error}",
        ConversionWarning,
        stacklevel=3,
    )


_REWRITE = "Rewrite the layer that needs it with usual Keras layers, or try --format savedmodel."


def _require_operators(model: Any, log_lines: list[str]) -> None:
    import onnx

    unknown = sorted(
        {n.op_type for n in model.graph.node if n.domain not in ("", "ai.onnx") or not onnx.defs.has(n.op_type)}
    )
    if unknown:
        raise ExportError(
            f"ONNX has no operator for {', '.join(unknown)} of the model. {' '.join(log_lines)}".strip(), hint=_REWRITE
        )


def _join_casts(graph: Any) -> None:
    """Undo the halving and widening that the converter puts between two nodes that both stay in float32."""
    import onnx

    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    makers = {output: node for node in graph.node for output in node.output}
    joined: dict[str, str] = {}
    for node in graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "Cast" else None
        if maker is not None and maker.op_type == "Cast" and (_to(maker), _to(node)) == (half, single):
            joined[node.output[0]] = maker.input[0]
    for node in graph.node:
        inputs = [joined.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(inputs)


def _to(cast: Any) -> int:
    return next(int(attribute.i) for attribute in cast.attribute if attribute.name == "to")
