"""Shrink an IR's XML: in a small int8 model it outweighs a third of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_QUANTIZERS = ("Const", "Convert", "FakeQuantize")


def prune_ir(path: Path) -> None:
    """Remove from the XML at `path` what no reader needs; the network stays the same, and its weights file too.

    Indentation; NNCF's log; shapes of inner ports, which OpenVINO infers when it reads; names of inner tensors that
    repeat the layer's, and long names of what the quantizer put in; constants that occur more than once (each
    FakeQuantize has its limits twice).
    """
    root = ElementTree.parse(path).getroot()
    _share_constants(root)
    ends = {layer.get("id") for layer in root.iter("layer") if layer.get("type") in ("Parameter", "Result")}
    feeding = {e.get("from-layer") for e in root.iter("edge") if e.get("to-layer") in ends}
    for layer in root.iter("layer"):
        if layer.get("type") in _QUANTIZERS or "/fq_weights" in layer.get("name", ""):
            layer.set("name", f"{layer.get('type')}_{layer.get('id')}")
        inner = layer.get("id") not in ends | feeding
        for port in layer.iterfind("output/port" if inner else "none"):
            port.attrib.pop("names", None)
        for port in [*layer.iterfind("input/port"), *layer.iterfind("output/port" if inner else "none")]:
            for side in port.findall("dim"):
                port.remove(side)
    runtime = root.find("rt_info")
    if runtime is not None:
        for child in [*runtime.findall("nncf"), *runtime.findall("info")]:  # info repeats Runtime_version
            runtime.remove(child)
    write_xml(root, path)


def write_xml(root: Element, path: Path) -> None:
    """Write an IR's XML without indentation, which is a third of a small model's file."""
    for element in root.iter():
        if element.text is not None and not element.text.strip():
            element.text = None
        element.tail = None
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _share_constants(root: Element) -> None:
    layers, edges = root.find("layers"), root.find("edges")
    if layers is None or edges is None:
        return
    first: dict[tuple[str, ...], str] = {}
    instead: dict[str, str] = {}
    for layer, data in _constants(layers):
        key = tuple(data.get(name, "") for name in ("element_type", "shape", "offset", "size"))
        number = layer.get("id", "")
        if key in first:
            instead[number] = first[key]
            layers.remove(layer)
        else:
            first[key] = number
    for edge in edges.iterfind("edge"):
        source = edge.get("from-layer", "")
        edge.set("from-layer", instead.get(source, source))


def _constants(layers: Element) -> Iterator[tuple[Element, Element]]:
    for layer in list(layers.iterfind("layer")):
        data = layer.find("data")
        if layer.get("type") == "Const" and data is not None and layer.find("rt_info") is None:
            yield layer, data
