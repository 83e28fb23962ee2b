"""Read and validate an artifact's metadata; nothing in the file is trusted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast, get_args

from edge_fm_runtime.artifacts.metadata import (
    CHECKSUM_KEY,
    FORMATS,
    MAX_METADATA_BYTES,
    METADATA_FILE,
    PRECISIONS,
    PROBABILITIES,
    SCHEMA_VERSION,
    TASKS,
    Background,
    FileEntry,
    Format,
    InputSpec,
    Metadata,
    OutputSpec,
    PhotoMode,
    PhotoSpec,
    Precision,
    Task,
    checksum,
)
from edge_fm_runtime.artifacts.metadata_reader import MAX_LABELS, REEXPORT, JsonReader
from edge_fm_runtime.errors import ArtifactError, IntegrityError

MAX_SIDE = 8192
MAX_CHANNELS = 1024
MAX_OUTPUTS, MAX_OUTPUT_SIDE = 16, 1 << 20
"""Outputs beside the probabilities, and the largest side of one, such as the features of an embedding."""
MAX_INPUT_BYTES = 128 * 1024 * 1024
"""Of one image, and of one batch where the batch size is fixed."""
_SUFFIXES = {
    **{"onnx": ".onnx", "web": ".onnx", "openvino": ".xml"},
    **{"litert": ".tflite", "tflm": ".tflite"},
}
"""Format -> how the payload's name ends; a SavedModel is a folder."""


def parse_metadata(text: str | bytes, *, where: str) -> Metadata:
    """Read and validate metadata.

    Args:
        text: the JSON text; at most `MAX_METADATA_BYTES`.
        where: the file it came from, for messages.

    Raises:
        ArtifactError: not JSON, of another schema version, or a field missing, of the wrong type or out of range.
        IntegrityError: it was changed after it was written: its checksum, where it has one, is another.

    Example:
        >>> from edge_fm_runtime.artifacts.metadata import dump_metadata
        >>> spec = InputSpec(28, 28, 1)
        >>> m = Metadata("demo", "onnx", "fp32", "model.onnx", spec, ("T-shirt/top", "Ankle boot"))
        >>> parse_metadata(dump_metadata(m), where="demo") == m
        True
    """
    if len(text) > MAX_METADATA_BYTES:
        raise ArtifactError(
            f"{where} is {len(text)} bytes long; metadata has at most {MAX_METADATA_BYTES}.", hint=REEXPORT
        )
    try:
        raw = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where} is not valid JSON: {error}", hint=REEXPORT) from error
    return metadata_from_json(raw, where=where)


def metadata_from_json(raw: object, *, where: str) -> Metadata:
    """Validate a parsed JSON value as metadata; see `parse_metadata`."""
    reader = JsonReader(where)
    top = reader.mapping(raw, "the top level")
    version = reader.integer(top.get("schema_version"), "schema_version", 1, 1 << 31)
    if version > SCHEMA_VERSION:
        raise ArtifactError(
            f"{where} has schema_version {version}; this edge-fm reads up to {SCHEMA_VERSION}.",
            hint="Upgrade it: pip install --upgrade edge-fm",
        )
    labels = reader.labels(top.get("labels"))
    spec = _read_input(reader, top)
    output = reader.mapping(top.get("output"), "output")
    classes = reader.items(output.get("shape"), "output.shape", 2, 2)[1]
    if reader.integer(classes, "output.shape[1]", 1, MAX_LABELS) != len(labels):
        raise ArtifactError(
            f"{where}: labels has {len(labels)} entries, but output.shape says {classes} classes.",
            hint="Export the model again with one label for each class: edgefm export MODEL --labels FILE",
        )
    photo = reader.mapping(top.get("photo"), "photo")
    kind = cast(Format, reader.choice(top.get("format"), "format", FORMATS))
    payload = reader.relative_path(top.get("payload"), "payload")
    if not payload.endswith(suffix := _SUFFIXES.get(kind, "")) or payload == METADATA_FILE:
        reader.fail("payload", f"a file that ends in {suffix}" if suffix else "a folder", payload)
    metadata = Metadata(
        name=reader.name(top.get("name"), "name"),
        format=kind,
        precision=cast(Precision, reader.choice(top.get("precision"), "precision", PRECISIONS)),
        payload=payload,
        input=spec,
        labels=labels,
        photo=PhotoSpec(
            mode=cast(PhotoMode, reader.choice(photo.get("mode"), "photo.mode", get_args(PhotoMode))),
            background=cast(
                Background, reader.choice(photo.get("background"), "photo.background", get_args(Background))
            ),
            fill=reader.integer(photo.get("fill"), "photo.fill", 0, 255),
        ),
        training=reader.section(top, "training"),
        accuracy=reader.section(top, "accuracy"),
        quantization=reader.section(top, "quantization"),
        graph=reader.section(top, "graph"),
        source=reader.section(top, "source"),
        versions={
            k: reader.text(v, f"versions.{k}") for k, v in reader.mapping(top.get("versions", {}), "versions").items()
        },
        parity=reader.section(top, "parity"),
        scores=reader.section(top, "scores"),
        drift=reader.section(top, "drift"),
        files=_read_files(reader, top),
        extra_outputs=_read_extra_outputs(reader, top, spec),
        task=None if top.get("task") is None else cast(Task, reader.choice(top["task"], "task", TASKS)),
    )
    _check_thresholds(reader, metadata)
    if CHECKSUM_KEY in top and top[CHECKSUM_KEY] != checksum(top):
        raise IntegrityError(
            f"{where} was changed after it was written: its checksum ({CHECKSUM_KEY}) is another.",
            hint="Copy the artifact again from where it was exported, or export again: edgefm export",
        )
    return metadata


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _check_thresholds(reader: JsonReader, metadata: Metadata) -> None:
    """Refuse thresholds that are not one for each label, or that stand in an artifact of one class of many."""
    thresholds = (metadata.scores or {}).get("label_thresholds")
    if thresholds is None:
        return
    wanted = len(metadata.labels) if metadata.task is not None else 0
    values = thresholds.get("values")
    if values is None or len(values) != wanted:
        reader.fail("scores.label_thresholds.values", f"{wanted} numbers from 0 to 1, one for each label", values)


def _read_input(reader: JsonReader, top: Mapping[str, Any]) -> InputSpec:
    raw = reader.mapping(top.get("input"), "input")
    batch, height, width, channels = reader.items(raw.get("shape"), "input.shape", 4, 4)
    reader.choice(raw.get("dtype"), "input.dtype", ("uint8",))
    reader.choice(raw.get("layout"), "input.layout", ("NHWC",))
    spec = InputSpec(
        name=reader.text(raw.get("name"), "input.name"),
        height=reader.integer(height, "input.shape[1]", 1, MAX_SIDE),
        width=reader.integer(width, "input.shape[2]", 1, MAX_SIDE),
        channels=reader.integer(channels, "input.shape[3]", 1, MAX_CHANNELS),
        batch=None if batch is None else reader.integer(batch, "input.shape[0]", 1, 65536),
    )
    if (spec.batch or 1) * spec.height * spec.width * spec.channels > MAX_INPUT_BYTES:
        reader.fail("input.shape", f"of at most {MAX_INPUT_BYTES} bytes of pixels", raw.get("shape"))
    return spec


def _read_extra_outputs(reader: JsonReader, top: Mapping[str, Any], spec: InputSpec) -> tuple[OutputSpec, ...]:
    found: list[OutputSpec] = []
    for place, raw in enumerate(reader.items(top.get("extra_outputs", []), "extra_outputs", 0, MAX_OUTPUTS)):
        where = f"extra_outputs[{place}]"
        entry = reader.mapping(raw, where)
        name = reader.name(entry.get("name"), f"{where}.name")
        if name in (PROBABILITIES, *(output.name for output in found)):
            reader.fail(f"{where}.name", "a name that no other output has", name)
        reader.choice(entry.get("dtype"), f"{where}.dtype", ("float32",))
        batch, *sides = reader.items(entry.get("shape"), f"{where}.shape", 2, 4)
        if batch != spec.batch:
            reader.fail(f"{where}.shape[0]", f"the batch of the input, {spec.batch}", batch)
        shape = tuple(reader.integer(side, f"{where}.shape", 1, MAX_OUTPUT_SIDE) for side in sides)
        if (spec.batch or 1) * math.prod(shape) * 4 > MAX_INPUT_BYTES:
            reader.fail(f"{where}.shape", f"of at most {MAX_INPUT_BYTES} bytes of floats", entry.get("shape"))
        found.append(OutputSpec(name, shape, reader.text(entry.get("description"), f"{where}.description")))
    return tuple(found)


def _read_files(reader: JsonReader, top: Mapping[str, Any]) -> dict[str, FileEntry]:
    files: dict[str, FileEntry] = {}
    for name, raw in reader.mapping(top.get("files", {}), "files").items():
        entry = reader.mapping(raw, f"files.{name}")
        digest = reader.text(entry.get("sha256"), f"files.{name}.sha256")
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            reader.fail(f"files.{name}.sha256", "64 hexadecimal digits", digest)
        size = reader.integer(entry.get("bytes"), f"files.{name}.bytes", 0, 1 << 50)
        files[reader.relative_path(name, "files")] = FileEntry(digest, size)
    return files
