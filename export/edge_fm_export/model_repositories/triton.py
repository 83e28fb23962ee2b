"""Triton's model repository: `NAME/config.pbtxt`, `NAME/labels.txt` and `NAME/VERSION/model.onnx` or `model.xml`.

`config.pbtxt` is a `ModelConfig` protobuf as text
(https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from edge_fm_export.model_repositories.protobuf_text import quoted
from edge_fm_runtime.artifacts.metadata import PROBABILITIES, Metadata
from edge_fm_runtime.system.atomic_write import write_utf8

CONFIG, LABELS = "config.pbtxt", "labels.txt"
_BACKENDS = {"onnx": "onnxruntime", "openvino": "openvino"}
_LARGEST_BATCH = 64
"""Images that Triton computes at once, where the model takes any number; the file may be edited."""


def place(metadata: Metadata, file: str) -> str:
    """Triton looks for `model.onnx`, or `model.xml` with `model.bin`."""
    return f"model{PurePosixPath(file).suffix}"


def configure(repository: Path, name: str, metadata: Metadata, mount: str) -> dict[Path, bool]:
    """Write the model's `config.pbtxt` and `labels.txt` where they are not there yet; they are the owner's then."""
    texts = {CONFIG: config(name, metadata), LABELS: "".join(f"{label}\n" for label in metadata.labels)}
    written = {}
    for file, text in texts.items():
        path = repository / name / file
        written[path] = not path.exists()
        if written[path]:
            write_utf8(path, text)
    return written


def config(name: str, metadata: Metadata) -> str:
    """The text of `config.pbtxt`.

    ONNX models that take any batch are batched by Triton (`max_batch_size`, `dynamic_batching`). Its OpenVINO backend
    knows only a fixed batch there, so that the batch is a dimension of the tensors as any other; so it is of a model
    with a fixed batch.
    """
    fixed = metadata.input.batch
    batched = fixed is None and metadata.format == "onnx"
    first = [] if batched else [-1 if fixed is None else fixed]
    outputs = [(PROBABILITIES, (len(metadata.labels),)), *((one.name, one.shape) for one in metadata.extra_outputs)]
    lines = [
        f"name: {quoted(name)}",
        f"backend: {quoted(_BACKENDS[metadata.format])}",
        f"max_batch_size: {_LARGEST_BATCH if batched else 0}",
        "input [",
        _tensor(metadata.input.name, "TYPE_UINT8", [*first, *metadata.input.shape]),
        "]",
        "output [",
        ",\n".join(
            _tensor(output, "TYPE_FP32", [*first, *shape], LABELS if output == PROBABILITIES else None)
            for output, shape in outputs
        ),
        "]",
        *(["dynamic_batching { }"] if batched else []),
        "instance_group [ { kind: KIND_CPU } ]",
    ]
    return "\n".join(lines) + "\n"


def _tensor(name: str, kind: str, dims: list[int], labels: str | None = None) -> str:
    fields = [f"name: {quoted(name)}", f"data_type: {kind}", f"dims: {dims}"]
    if labels:
        fields.append(f"label_filename: {quoted(labels)}")
    return "  { " + ", ".join(fields) + " }"
