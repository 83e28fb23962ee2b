"""OpenVINO int8 with as many layers in float, or computing in float, as the accuracy needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edge_fm_export.context import BuildContext
from edge_fm_export.openvino.ir_float_layers import CONVOLUTION
from edge_fm_export.openvino.quantizer import (
    advanced,
    compile_model,
    dataset,
    failed,
    is_quantized,
    layer_names,
    runner,
    settings,
    silent_nncf,
)
from edge_fm_export.quantization.calibration import require_calibration
from edge_fm_export.quantization.selection import note_on_weights, select_int8_weights
from edge_fm_export.quantization.steering import Drop, SteeringImages, predict_all

_RANKING_IMAGES = 300


def control_openvino(
    context: BuildContext, model: Any, steering: SteeringImages, kept: Collection[str] = ()
) -> tuple[Any, Mapping[str, Any], tuple[str, ...]]:
    """NNCF's own accuracy control, steered by top-1 accuracy on images that are not the test split's.

    Args:
        context: of the export.
        model: the float model (openvino.Model).
        steering: the images that decide.
        kept: names of the operations that stay in float in any case.

    Returns:
        the quantized model, what goes into the metadata, and notes for a person.

    Raises:
        ExportError: NNCF fails, or no layer can be int8 within the limit.
    """
    import nncf

    images = require_calibration(context).images
    static = context.static_batch
    original = predict_all(runner(compile_model(model)), steering.images, static)
    limit = context.quantize.max_drop_points
    tries = 0

    def accuracy(compiled: Any, items: Iterable[Any]) -> tuple[float, list[float]]:
        # NNCF gives a compiled model and the items that it selected: all of them, or those that rank the layers.
        selected = np.concatenate([np.atleast_1d(item) for item in items]).astype(np.intp)
        predictions = predict_all(runner(compiled), steering.images[selected], static)
        labels = None if steering.labels is None else steering.labels[selected]
        part = replace(steering, images=steering.images[selected], labels=labels)
        correct = part.correct(predictions, original[selected])
        nonlocal tries
        tries += 1
        context.progress("accuracy control", tries, None)
        # Less one standard error of the drop, which is 0 for the original: NNCF's limit then holds the cautious drop.
        error = part.drop(predictions, original[selected]).error_points / 100.0
        return part.accuracy(predictions, original[selected]) - error, correct.astype(np.float64).tolist()

    with silent_nncf():
        try:
            quantized = nncf.quantize_with_accuracy_control(
                model,
                calibration_dataset=dataset(context, images),
                validation_dataset=nncf.Dataset(list(range(len(steering.images)))),
                validation_fn=accuracy,
                max_drop=limit / 100.0,
                drop_type=nncf.DropType.ABSOLUTE,
                ignored_scope=nncf.IgnoredScope(names=sorted(kept), validate=False) if kept else None,
                advanced_quantization_parameters=advanced(),
                advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                    ranking_subset_size=min(_RANKING_IMAGES, len(steering.images)), num_ranking_workers=1
                ),
                **settings(len(images)),
            )
        except Exception as error:
            raise failed(error, context) from error
    notes = (steering.note,) if steering.note else ()

    def drop_of(candidate: Any) -> Drop:
        return steering.drop(predict_all(runner(compile_model(candidate)), steering.images, static), original)

    extra: dict[str, Any] = {}
    drop = drop_of(quantized)
    if not is_quantized(quantized) or drop.cautious_points > limit:
        layers = layer_names(model)
        alone = select_int8_weights(
            layers, lambda out: drop_of(_compress_weights(context, model, out)).cautious_points, limit_points=limit
        )
        quantized = _compress_weights(context, model, set(layers) - set(alone))
        drop, notes = drop_of(quantized), (*notes, note_on_weights(alone))
        extra = {"weights_int8": [name.removesuffix(CONVOLUTION) for name in alone]}
    record = {
        "quantizer": "nncf.compress_weights" if extra else "nncf.quantize_with_accuracy_control",
        "accuracy_control": {
            "max_drop_points": limit,
            "drop_points": drop.points,
            "drop_error_points": drop.error_points,
            "images": len(steering.images),
            "tries": tries,
        },
        **extra,
    }
    return quantized, record, notes


def _compress_weights(context: BuildContext, model: Any, keep: Collection[str]) -> Any:
    """The float `model` with the weights of all layers but `keep` in int8."""
    import nncf

    with silent_nncf():
        try:
            return nncf.compress_weights(
                model.clone(),
                mode=nncf.CompressWeightsMode.INT8_SYM,
                ignored_scope=nncf.IgnoredScope(names=sorted(keep)),
            )
        except Exception as error:
            raise failed(error, context) from error
