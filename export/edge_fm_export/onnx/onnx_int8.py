"""ONNX int8 by ONNX Runtime: static, QDQ, weights per channel, settings by what the CPU can do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge_fm_export.context import BuildContext, Built
from edge_fm_export.onnx.accuracy_control import control_onnx
from edge_fm_export.onnx.corrections.bias_correction import add_zero_biases
from edge_fm_export.onnx.corrections.equalization import equalize
from edge_fm_export.onnx.corrections.weight_rounding import OutputRounding
from edge_fm_export.onnx.int8_quantizer import CALIBRATION_METHOD, predictor, prepare, quantize_file
from edge_fm_export.onnx.onnx_format import describe, fp32_model
from edge_fm_export.onnx.simulation import OnnxSimulation
from edge_fm_export.packages import require_package
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.cpu import IntegerSettings, integer_settings
from edge_fm_export.quantization.explanation.explain import Quantized, explain
from edge_fm_export.quantization.explanation.explanation import Explanation
from edge_fm_export.quantization.explanation.layer_names import LayerNames, require_layers
from edge_fm_export.quantization.measures import Measure, Predict, Selected, select_measures
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.errors import ExportError

PAYLOAD = "model.onnx"
LADDER: tuple[tuple[Measure, ...], ...] = (("bias correction",), ("equalization", "bias correction"))
"""Measured on EfficientNet-Lite0 and MobileNets with the nearest weights: bias correction takes one pass over a hundred
images, and left a fifth to a third of the divergence from the float model; see docs/explanation/int8.md."""
_ROUNDING_BATCH = 8
"""Every layer's input of one batch is in memory at once."""
_CORRECTION_IMAGES = 128
"""Means and ranges of channels have settled by then."""


@dataclass(frozen=True, eq=False)
class Int8Model:
    """A quantized model, which all formats of one export have in common that ONNX Runtime's libraries run.

    Attributes:
        path: its file.
        record: the quantizer, its settings and what stayed in float.
        notes: for a person, one sentence each.
        explain: what int8 does to each layer; None where nothing can tell.
    """

    path: Path
    record: Mapping[str, Any]
    notes: tuple[str, ...]
    explain: Callable[[], Explanation] | None


def build(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact's `model.onnx`.

    Raises:
        ExportError: no calibration images, the quantizer fails, or nothing but float meets the requested accuracy.
        MissingDependencyError: onnxruntime or onnx is not installed.
    """
    made = context.once("onnx int8", partial(_quantized, context))
    target = folder / PAYLOAD
    target.write_bytes(made.path.read_bytes())
    explain = None if made.explain is None else partial(context.once, "onnx int8 explained", made.explain)
    return Built(PAYLOAD, quantization=made.record, graph=describe(target), notes=made.notes, explain=explain)


def _quantized(context: BuildContext) -> Int8Model:
    for package in ("onnx", "onnxruntime"):
        require_package(package, "ONNX int8")
    calibration = require_calibration(context)
    settings = integer_settings(any_cpu=context.quantize.any_cpu)
    prepared = prepare(fp32_model(context), context.scratch / "int8-prepared.onnx")
    target = context.scratch / "int8.onnx"
    recorded: dict[str, Any] = {
        "quantizer": "onnxruntime.quantization.quantize_static",
        "format": "QDQ",
        "weights": "int8, symmetric, per channel",
        "calibration_method": CALIBRATION_METHOD,
        "samples": len(calibration.images),
        "calibration_sha256": calibration.sha256,
        "seed": context.quantize.seed,
        **asdict(settings),
        "kept_float": [],
    }

    quantizer = _Quantizer(context, prepared, settings)
    recorded["kept_float"] = list(quantizer.keep_float(context.quantize.keep_float))
    proven = f"The 8-bit predictions were proven for {settings.safe_for}."
    notes: tuple[str, ...] = (proven if settings.reduce_range else f"{proven} For other CPUs export with --any-cpu.",)
    context.progress("quantizing onnx", 0, 1)
    trials: dict[tuple[Measure, ...], Path] = {}
    roundings: dict[tuple[Measure, ...], str] = {}

    def make(measures: tuple[Measure, ...]) -> Predict:
        trials[measures] = context.scratch / f"int8-measures-{len(trials)}.onnx"
        roundings[measures] = quantizer.quantize((), trials[measures], measures)
        _require_loadable(trials[measures])
        return predictor(trials[measures])

    selected = select_measures(context, LADDER, make, predictor(prepared))
    recorded |= {"weight_rounding": roundings[selected.measures], **selected.record}
    notes += selected.notes
    if context.quantize.accuracy_control:
        controlled = control_onnx(
            context, prepared, lambda kept, path: quantizer.quantize(kept, path, selected.measures), target
        )
        recorded |= controlled.record
        recorded["kept_float"] = list(dict.fromkeys([*quantizer.kept, *recorded["kept_float"]]))
        notes += controlled.notes
        _require_loadable(target)
    else:
        target.write_bytes(trials[selected.measures].read_bytes())
    context.progress("quantizing onnx", 1, 1)
    weights_alone = "weights_int8" in recorded
    if weights_alone:
        recorded["weight_rounding"] = "nearest"
    explanation = (
        None
        if weights_alone
        else partial(quantizer.explain, selected, recorded["kept_float"], target, target.stat().st_size)
    )
    return Int8Model(target, recorded, notes, explanation)


class _Quantizer:
    """Quantizes one float model with any measures.

    Args:
        context: of the export.
        prepared: the float model, as the quantizer expects it.
        settings: of integers.
    """

    def __init__(self, context: BuildContext, prepared: Path, settings: IntegerSettings) -> None:
        self._context, self._prepared, self._settings = context, prepared, settings
        self._images = require_calibration(context).images
        self._roundings: dict[bool, OutputRounding] = {}
        self.kept: tuple[str, ...] = ()

    def keep_float(self, layers: Collection[str]) -> tuple[str, ...]:
        """Leave the nodes of `layers` in float from now on, and return their names.

        Raises:
            ExportError: there is no such layer, or it is in float anyway.
        """
        if layers:
            simulation = self.simulation(())
            require_layers(layers, [layer.name for layer in simulation.layers])
            inside = simulation.nodes_in_float(frozenset(layers))
            self.kept = tuple(name for name in simulation.nodes if name in inside)
        return self.kept

    def quantize(
        self, kept_float: Collection[str], path: Path, measures: tuple[Measure, ...], *, final: bool = True
    ) -> str:
        """Write the quantized model to `path`, with the nodes `kept_float` in float; return how weights are rounded."""
        return quantize_file(
            self._source(measures),
            path,
            batches(self._images, static=self._context.static_batch),
            settings=self._settings,
            exclude={*self.kept, *kept_float},
            rounding=self._rounding(equalized="equalization" in measures),
            correction=self._few if "bias correction" in measures else None,
            final=final,
        )

    def _rounding(self, *, equalized: bool) -> OutputRounding:
        """Of one float model; what it finds serves every way to quantize it."""
        import onnx

        if equalized not in self._roundings:
            model = onnx.load(self._source(("equalization",)) if equalized else self._prepared)
            small = partial(batches, self._images, static=self._context.static_batch, size=_ROUNDING_BATCH)
            self._roundings[equalized] = OutputRounding(model, small, len(self._images), self._context.quantize.seed)
        return self._roundings[equalized]

    def simulation(self, measures: tuple[Measure, ...], kept_float: Collection[str] = ()) -> OnnxSimulation:
        """The model in which one layer at a time is quantized, by these measures."""
        path = self._context.scratch / "int8-simulated.onnx"
        self.quantize(kept_float, path, measures, final=False)
        names = LayerNames(self._context.source.model)
        return OnnxSimulation(self._source(measures), path, names, self._context.static_batch)

    def explain(self, selected: Selected, kept_float: Collection[str], built: Path, built_bytes: int) -> Explanation:
        """Explain the model `built`, which the selected measures made, with the nodes `kept_float` in float."""
        simulation = self.simulation((), kept_float)

        def build(layers: Sequence[str]) -> Path:
            path = self._context.scratch / f"int8-explained-{len(layers)}.onnx"
            kept = {*kept_float, *simulation.nodes_in_float(frozenset(layers))}
            self.quantize(kept, path, selected.measures)
            return path

        quantized = Quantized(
            original=predictor(self._prepared),
            simulation=simulation,
            # Corrected biases change no weights and no ranges; equalization does.
            equalized=self.simulation(selected.measures, kept_float) if "equalization" in selected.measures else None,
            built=built,
            built_bytes=built_bytes,
            build=build,
            run=predictor,
            size=lambda path: path.stat().st_size,
            measures=selected.measures,
            plain_drop_points=selected.plain_drop_points,
        )
        return explain(self._context, quantized)

    def _few(self) -> Iterator[Pixels]:
        """Images for means and ranges, in small batches: every activation of one is in memory at once."""
        return batches(self._images[:_CORRECTION_IMAGES], static=self._context.static_batch, size=8)

    def _source(self, measures: tuple[Measure, ...]) -> Path:
        """The float model that these measures quantize."""
        import onnx

        if not measures:
            return self._prepared
        path = self._context.scratch / f"int8-prepared-{'equalized' if 'equalization' in measures else 'biases'}.onnx"
        if not path.exists():
            model = onnx.load(self._prepared)
            add_zero_biases(model)
            if "equalization" in measures:
                equalize(model, self._few)
            onnx.save(model, path)
        return path


def _require_loadable(target: Path) -> None:
    """Raise if the model resizes by bicubic interpolation in a way that ONNX Runtime cannot load.

    With the bytes around it, ONNX Runtime (1.31) moves the resize to channels last, where it has no bicubic kernel.

    Raises:
        ExportError: names the layers.
    """
    import onnx

    nodes = onnx.load(target).graph.node
    cubic = [n.name for n in nodes if n.op_type == "Resize" and any(a.s == b"cubic" for a in n.attribute)]
    if not cubic:
        return
    try:
        predictor(target)
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot load the model at int8: it resizes by bicubic interpolation ({', '.join(cubic)}).",
            hint="Use --precision fp16, or --format openvino, or resize with interpolation='bilinear'.",
        ) from error
