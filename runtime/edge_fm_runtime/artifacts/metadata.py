"""The metadata of an artifact: dataclasses and their JSON; `metadata_parser` reads and validates it.

The same metadata stands in `edgefm.json` and, less what is only known once the payload's bytes are final
(`files`, `parity`, `accuracy`, `drift`), as one JSON string inside the payload, so that a bare `.onnx`, `.xml` or
`.tflite` runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, get_args

from edge_fm_runtime.system.sha256 import sha256_hex

SCHEMA_VERSION = 1
METADATA_FILE = "edgefm.json"
EMBEDDED_KEY = "edgefm"
"""The one key of ONNX `metadata_props` and OpenVINO `rt_info` that holds the embedded copy."""

MAX_METADATA_BYTES = 4 * 1024 * 1024
CHECKSUM_KEY = "metadata_sha256"

Format: TypeAlias = Literal["savedmodel", "onnx", "openvino", "litert", "web", "tflm"]
Precision: TypeAlias = Literal["fp32", "fp16", "int8", "w8a16"]
"""Of weights and activations alike, but for "w8a16": weights of 8 bits, activations of 16."""
Task: TypeAlias = Literal["multi-label"]
"""What a model predicts other than one class of many: "multi-label", any number of labels, each by its own sigmoid."""
PhotoMode: TypeAlias = Literal["garment", "fit", "crop", "stretch"]
Background: TypeAlias = Literal["dark", "light", "any"]
JsonObject: TypeAlias = Mapping[str, Any]

FORMATS: tuple[Format, ...] = get_args(Format)
PROBABILITIES = "probabilities"
"""Name of the output that every model has, the first one."""
EXTRA_OUTPUTS = ("embedding", "cam")
"""Names of the outputs that a model may have beside it, in their order."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
TASKS: tuple[Task, ...] = get_args(Task)
MULTI_LABEL: Task = "multi-label"


@dataclass(frozen=True)
class PhotoSpec:
    """How a photo becomes the model's canvas; the one description that training and device share.

    Attributes:
        mode: "garment" finds the object and crops to it, "fit" letterboxes, "crop" cuts the centre, "stretch" distorts.
        background: the polarity that the model was trained on ("dark": a light object on black, as in
            Fashion-MNIST), or "any" to leave it alone.
        fill: value of the canvas around the image, 0..255.
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
class OutputSpec:
    """An output beside the probabilities: float32 `[N, *shape]`.

    Attributes:
        name: such as "embedding".
        shape: of one image's values.
        description: what it is, for a person.
    """

    name: str
    shape: tuple[int, ...]
    description: str


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact: SHA-256 (hex) and size in bytes."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Metadata:
    """The description of an artifact.

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
        scores: the temperature inside the graph, how well scores match accuracy on the validation split, and the score
            below which `--min-score auto` gives no label; of a multi-label model the threshold of each label. None
            where none of it is known.
        drift: what `edgefm drift` compares photos with, the file drift.npz: how many images of which dataset, and the
            names of the tests. None where none was recorded.
        files: every other file of the folder by its relative name.
        extra_outputs: what the model returns beside the probabilities, in the order of the file; mostly nothing.
        task: "multi-label" where each label has a probability of its own, which do not add up to 1; None for one class
            of many.
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
    scores: JsonObject | None = None
    drift: JsonObject | None = None
    files: Mapping[str, FileEntry] = field(default_factory=dict)
    extra_outputs: tuple[OutputSpec, ...] = ()
    task: Task | None = None

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
                "name": PROBABILITIES,
                "shape": [self.input.batch, len(self.labels)],
                "dtype": "float32",
            },
            # Left out where there are none, as are scores.
            **({"extra_outputs": self._extra_outputs()} if self.extra_outputs else {}),
            "labels": list(self.labels),
            "photo": {"mode": self.photo.mode, "background": self.photo.background, "fill": self.photo.fill},
            "training": self.training,
            "accuracy": self.accuracy,
            "quantization": self.quantization,
            "graph": self.graph,
            "source": self.source,
            "versions": dict(self.versions),
            "parity": self.parity,
            # Left out where there are none, as artifacts from before have it.
            **({} if self.scores is None else {"scores": self.scores}),
            **({} if self.task is None else {"task": self.task}),
            **({} if self.drift is None else {"drift": self.drift}),
            "files": {name: {"sha256": f.sha256, "bytes": f.bytes} for name, f in sorted(self.files.items())},
        }

    def _extra_outputs(self) -> list[dict[str, Any]]:
        batch = self.input.batch
        return [
            {"name": o.name, "shape": [batch, *o.shape], "dtype": "float32", "description": o.description}
            for o in self.extra_outputs
        ]

    def embedded(self) -> str:
        """The copy that goes into the payload: one line, same bytes for the same metadata."""
        inner = replace(self, files={}, parity=None, accuracy=None, drift=None)
        return json.dumps(inner.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def dump_metadata(metadata: Metadata) -> str:
    """Return the text of `edgefm.json`: the metadata and, last, a checksum of it."""
    content = metadata.to_json()
    content[CHECKSUM_KEY] = checksum(content)
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the JSON value of `content`, whatever its layout. It shows damage, not who wrote the file."""
    covered = {key: value for key, value in content.items() if key != CHECKSUM_KEY}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256_hex(text.encode())


def differences(metadata: Metadata, embedded: Metadata) -> list[str]:
    """Names of the fields in which `metadata` is not what was embedded with it; see `Metadata.embedded`."""
    one, other = metadata.to_json(), embedded.to_json()
    for content in (one, other):
        for key in ("files", "parity", "accuracy", "drift"):
            content.pop(key, None)
        # Only known once the payload's bytes are final.
        content["graph"] = {key: value for key, value in (content["graph"] or {}).items() if key != "bytes"}
    return [key for key in {**one, **other} if one.get(key) != other.get(key)]
