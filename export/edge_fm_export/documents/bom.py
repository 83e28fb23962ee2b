"""A bill of materials of an artifact: CycloneDX 1.6 (ECMA-424), made from its metadata alone but for licences.

Properties named `edgefm:PATH` hold the value at PATH in `edgefm.json`: a text as it is, anything else as JSON. There is
no date, so that the same metadata gives the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any

from edge_fm_export.browser_runtime.package import LICENCE, PACKAGE
from edge_fm_runtime.artifacts.metadata import Metadata, checksum
from edge_fm_runtime.errors import ExportError, MissingDependencyError

BOM_FILE = "bom.cdx.json"
_MODEL = "model"
_SHA256_DIGITS = 64


def require_bom() -> None:
    """Check that the CycloneDX library is installed.

    Raises:
        MissingDependencyError: it is not, or not with what validates.
    """
    try:
        import cyclonedx.model.bom  # noqa: F401
        import jsonschema  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "cyclonedx-python-lib[json-validation]", "bom", "A bill of materials"
        ) from error


def bill_of_materials(described: Metadata) -> str:
    """Write the bill of materials, and validate it by CycloneDX's own schema.

    Args:
        described: complete, with the hashes of the files.

    Raises:
        MissingDependencyError: the CycloneDX library is not installed.
        ExportError: the result does not fit the schema.
    """
    require_bom()
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.output.json import JsonV1Dot6
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    content = described.to_json()
    model = _model(described, content)
    others = [*_data(content), *_original(content), *_libraries(described.versions)]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"urn:edgefm:{checksum(content)}")
    bom = Bom(components=others, serial_number=serial)
    bom.metadata.component = model
    bom.dependencies.add(Dependency(model.bom_ref, (Dependency(other.bom_ref) for other in others)))
    top = json.loads(JsonV1Dot6(bom).output_as_string())
    del top["metadata"]["timestamp"]
    # The library has no model cards yet.
    top["metadata"]["component"]["modelCard"] = _model_card(described, content, [o.bom_ref.value for o in others])
    text = json.dumps(top, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        raise ExportError(
            f"The bill of materials of {described.name} does not fit CycloneDX's schema: {str(fault)[:500]}",
            hint="Export without --bom, and report this.",
        )
    return text


def _model(described: Metadata, content: Mapping[str, Any]) -> Any:
    from cyclonedx.model.component import Component, ComponentType

    files = [
        Component(name=name, type=ComponentType.FILE, bom_ref=f"file:{name}", hashes=_hashes(entry.sha256))
        for name, entry in sorted(described.files.items())
    ]
    payload = described.files.get(described.payload)
    return Component(
        name=described.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=_MODEL,
        hashes=() if payload is None else _hashes(payload.sha256),
        components=files,
        properties=_properties(content, ("format", "precision", "payload", "labels", "photo", "quantization", "graph")),
    )


def _data(content: Mapping[str, Any]) -> Iterator[Any]:
    """Training data, recipe, evaluation set and calibration set, as far as they are known."""
    training, parity = content["training"] or {}, content["parity"] or {}
    data, quantization = training.get("data") or {}, content["quantization"] or {}
    rows = (
        ("training-data", data.get("name"), data.get("hash"), "training.data"),
        ("recipe", training.get("run"), training.get("recipe_hash"), "training"),
        ("evaluation-data", parity.get("dataset"), parity.get("dataset_sha256"), "parity"),
        ("calibration-data", "calibration", quantization.get("calibration_sha256"), "quantization.calibration_sha256"),
    )
    from cyclonedx.model.component import Component, ComponentType

    for reference, name, digest, path in rows:
        if name is None or (digest is None and reference != "training-data"):
            continue
        yield Component(
            name=str(name),
            type=ComponentType.DATA,
            bom_ref=reference,
            hashes=_hashes(digest),
            properties=_properties(content, (path,), leave_out=("training.data",) if path == "training" else ()),
        )


def _original(content: Mapping[str, Any]) -> Iterator[Any]:
    """The Keras model that the artifact was exported from."""
    from cyclonedx.model.component import Component, ComponentType

    source = content["source"]
    if source is not None:
        yield Component(
            name=source["name"],
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref="original",
            hashes=_hashes(source["sha256"]),
            properties=_properties(content, ("source",)),
        )


def _libraries(versions: Mapping[str, str]) -> Iterator[Any]:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    for name, number in sorted(versions.items()):
        yield Component(
            name=name,
            version=number,
            type=ComponentType.LIBRARY,
            bom_ref=f"library:{name}",
            purl=PackageURL("npm" if name == PACKAGE else "pypi", name=name, version=number),
            licenses=_licences(name, number),
        )


def _licences(name: str, number: str) -> tuple[Any, ...]:
    """What the installed package says of its licence; empty where another version is installed, or it says nothing."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    if name == PACKAGE:
        return (LicenseFactory().make_from_string(LICENCE),)
    try:
        if version(name) != number:
            return ()
        fields = metadata(name)
    except PackageNotFoundError:
        return ()
    expression, text = (next(iter(fields.get_all(key) or ()), None) for key in ("License-Expression", "License"))
    stated = licence_text(expression, text, fields.get_all("Classifier") or ())
    return () if stated is None else (LicenseFactory().make_from_string(stated),)


def licence_text(expression: str | None, text: str | None, classifiers: tuple[str, ...] | list[str]) -> str | None:
    """The licence that a package's metadata states: its SPDX expression, its name, or its classifiers.

    Example:
        >>> licence_text(None, "MIT " * 100, ["License :: OSI Approved :: MIT License"])
        'MIT License'
    """
    if expression:
        return expression
    if text and "\n" not in text.strip() and len(text) <= 80:
        return text.strip()
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: ")]
    return ", ".join(named) or None


def _hashes(digest: object) -> tuple[Any, ...]:
    from cyclonedx.model import HashAlgorithm, HashType

    known = isinstance(digest, str) and len(digest) == _SHA256_DIGITS and set(digest) <= set("0123456789abcdef")
    return (HashType(alg=HashAlgorithm.SHA_256, content=str(digest)),) if known else ()


def _properties(content: Mapping[str, Any], paths: tuple[str, ...], leave_out: tuple[str, ...] = ()) -> tuple[Any, ...]:
    from cyclonedx.model import Property

    return tuple(
        Property(name=f"edgefm:{path}", value=value)
        for root in paths
        for path, value in _leaves(root, _at(content, root))
        if not any(path == out or path.startswith(f"{out}.") for out in leave_out)
    )


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content.get(part) if isinstance(content, Mapping) else None
    return content


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value and not any("." in key for key in value):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _model_card(described: Metadata, content: Mapping[str, Any], references: list[str]) -> dict[str, Any]:
    spec, training, source = content["input"], content["training"] or {}, content["source"] or {}
    parameters: dict[str, Any] = {
        "approach": {"type": "supervised"},
        "task": "image-classification",
        "datasets": [{"ref": name} for name in references if name.endswith("-data")],
        "inputs": [{"format": f"{spec['name']}: {spec['dtype']} {json.dumps(spec['shape'])} {spec['colour']}"}],
        "outputs": [
            {
                "format": "{name}: {dtype} {side}".format(
                    **content["output"], side=json.dumps(content["output"]["shape"])
                )
            }
        ],
    }
    if architecture := training.get("model") or source.get("name"):
        parameters["modelArchitecture"] = architecture
    card: dict[str, Any] = {"modelParameters": parameters}
    if metrics := list(_metrics(content)):
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    if notes := source.get("notes"):
        card["considerations"] = {"technicalLimitations": list(notes)}
    if described.scores is not None:
        card["properties"] = [
            {"name": f"edgefm:{path}", "value": value} for path, value in _leaves("scores", content["scores"])
        ]
    return card


def _metrics(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    accuracy, parity = content["accuracy"], content["parity"] or {}
    if accuracy is not None:
        yield {
            "type": accuracy.get("measure") or "accuracy",
            "value": json.dumps(accuracy["value"]),
            "slice": accuracy["dataset"],
        }
    names = ("accuracy_reference", "map_reference", "top1_agreement", "label_agreement")
    for key in (*names, "max_abs_diff", "mean_abs_diff", "drop_points"):
        if parity.get(key) is None:
            continue
        metric = {"type": key, "value": json.dumps(parity[key]), "slice": parity["dataset"]}
        if key == "drop_points" and parity.get("drop_ci95"):
            low, high = map(json.dumps, parity["drop_ci95"])
            metric["confidenceInterval"] = {"lowerBound": low, "upperBound": high}
        yield metric
