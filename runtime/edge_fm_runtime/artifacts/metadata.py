"""What an artifact says about itself: dataclasses, and a validator that trusts nothing in the file.

The same metadata stands in `edgefm.json` and, less what is only known once the payload's bytes are final
(`files`, `parity`, `accuracy`), as one JSON string inside the payload, so that a bare `.onnx`, `.xml` or
`.tflite` runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast, get_args

from edge_fm_runtime.artifacts.metadata_reader import MAX_LABELS, REEXPORT, JsonReader
from edge_fm_runtime.errors import ArtifactError, IntegrityError

SCHEMA_VERSION = 1
METADATA_FILE = "edgefm.json"
EMBEDDED_KEY = "edgefm"
"""The one key of ONNX `metadata_props` and OpenVINO `rt_info` that holds the embedded copy."""

MAX_METADATA_BYTES = 4 * 1024 * 1024
MAX_SIDE = 8192
MAX_CHANNELS = 1024
MAX_INPUT_BYTES = 128 * 1024 * 1024
"""Of one image, and of one batch where the batch size is fixed."""
_CHECKSUM = "metadata_sha256"
_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "litert": ".tflite"}
"""Format -> how the payload's name ends; a SavedModel is a folder."""

Format: TypeAlias = Literal["savedmodel", "onnx", "openvino", "litert"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8"]
PhotoMode: TypeAlias = Literal["garment", "fit", "crop", "stretch"]
Background: TypeAlias = Literal["dark", "light", "any"]
JsonObject: TypeAlias = Mapping[str, Any]

FORMATS: tuple[Format, ...] = get_args(Format)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class PhotoSpec:
    """How a photo becomes the model's canvas; the one description that training and device share.

    Attributes:
        mode: "garment" finds the object and crops to it, "fit" letterboxes, "crop" cuts the centre, "stretch" distorts.
        background: the polarity that the model was trained on ("dark": a light object on black, as in
            Fashion-MNIST), or "any" to leave it alone.
        fill: value of the canvas around the picture, 0..255.
    """

    mode: PhotoMode = "fit"
    background: Background = "any"
    fill: int = 0


@dataclass(frozen=True)
class InputSpec:
    """The model's input: uint8 pixels `[N, height, width, channels]`.

    Attributes:
        name: the tensor's name, "image".
        height: in pixels.
        width: in pixels.
        channels: 1 (grey) or 3 (RGB).
        batch: the fixed batch size, or None where any batch is taken.
    """

    height: int
    width: int
    channels: int
    name: str = "image"
    batch: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels of one image."""
        return (self.height, self.width, self.channels)

    @property
    def colour(self) -> str:
        """The meaning of the channels: "grey", "rgb" or "other"."""
        return {1: "grey", 3: "rgb"}.get(self.channels, "other")


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact: SHA-256 (hex) and size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Metadata:
    """Everything that an artifact says about itself.

    The sections (`training` to `parity`) are JSON objects; what the code reads of them is checked (`sections`), the
    rest is for people and reports.

    Attributes:
        name: what a person calls it, such as "edgenet-s-onnx-int8".
        format: the payload's format.
        precision: the payload's precision.
        payload: the main file or folder, relative to the artifact, POSIX style.
        input: the input tensor.
        labels: label of each class, in the order of the output.
        photo: photo preprocessing.
        training: recipe, dataset and their hashes; None for a model of unknown origin.
        accuracy: accuracy on the held-out set and how many images it was measured on.
        quantization: the quantizer, its settings, the calibration set's hash; None for floats.
        graph: nodes, parameters, MACs, bytes of the payload.
        source: name and SHA-256 of the Keras model it came from.
        versions: library versions that made it.
        parity: the gate's result at export, tolerances included.
        files: every other file of the folder by its relative name.
    """

    name: str
    format: Format
    precision: Precision
    payload: str
    input: InputSpec
    labels: tuple[str, ...]
    photo: PhotoSpec = PhotoSpec()
    training: JsonObject | None = None
    accuracy: JsonObject | None = None
    quantization: JsonObject | None = None
    graph: JsonObject | None = None
    source: JsonObject | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    parity: JsonObject | None = None
    files: Mapping[str, FileEntry] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The JSON object that `edgefm.json` holds."""
        return {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "format": self.format,
            "precision": self.precision,
            "payload": self.payload,
            "input": {
                "name": self.input.name,
                "shape": [self.input.batch, *self.input.shape],
                "dtype": "uint8",
                "layout": "NHWC",
                "colour": self.input.colour,
            },
            "output": {
                "name": "probabilities",
                "shape": [self.input.batch, len(self.labels)],
                "dtype": "float32",
            },
            "labels": list(self.labels),
            "photo": {"mode": self.photo.mode, "background": self.photo.background, "fill": self.photo.fill},
            "training": self.training,
            "accuracy": self.accuracy,
            "quantization": self.quantization,
            "graph": self.graph,
            "source": self.source,
            "versions": dict(self.versions),
            "parity": self.parity,
            "files": {name: {"sha256": f.sha256, "bytes": f.bytes} for name, f in sorted(self.files.items())},
        }

    def embedded(self) -> str:
        """The copy that goes into the payload: one line, same bytes for the same metadata."""
        inner = replace(self, files={}, parity=None, accuracy=None)
        return json.dumps(inner.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def dump_metadata(metadata: Metadata) -> str:
    """Return the text of `edgefm.json`: the metadata and, last, a checksum of it."""
    content = metadata.to_json()
    content[_CHECKSUM] = _checksum(content)
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the JSON value of `content`, whatever its layout. It shows damage, not who wrote the file."""
    covered = {key: value for key, value in content.items() if key != _CHECKSUM}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def parse_metadata(text: str | bytes, *, where: str) -> Metadata:
    """Read and validate metadata.

    Args:
        text: the JSON text; at most `MAX_METADATA_BYTES`.
        where: the file it came from, for messages.

    Raises:
        ArtifactError: not JSON, of another schema version, or a field missing, of the wrong type or out of range.
        IntegrityError: it was changed after it was written: its checksum, where it has one, is another.

    Example:
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


def differences(metadata: Metadata, embedded: Metadata) -> list[str]:
    """Names of the fields in which `metadata` is not what was embedded with it; see `Metadata.embedded`."""
    one, other = metadata.to_json(), embedded.to_json()
    for content in (one, other):
        for key in ("files", "parity", "accuracy"):
            content.pop(key)
        # Only known once the payload's bytes are final.
        content["graph"] = {key: value for key, value in (content["graph"] or {}).items() if key != "bytes"}
    return [key for key in one if one[key] != other[key]]


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
        files=_read_files(reader, top),
    )
    if _CHECKSUM in top and top[_CHECKSUM] != _checksum(top):
        raise IntegrityError(
            f"{where} was changed after it was written: its checksum ({_CHECKSUM}) is another.",
            hint="Copy the artifact again from where it was exported, or export again: edgefm export",
        )
    return metadata


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


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
