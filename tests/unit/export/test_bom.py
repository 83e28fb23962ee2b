"""The bill of materials fits CycloneDX's schema, and every field of it leads back to `edgefm.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from edge_fm_export.documents.bom import bill_of_materials, licence_text
from edge_fm_runtime.artifacts.metadata_parser import metadata_from_json, parse_metadata
from edge_fm_runtime.artifacts.packaged import MODELS

pytestmark = pytest.mark.needs("cyclonedx", "jsonschema")

FORMAT = {
    *("http://cyclonedx.org/schema/bom-1.6.schema.json", "CycloneDX", "1.6", "1", "SHA-256", "supervised"),
    *("machine-learning-model", "data", "file", "library", "image-classification"),
    *("accuracy", "accuracy_reference", "top1_agreement", "max_abs_diff", "mean_abs_diff", "drop_points"),
    *("model", "original", "recipe", "training-data", "evaluation-data", "calibration-data", "calibration"),
}
"""Words of the format, which say nothing about the artifact."""


def raw(name: str) -> dict[str, Any]:
    return json.loads((MODELS / name / "edgefm.json").read_text("utf-8"))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value


def at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content[part]
    return content


@pytest.mark.parametrize("name", sorted(folder.parent.name for folder in MODELS.glob("*/edgefm.json")))
def test_every_field_leads_back_to_the_metadata(name: str) -> None:
    content = raw(name)
    bom = json.loads(bill_of_materials(metadata_from_json(content, where=name)))
    known = {value if isinstance(value, str) else json.dumps(value) for _, value in leaves(content)} | set(
        content["files"]
    )
    known |= set(content["versions"])
    checked = 0
    for path, value in leaves(bom):
        text = value if isinstance(value, str) else json.dumps(value)
        inner: Any = bom
        for part in path[:-1]:
            inner = inner[part]
        if path[0] in ("serialNumber",) or "licenses" in path or text in FORMAT:
            continue
        if isinstance(inner, dict) and str(inner.get("name", "")).startswith("edgefm:"):
            if path[-1] == "value":
                found = at(content, inner["name"].removeprefix("edgefm:"))
                assert value == (found if isinstance(found, str) else json.dumps(found, ensure_ascii=False))
                checked += 1
            continue
        reference = text.partition(":")[2]
        if path[-1] == "format":
            side = content["input"] if "inputs" in path else content["output"]
            assert side["name"] in text and side["dtype"] in text and json.dumps(side["shape"]) in text
        elif path[-1] == "purl":
            assert text == f"pkg:pypi/{inner['name']}@{content['versions'][inner['name']]}"
        else:
            assert text in known or reference in known, (path, value)
    assert checked > 20


def test_what_it_is_asked_for_is_there() -> None:
    content = raw("efficientnet-lite0-onnx-int8")
    bom = json.loads(bill_of_materials(metadata_from_json(content, where="")))
    model, others = bom["metadata"]["component"], {one["bom-ref"]: one for one in bom["components"]}
    assert model["hashes"] == [{"alg": "SHA-256", "content": content["files"]["model.onnx"]["sha256"]}]
    assert {one["name"] for one in model["components"]} == set(content["files"])
    assert others["training-data"]["hashes"][0]["content"] == content["training"]["data"]["hash"]
    assert others["recipe"]["hashes"][0]["content"] == content["training"]["recipe_hash"]
    assert others["calibration-data"]["hashes"][0]["content"] == content["quantization"]["calibration_sha256"]
    assert others["original"]["hashes"][0]["content"] == content["source"]["sha256"]
    metrics = {m["type"]: m for m in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    assert metrics["accuracy"]["value"] == repr(content["accuracy"]["value"])
    assert metrics["drop_points"]["confidenceInterval"]["lowerBound"] == repr(content["parity"]["drop_ci95"][0])
    libraries = {one["name"]: one["version"] for one in bom["components"] if one["type"] == "library"}
    assert libraries == content["versions"]
    (dependency,) = (one for one in bom["dependencies"] if one["ref"] == "model")
    assert set(dependency["dependsOn"]) == set(others)


def test_licences_are_those_of_the_installed_version() -> None:
    content = raw("edgenet-s-onnx-int8")
    content["versions"] = {"numpy": version("numpy"), "pillow": "0.0.1"}
    content.pop("metadata_sha256", None)
    bom = json.loads(bill_of_materials(metadata_from_json(content, where="")))
    libraries = {one["name"]: one for one in bom["components"] if one["type"] == "library"}
    assert libraries["numpy"]["licenses"]
    assert "licenses" not in libraries["pillow"]


def test_the_same_metadata_gives_the_same_bytes() -> None:
    text = (MODELS / "edgenet-s-onnx-int8/edgefm.json").read_text("utf-8")
    metadata = parse_metadata(text, where="")
    assert bill_of_materials(metadata) == bill_of_materials(metadata)


@pytest.mark.parametrize("text", ["T-shirt/top", "a\nb", "\u0000", "<script>", "Größe", "x" * 4000])
def test_any_name_fits_the_schema(text: str) -> None:
    content = raw("edgenet-s-onnx-int8")
    content.pop("metadata_sha256", None)
    content["labels"][0] = content["training"]["data"]["name"] = content["accuracy"]["dataset"] = text
    content["training"]["data"]["hash"] = text
    bom = json.loads(bill_of_materials(metadata_from_json(content, where="")))
    assert text in [one["name"] for one in bom["components"]]


def test_a_licence_is_read_from_whatever_field_has_it() -> None:
    assert licence_text("MIT", "x", ()) == "MIT"
    assert licence_text(None, "BSD", ()) == "BSD"
    assert licence_text(None, None, ()) is None


def test_the_file_has_a_name_that_cyclonedx_tools_know() -> None:
    from edge_fm_export.documents.bom import BOM_FILE

    assert Path(BOM_FILE).suffixes == [".cdx", ".json"]
