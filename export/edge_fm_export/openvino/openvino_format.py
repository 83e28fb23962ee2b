"""OpenVINO IR: made from the simplified ONNX graph, so that its layers keep the names of the model's."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from edge_fm_export.compat.tensorflow_setup import quiet
from edge_fm_export.context import INPUT, BuildContext, Built
from edge_fm_export.onnx import onnx_format
from edge_fm_export.openvino.ir_size import write_xml
from edge_fm_export.packages import require_package
from edge_fm_export.unique_names import unused_name
from edge_fm_runtime.artifacts.metadata import EMBEDDED_KEY, Metadata
from edge_fm_runtime.engines.openvino_core import shared_core
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.brief_errors import brief

if TYPE_CHECKING:
    import openvino

PAYLOAD = "model.xml"
_RESIZE_TYPES = {
    "garment": "fit_to_window_letterbox",
    "fit": "fit_to_window_letterbox",
    "crop": "crop",
    "stretch": "standard",
}
"""Our photo modes -> the resize types of OpenVINO Model API that come nearest."""


def fp32_model(context: BuildContext) -> Path:
    """Return the uncompressed fp32 IR (its `.xml`), built once for each export.

    Input `image` u8 `[N,H,W,C]`, output `probabilities` f32 `[N,classes]`, then extra outputs; N is
    `context.static_batch` or free.

    Raises:
        ExportError: OpenVINO cannot convert the model.
        MissingDependencyError: openvino is not installed.
    """
    path = context.scratch / "fp32.xml"
    if not path.exists():
        require_package("openvino", "OpenVINO export")
        import openvino as ov

        source = onnx_format.fp32_model(context)
        try:
            with quiet():
                model = ov.convert_model(source)
        except Exception as error:
            raise ExportError(
                f"OpenVINO cannot convert the model: {brief(error)}", hint="Try --format onnx."
            ) from error
        model.inputs[0].get_node().set_layout(ov.Layout("NHWC"))
        model.inputs[0].get_tensor().set_names({INPUT})
        save_ir(model, path)
    return path


def build_fp32(context: BuildContext, folder: Path) -> Built:
    """Build the fp32 artifact: `model.xml` and `model.bin`, uncompressed."""
    return _build(context, folder, half=False)


def build_fp16(context: BuildContext, folder: Path) -> Built:
    """Build the fp16 artifact: weights in half precision; accelerators compute in halves, CPUs widen them."""
    return _build(context, folder, half=True)


def _build(context: BuildContext, folder: Path, *, half: bool) -> Built:
    source = fp32_model(context)
    model = shared_core().read_model(source)
    save_ir(model, folder / PAYLOAD, compress_to_fp16=half)
    return Built(PAYLOAD, graph=describe(folder / PAYLOAD))


def save_ir(model: openvino.Model, path: Path, *, compress_to_fp16: bool = False) -> None:
    """Write `model` to `path` (`.xml`) and its weights beside it, so that the same model gives the same bytes.

    Raises:
        ExportError: OpenVINO wrote less than it should have, such as on a full disk.
    """
    import openvino as ov

    ov.save_model(model, path, compress_to_fp16=compress_to_fp16)
    tree = ElementTree.parse(path)
    _rename_layers(tree)
    runtime = tree.getroot().find("rt_info")
    if runtime is not None:
        for child in list(runtime):
            if child.tag == "conversion_parameters":  # holds the path of a temporary folder
                runtime.remove(child)
    _require_whole(tree, path)
    write_xml(tree.getroot(), path)


def embed(payload: Path, text: str, metadata: Metadata) -> None:
    """Write `text`, and what OpenVINO Model API reads of a classification model, into the IR's `rt_info`.

    Of a multi-label model `text` alone: Model API would put a second sigmoid behind its scores.
    """
    tree = ElementTree.parse(payload)
    root = tree.getroot()
    runtime = root.find("rt_info")
    if runtime is None:
        runtime = ElementTree.SubElement(root, "rt_info")
    for child in list(runtime):
        if child.tag in (EMBEDDED_KEY, "model_info"):
            runtime.remove(child)
    ElementTree.SubElement(runtime, EMBEDDED_KEY, value=text)
    if metadata.task is None:
        info = ElementTree.SubElement(runtime, "model_info")
        for key, value in model_info(metadata).items():
            ElementTree.SubElement(info, key, value=value)
    write_xml(root, payload)


def model_info(metadata: Metadata) -> dict[str, str]:
    """The `model_info` section that OpenVINO Model API's ClassificationModel reads."""
    spec = metadata.input
    info = {
        "model_type": "Classification",
        # Model API splits the list on spaces.
        "labels": " ".join("_".join(label.split()) or "_" for label in metadata.labels),
        "resize_type": _RESIZE_TYPES[metadata.photo.mode],
        "pad_value": str(metadata.photo.fill),
        "reverse_input_channels": "False",
        "multilabel": "False",
        "output_raw_scores": "True",
        "confidence_threshold": "0.0",
        "topk": "1",
    }
    if spec.channels != 3:
        # Model API would put a resize of three-channel images before the model; "embedded" tells it to leave pixels be.
        info |= {"embedded_processing": "True", "orig_height": str(spec.height), "orig_width": str(spec.width)}
    return info


def describe(payload: Path) -> dict[str, int]:
    """Nodes (without constants) and parameters of an IR."""
    nodes = parameters = 0
    for layer in ElementTree.parse(payload).getroot().iter("layer"):
        kind = layer.get("type")
        if kind == "Const":
            data = layer.find("data")
            if data is not None and data.get("element_type") not in ("i32", "i64"):
                parameters += math.prod(int(side) for side in data.get("shape", "").split(",") if side.strip())
        elif kind not in ("Parameter", "Result"):
            nodes += 1
    return {"nodes": nodes, "parameters": parameters}


_COUNTED = re.compile(r"(?:^|/)[A-Za-z0-9]+_\d+$")


def _rename_layers(tree: Any) -> None:
    """Give layers that OpenVINO named by a counter of the process a name by their place in the graph."""
    taken: set[str] = set()
    layers = list(tree.getroot().iter("layer"))
    for layer in layers:
        name, kind = layer.get("name", ""), layer.get("type", "")
        wanted = f"{kind}_{layer.get('id')}" if "/" not in name and _COUNTED.search(name) else name
        unique = unused_name(wanted, taken)
        layer.set("name", unique)
        for attribute in list(layer.iter("attribute")):
            if attribute.get("name") == "fused_names":
                attribute.set("value", unique)


def _require_whole(tree: Any, path: Path) -> None:
    size = path.with_suffix(".bin").stat().st_size
    ends = [int(d.get("offset", 0)) + int(d.get("size", 0)) for d in tree.getroot().iter("data") if d.get("offset")]
    if max(ends, default=0) > size:
        raise ExportError(
            f"OpenVINO wrote only {size} bytes of weights to {path.with_suffix('.bin')}; is the disk full?"
        )
