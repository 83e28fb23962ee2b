"""Refuse ONNX files that make a library read other files: weights stored outside them ("external data").

EdgeFM writes none. Libraries refuse those outside the model's folder, some only in late versions; this one asks none.
Source: onnx/onnx.proto (field numbers of ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
"""

from __future__ import annotations

from pathlib import Path

from edge_fm_runtime.artifacts.embedded import BROKEN, Data, opened_data, protobuf_fields
from edge_fm_runtime.errors import ArtifactError

# Each message: number of a field -> the message in it. Whatever leads to a tensor.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEEPEST = 100
_MOST_FIELDS = 5_000_000
"""In all messages together: bounds the time and memory that a file of tiny fields takes."""


def refuse_external_data(path: Path, content: bytes | None = None) -> None:
    """Check that a model is all in one file.

    Args:
        path: an `.onnx` file.
        content: its bytes where they are to be read instead of the file.

    Raises:
        ArtifactError: it stores weights elsewhere, or is malformed.
    """
    try:
        with opened_data(path, content) as data:
            # Every reference has this key, so that hardly a file has to be walked through.
            outside = data.find(b"location") >= 0 and _refers(data)
    except (OSError, ValueError, IndexError) as error:
        raise ArtifactError(f"{path} is not a readable onnx model: {error}", hint=BROKEN) from error
    if outside:
        raise ArtifactError(
            f"{path} stores weights in other files; an artifact's model is one file, and no other is ever read for it.",
            hint="Save it as one file (onnx.save_model(..., save_as_external_data=False)) and export it again.",
        )


def _refers(data: Data) -> bool:
    todo = [("model", 0, len(data), 0)]
    seen = 0
    while todo:
        kind, start, end, depth = todo.pop()
        if depth > _DEEPEST:
            raise ValueError(f"graphs lie {_DEEPEST} deep in each other")
        for number, first, last in protobuf_fields(data, start, end):
            seen += 1
            if seen > _MOST_FIELDS:
                raise ValueError(f"it has more than {_MOST_FIELDS} fields")
            if kind == "tensor":
                if number in (_EXTERNAL_DATA, _DATA_LOCATION) and data[first:last] != b"\0":
                    return True
            elif (inner := _INSIDE[kind].get(number)) is not None:
                todo.append((inner, first, last, depth + 1))
    return False
