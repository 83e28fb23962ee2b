"""Leave in float what costs too much accuracy, and nothing more: layers ranked by their quantization error."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import BuildContext
from edge_fm_export.onnx import quantizable_nodes as onnx_graph
from edge_fm_export.onnx.int8_quantizer import PixelReader, finalize_int8, predictor, quantize_file
from edge_fm_export.onnx.weight_only_int8 import store_onnx_weights
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.cpu import integer_settings
from edge_fm_export.quantization.selection import note_on_weights, select_float_layers, select_int8_weights
from edge_fm_export.quantization.steering import Drop, predict_all, steering_images

_RANKING_IMAGES = 64

Floats = npt.NDArray[np.float32]
Quantize = Callable[[Collection[str], Path], object]


@dataclass(frozen=True)
class Controlled:
    """What accuracy control did: `record` goes into the metadata, `notes` to the person."""

    record: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())


def control_onnx(context: BuildContext, prepared: Path, quantize: Quantize, target: Path) -> Controlled:
    """Write the quantized model to `target`, with the fewest layers in float that bring the drop under the limit.

    Args:
        context: whose `quantize.max_drop_points` is the limit.
        prepared: the float model that is quantized.
        quantize: quantizes all but the nodes named, into a path.
        target: the `.onnx` to write.

    Raises:
        ExportError: no layer can be int8 within the limit.
    """
    steering = steering_images(context)
    static = context.static_batch
    original = predict_all(predictor(prepared), steering.images, static)
    trial = context.scratch / "int8-trial.onnx"
    ranked = rank_layers(context, prepared)
    everything = _compute_nodes(prepared)
    layers = [name for name in ranked if name in everything]
    tried: dict[tuple[str, frozenset[str]], Drop] = {}

    def measure(how: str, kept: frozenset[str]) -> float:
        if kept >= everything:
            return 0.0  # nothing is quantized: the original itself
        if (how, kept) not in tried:
            context.progress("accuracy control", len(tried), None)
            if how == "quantize":
                quantize(kept, trial)
            else:
                store_onnx_weights(prepared, trial, keep=kept)
            tried[how, kept] = steering.drop(predict_all(predictor(trial), steering.images, static), original)
        return tried[how, kept].cautious_points

    limit = context.quantize.max_drop_points
    notes = (steering.note,) if steering.note else ()
    extra: dict[str, Any] = {}
    kept = select_float_layers(ranked, lambda out: measure("quantize", out), limit)
    if kept is None or kept >= everything:
        alone = select_int8_weights(layers, lambda out: measure("store", out), limit_points=limit)
        float_weights = frozenset(layers) - set(alone)
        store_onnx_weights(prepared, target, keep=float_weights)
        finalize_int8(target)
        drop, kept, notes = tried["store", float_weights], frozenset(layers), (*notes, note_on_weights(alone))
        extra["weights_int8"] = list(alone)
    else:
        quantize(kept, target)
        drop = tried["quantize", kept]
    trial.unlink(missing_ok=True)
    record = {
        "method": "worst channels first by signal-to-noise ratio (onnxruntime qdq_loss_debug), bisected",
        "max_drop_points": limit,
        "plain_drop_points": tried["quantize", frozenset()].points,
        "drop_points": drop.points,
        "drop_error_points": drop.error_points,
        "images": len(steering.images),
        "tries": len(tried),
    }
    order = [name for name in ranked if name in kept]
    return Controlled({"accuracy_control": record, "kept_float": order, **extra}, notes)


def rank_layers(context: BuildContext, prepared: Path) -> list[str]:
    """Names of the quantizable nodes, the one with the largest quantization error first.

    ORT's debugging tools give each activation before and after its quantization, and each weight. A node's error is
    that of the worst of the tensors it touches, and a tensor's is that of its worst-served channels: over a whole
    tensor, one channel a thousand times larger than the others hides that these have been lost.
    """
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    calibration = require_calibration(context)
    scratch = context.scratch
    plain, augmented = scratch / "int8-rank.onnx", scratch / "int8-rank-all.onnx"
    quantize_file(
        prepared,
        plain,
        batches(calibration.images, static=context.static_batch),
        settings=replace(integer_settings(), reduce_range=False),
        final=False,
    )
    debug.modify_model_output_intermediate_tensors(str(plain), str(augmented))
    model = onnx.load(prepared)
    images = calibration.images[: max(_RANKING_IMAGES, context.static_batch or 1)]
    reader = PixelReader(model.graph.input[0].name, batches(images, static=context.static_batch, size=16))
    matched = debug.create_activation_matching(debug.collect_activations(str(augmented), reader))
    channels = _channels(plain)
    ratios = {
        name: _worst_channels_db(pair["pre_qdq"], pair["post_qdq"], channels.get(name))
        for name, pair in matched.items()
    }
    weights = debug.compute_weight_error(debug.create_weight_matching(str(prepared), str(plain)))
    for path in (plain, augmented):
        path.unlink()
    by_name = {node.name: node for node in model.graph.node}
    scores = {
        name: min(
            [ratios[t] for t in sorted(tensors) if t in ratios]
            + [weights[w] for w in by_name[name].input[1:2] if w in weights],
            default=np.inf,
        )
        for name, tensors in onnx_graph.touched_tensors(model.graph)
    }
    return sorted(scores, key=lambda name: (scores[name], name))


def _channels(model: Path) -> dict[str, tuple[int, int]]:
    """Channels of each activation (the second side, as ONNX has it), and elements of each channel."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(onnx.load(model)).graph
    sides = {}
    for value in (*graph.value_info, *graph.output):
        inner = [side.dim_value for side in value.type.tensor_type.shape.dim][1:]
        if inner and all(inner):
            sides[value.name] = (inner[0], math.prod(inner[1:]))
    return sides


def _worst_channels_db(before: Sequence[Floats], after: Sequence[Floats], sides: tuple[int, int] | None) -> float:
    """Signal-to-noise ratio in dB of the channel at the lower quartile; dead channels do not count."""
    left, right = np.concatenate(before).ravel(), np.concatenate(after).ravel()
    channels, inner = sides or (1, left.size)
    shape = (-1, channels, inner)
    signal = np.square(left.astype(np.float64)).reshape(shape).sum(axis=(0, 2))
    noise = np.square((left - right).astype(np.float64)).reshape(shape).sum(axis=(0, 2))
    alive = signal > 0
    if not alive.any():
        return float("inf")
    floor = np.finfo(np.float64).tiny
    ratios = np.sort(10.0 * (np.log10(signal[alive]) - np.log10(np.maximum(noise[alive], floor))))
    return float(ratios[len(ratios) // 4])


def _compute_nodes(prepared: Path) -> frozenset[str]:
    import onnx

    graph = onnx.load(prepared).graph
    quantizable = set(onnx_graph.quantizable(graph))
    return frozenset(n.name for n in graph.node if n.op_type in onnx_graph.COMPUTE and n.name in quantizable)
