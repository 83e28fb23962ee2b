"""OpenVINO int8 by NNCF: static, weights per channel, layers that cost too much left in float on demand.

Weights are rounded so that each layer's outputs stay close (`quantization.weight_rounding`). That leaves nearly nothing
for NNCF's correction of biases to do, which adds noise of its own: `benchmarks/artifacts/weight_rounding.py`
shows the divergence from the float model with either, with both and with none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edge_fm_export.compat.library_folders import some_home_folder
from edge_fm_export.context import BuildContext, Built
from edge_fm_export.openvino.accuracy_control import control_openvino
from edge_fm_export.openvino.ir_float_layers import float_layers, has_int8_layers
from edge_fm_export.openvino.ir_size import prune_ir
from edge_fm_export.openvino.quantizer import (
    BiasCorrection,
    compile_model,
    compile_quantized,
    is_quantized,
    quantize,
    runner,
)
from edge_fm_export.openvino.simulation import OpenVINOSimulation
from edge_fm_export.openvino.weight_rounding import RoundedWeights, layer_inputs, rounded_weights, with_weights
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.explanation.explain import Quantized, explain
from edge_fm_export.quantization.explanation.explanation import Explanation
from edge_fm_export.quantization.explanation.layer_names import LayerNames, require_layers
from edge_fm_export.quantization.measures import Measure, Predict, Selected, select_measures
from edge_fm_export.quantization.selection import NothingToQuantizeError
from edge_fm_export.quantization.steering import steering_images
from edge_fm_runtime.engines.openvino_core import shared_core
from edge_fm_runtime.errors import ExportError

PAYLOAD = "model.xml"
PRESET = "mixed"
"""Activations asymmetric: measured as fast as "performance" on CPUs, and closer for activations that are not ReLU."""
LADDER: tuple[tuple[Measure, ...], ...] = (("bias correction",), ("fast bias correction",))
"""The first is done in any case where NNCF rounds some layer's weights to the nearest."""
_ROUNDING_BATCH = 8
"""Every layer's input of one batch is in memory at once."""
ACTIVATION_RANGES = "min-max"
"""Over all samples. NNCF's default, the mean of each sample's extremes, clips half of them: it cost small networks
2 to 3.5 points, and this one 0.1."""


def build(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact: `model.xml` and `model.bin`, floats uncompressed.

    Raises:
        ExportError: no calibration images, or NNCF fails.
        MissingDependencyError: openvino or nncf is not installed.
    """
    from edge_fm_export.openvino.openvino_format import describe, fp32_model, save_ir

    for package in ("openvino", "nncf"):
        require_package(package, "OpenVINO int8")
    with some_home_folder():
        import nncf  # noqa: F401  # the functions below import it by name
    calibration = require_calibration(context)
    source = fp32_model(context)
    model = shared_core().read_model(source)
    recorded: dict[str, Any] = {
        "quantizer": "nncf.quantize",
        "preset": PRESET,
        "target_device": "CPU",
        "weights": "int8, symmetric, per channel",
        "activation_ranges": ACTIVATION_RANGES,
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        "kept_float": [],
    }
    notes: tuple[str, ...] = ()
    selected: Selected | None = None
    context.progress("quantizing openvino", 0, 1)
    quantizer = _Quantizer(context, source)
    quantizer.keep_float(context.quantize.keep_float)
    if context.quantize.accuracy_control:
        quantized, record, notes = control_openvino(context, model, steering_images(context), quantizer.kept)
        recorded |= {**_record("nearest", "sequential"), **record}
    else:
        trials: dict[tuple[Measure, ...], Any] = {}

        def make(measures: tuple[Measure, ...]) -> Predict:
            trials[measures] = quantizer.quantize(measures)
            predict: Predict = runner(compile_quantized(trials[measures], context))
            return predict

        selected = select_measures(context, quantizer.ladder(), make, runner(compile_model(model)))
        quantized, notes = trials[selected.measures], selected.notes
        recorded |= {**quantizer.record(selected.measures), **selected.record}
    target = folder / PAYLOAD
    save_ir(quantized, target)
    prune_ir(target)
    explanation = None if selected is None else partial(quantizer.explain, selected, target, _bytes(target))
    if quantizer.kept and not context.quantize.accuracy_control and not has_int8_layers(target):
        raise NothingToQuantizeError
    if not context.quantize.accuracy_control and not is_quantized(quantized):
        raise ExportError("The model has no layer that NNCF quantizes.", hint="Use --precision fp16.")
    if context.quantize.accuracy_control or quantizer.kept:
        recorded["kept_float"] = float_layers(target)
    context.progress("quantizing openvino", 1, 1)
    return Built(PAYLOAD, quantization=recorded, graph=describe(target), notes=notes, explain=explanation)


def round_by_outputs(context: BuildContext, source: Path) -> RoundedWeights:
    """Round the weights of all layers that NNCF quantizes so that their outputs on the calibration images stay close.

    Args:
        context: of the export.
        source: the float model's `.xml`.

    Raises:
        ExportError: no calibration images, or NNCF fails.
    """
    images, model = require_calibration(context).images, shared_core().read_model(source)
    trial = quantize(context, model.clone(), correction="none", samples=1)
    small = batches(images, static=context.static_batch, size=_ROUNDING_BATCH)
    return rounded_weights(model, trial, layer_inputs(model, small, len(images), context.quantize.seed))


class _Quantizer:
    """Quantizes one float model with any measures, and with any layers in float.

    Args:
        context: of the export.
        source: the float model's `.xml`.
    """

    def __init__(self, context: BuildContext, source: Path) -> None:
        self._context, self._source = context, source
        self._weights: RoundedWeights | None = None
        self.kept: tuple[str, ...] = ()

    def keep_float(self, layers: Sequence[str]) -> None:
        """Leave the operations of `layers` in float from now on.

        Raises:
            ExportError: there is no such layer, or it is in float anyway.
        """
        if layers:
            simulation = self._simulation()
            require_layers(layers, [layer.name for layer in simulation.layers])
            self.kept = tuple(simulation.operations_in_float(frozenset(layers)))

    def quantize(self, measures: tuple[Measure, ...], kept: Sequence[str] = ()) -> Any:
        """The quantized model (openvino.Model), with the operations `kept` in float too."""
        return self._quantized(self._correction(measures), kept)

    def ladder(self) -> tuple[tuple[Measure, ...], ...]:
        """The measures that can be tried beside what is done in any case."""
        return LADDER[1:] if self._rounded().left else LADDER

    def record(self, measures: tuple[Measure, ...]) -> dict[str, Any]:
        """How weights are rounded and biases corrected with these measures, for the metadata."""
        rounded, correction = self._rounded(), self._correction(measures)
        how = "nearest" if not rounded.values else "nearest and GPTQ" if rounded.left else "GPTQ"
        return _record(how, correction)

    def _correction(self, measures: tuple[Measure, ...]) -> BiasCorrection:
        if "fast bias correction" in measures:
            return "fast"
        return "sequential" if "bias correction" in measures or self._rounded().left else "none"

    def _quantized(self, correction: BiasCorrection, kept: Sequence[str] = ()) -> Any:
        model = with_weights(shared_core().read_model(self._source), self._rounded(kept).values)
        return quantize(self._context, model, correction=correction, kept={*self.kept, *kept})

    def _rounded(self, kept: Sequence[str] = ()) -> RoundedWeights:
        """The weights of the layers that are quantized, where the operations `kept` stay in float, too.

        They are rounded once: the integers of a layer do not depend on which others are quantized.
        """
        if self._weights is None:
            self._weights = round_by_outputs(self._context, self._source)
        return self._weights.without({*self.kept, *kept})

    def explain(self, selected: Selected, built: Path, built_bytes: int) -> Explanation:
        """Explain the model `built`, which the selected measures made."""
        simulation = self._simulation()

        def build(layers: Sequence[str]) -> Path:
            from edge_fm_export.openvino.openvino_format import save_ir

            path = self._context.scratch / f"int8-explained-{len(layers)}.xml"
            save_ir(self.quantize(selected.measures, simulation.operations_in_float(frozenset(layers))), path)
            prune_ir(path)
            if not has_int8_layers(path):
                raise NothingToQuantizeError
            return path

        quantized = Quantized(
            original=_open(self._source),
            simulation=simulation,
            equalized=None,
            built=built,
            built_bytes=built_bytes,
            build=build,
            run=_open,
            size=_bytes,
            measures=selected.measures,
            plain_drop_points=selected.plain_drop_points,
        )
        return explain(self._context, quantized)

    def _simulation(self) -> OpenVINOSimulation:
        """Of weights and ranges, which no correction of biases changes."""
        return OpenVINOSimulation(
            shared_core().read_model(self._source),
            self._quantized("none"),
            LayerNames(self._context.source.model),
            self._context.static_batch,
            lambda model: runner(compile_model(model)),
        )


def _record(rounding: str, correction: BiasCorrection) -> dict[str, Any]:
    return {"weight_rounding": rounding, "bias_correction": correction, "fast_bias_correction": correction == "fast"}


def _open(path: Path) -> Predict:
    predict: Predict = runner(compile_model(shared_core().read_model(path)))
    return predict


def _bytes(path: Path) -> int:
    return path.stat().st_size + path.with_suffix(".bin").stat().st_size
