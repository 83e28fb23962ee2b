"""ONNX int8 by ONNX Runtime: static, QDQ, weights per channel, settings by what the CPU can do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.brief_errors import brief
from edge_fm_export.compat.tensorflow_setup import require_package
from edge_fm_export.context import BuildContext, Built
from edge_fm_export.onnx import quantizable_nodes as onnx_graph
from edge_fm_export.onnx.graph_rewrites import to_bytes
from edge_fm_export.onnx.int8_load_check import require_no_crash
from edge_fm_export.onnx.kernel_rounding import round_pixel_kernels
from edge_fm_export.quantization.calibration import batches, require_calibration
from edge_fm_export.quantization.cpu import IntegerSettings, integer_settings
from edge_fm_runtime.errors import ExportError

PAYLOAD = "model.onnx"
CALIBRATION_METHOD = "MinMax"
"""Clipping at the 99.999th percentile lost 0.8 points where MinMax lost none; entropy lost none, at a higher price."""

Pixels = npt.NDArray[np.uint8]


def build(context: BuildContext, folder: Path) -> Built:
    """Build the int8 artifact's `model.onnx`.

    Raises:
        ExportError: no calibration images, the quantizer fails, or nothing but float meets the accuracy asked.
        MissingDependencyError: onnxruntime or onnx is not installed.
    """
    from edge_fm_export.onnx.onnx_format import describe, fp32_model

    for package in ("onnx", "onnxruntime"):
        require_package(package, "ONNX int8")
    calibration = require_calibration(context)
    settings = integer_settings(any_cpu=context.quantize.any_cpu)
    prepared = prepare(fp32_model(context), context.scratch / "int8-prepared.onnx")
    target = folder / PAYLOAD
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

    def quantize(kept_float: Collection[str], path: Path) -> None:
        quantize_file(
            prepared,
            path,
            batches(calibration.images, static=context.static_batch),
            settings=settings,
            exclude=kept_float,
        )

    proven = f"The 8-bit answers were proven for {settings.safe_for}."
    notes: tuple[str, ...] = (proven if settings.reduce_range else f"{proven} For other CPUs export with --any-cpu.",)
    if context.quantize.accuracy_control:
        from edge_fm_export.onnx.accuracy_control import control_onnx

        controlled = control_onnx(context, prepared, quantize, target)
        recorded |= controlled.record
        notes += controlled.notes
    else:
        context.progress("quantizing onnx", 0, 1)
        quantize((), target)
        context.progress("quantizing onnx", 1, 1)
    _require_loadable(target)
    return Built(PAYLOAD, quantization=recorded, graph=describe(target), notes=notes)


def prepare(model: Path, prepared: Path) -> Path:
    """Fuse and fold what ORT would before it runs, as its quantizer expects; shapes are inferred on the way."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    if not prepared.exists():
        with _quiet():
            # The shapes of image classifiers are plain: onnx's own inference does without the symbolic one (sympy).
            quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    return prepared


def quantize_file(
    prepared: Path,
    target: Path,
    pixels: Iterator[Pixels],
    *,
    settings: IntegerSettings,
    exclude: Collection[str] = (),
    ship: bool = True,
) -> None:
    """Quantize the float model `prepared` into `target`.

    Args:
        prepared: what `prepare` wrote.
        target: the `.onnx` to write.
        pixels: batches of uint8 `[N,H,W,C]` that calibrate.
        settings: see `integer_settings`.
        exclude: names of nodes that stay in float.
        ship: tidy the graph up for a device; ORT's debugging tools need its own names instead.

    Raises:
        ExportError: nothing is left to quantize, or the quantizer fails.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    model = onnx.load(prepared)
    name = model.graph.input[0].name
    nodes = [n for n in onnx_graph.quantizable(model.graph) if n not in set(exclude)]
    layers = {n.name for n in model.graph.node if n.op_type in onnx_graph.COMPUTE}
    if not layers.intersection(nodes):
        raise ExportError(
            "There is no layer to quantize: every convolution and dense layer stays in float.",
            hint="Allow a larger drop with --max-drop POINTS, or use --precision fp16.",
        )
    unsigned = settings.activations == "uint8"
    prologue = onnx_graph.pixel_prologue(model.graph) if unsigned else None
    if prologue is not None and prologue.reader not in nodes:
        prologue = None
    options: dict[str, Any] = {"ActivationSymmetric": False, "WeightSymmetric": True}
    if prologue is not None:
        # A pixel is a byte already: with its own scale and no zero point, the first layer reads it unchanged.
        override = {
            "quant_type": QuantType.QUInt8,
            "scale": np.array(prologue.scale, np.float32),
            "zero_point": np.array(0, np.uint8),
        }
        options["TensorQuantOverrides"] = {prologue.tensor: [override]}
    operators = sorted({n.op_type for n in model.graph.node if n.name in set(nodes)})
    try:
        with _quiet():
            quantize_static(
                str(prepared),
                str(target),
                PixelReader(name, pixels),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=operators,
                per_channel=True,
                reduce_range=settings.reduce_range,
                activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=nodes,
                calibrate_method=CalibrationMethod[CALIBRATION_METHOD],
                extra_options=options,
            )
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot quantize the model: {brief(error)}",
            hint="Use --precision fp16, or --format openvino.",
        ) from error
    if settings.reduce_range:
        quantized = onnx.load(target)
        round_pixel_kernels(quantized, model)
        target.write_bytes(quantized.SerializeToString())
    if ship:
        tidy(target, prologue)


def session(model: Path) -> Callable[[Pixels], npt.NDArray[np.float32]]:
    """Return a function that answers batches with `model` in ONNX Runtime on this CPU."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors are raised, and said by who catches them
    running = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = running.get_inputs()[0].name

    def answer(batch: Pixels) -> npt.NDArray[np.float32]:
        return np.asarray(running.run(None, {name: batch})[0], dtype=np.float32)

    return answer


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
        session(target)
    except Exception as error:
        raise ExportError(
            f"ONNX Runtime cannot load the model at int8: it resizes by bicubic interpolation ({', '.join(cubic)}).",
            hint="Use --precision fp16, or --format openvino, or resize with interpolation='bilinear'.",
        ) from error


def tidy(target: Path, prologue: onnx_graph.Pixels | None = None) -> None:
    """Make a quantized model fit to ship: bytes in, floats before the softmax, short names, checked.

    Raises:
        ExportError: ONNX Runtime crashes when it loads the model.
    """
    import onnx

    model = onnx.load(target)
    if prologue is not None:
        onnx_graph.fold_pixels(model, prologue)
    onnx_graph.unquantize_logits(model.graph)
    onnx_graph.shorten(model.graph)
    model.producer_name, model.producer_version = "edge-fm", ""
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "classifier"
    del model.metadata_props[:]
    used = {node.domain for node in model.graph.node} | {""}
    opsets = sorted((o.domain, o.version) for o in model.opset_import if o.domain in used)
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*o) for o in opsets)
    onnx.checker.check_model(model, full_check=True)
    target.write_bytes(to_bytes(model))
    require_no_crash(model, target)


class PixelReader:
    """ORT's CalibrationDataReader, by its shape: `get_next`, and iteration for the debugging tools."""

    def __init__(self, name: str, pixels: Iterator[Pixels]) -> None:
        self._name = name
        self._pixels = pixels

    def get_next(self) -> Mapping[str, Pixels] | None:
        batch = next(self._pixels, None)
        return None if batch is None else {self._name: batch}

    def __iter__(self) -> PixelReader:
        return self

    def __next__(self) -> Mapping[str, Pixels]:
        batch = self.get_next()
        if batch is None:
            raise StopIteration
        return batch


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the root logger's advice (such as to run the pre-processing that has just run)."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
