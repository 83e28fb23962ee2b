"""The bodies of the Open Inference Protocol: JSON, and its binary tensor extension, to and from arrays."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.serving.limits.refusals import Refusal
from edge_fm_runtime.arrays import Pixels, Probabilities

INPUT, OUTPUT = "image", "probabilities"
HEADER = "Inference-Header-Content-Length"
"""Bytes of the JSON at the beginning of a body, where tensors follow it."""


@dataclass(frozen=True)
class InferRequest:
    """A request to infer.

    Attributes:
        id: given back with the result; None where there is none.
        pixels: uint8 `[N,H,W,C]`.
        binary: whether the output is to be bytes after the JSON.
        classes: how many classes are to be named for each image, as text; 0 for the probabilities.
    """

    id: str | None
    pixels: Pixels
    binary: bool
    classes: int


def read_request(body: bytes, json_bytes: str | None, shape: tuple[int, int, int], input_name: str) -> InferRequest:
    """Read the body of a request.

    Args:
        body: as it came.
        json_bytes: value of the header `HEADER`; None where it is all JSON.
        shape: height, width, channels that the model takes.
        input_name: name of the model's input.

    Raises:
        Refusal: with status 400, it is not what the protocol says or what the model takes.
    """
    head, rest = _split(body, json_bytes)
    try:
        request = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"The body is not JSON: {error}.") from error
    if not isinstance(request, dict):
        raise Refusal(400, f"The body is a JSON {type(request).__name__}; supported is an object with `inputs`.")
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise Refusal(400, "`id` is text in this protocol.")
    inputs = _list_of_objects(request, "inputs")
    if len(inputs) != 1 or inputs[0].get("name") != input_name:
        names = [entry.get("name") for entry in inputs]
        raise Refusal(400, f"`inputs` holds {names}; the model has one input, {input_name!r}.")
    pixels = _pixels(inputs[0], rest, shape, input_name)
    binary, classes = _output(request)
    return InferRequest(identity, pixels, binary, classes)


def _split(body: bytes, json_bytes: str | None) -> tuple[bytes, bytes]:
    if json_bytes is None:
        return body, b""
    if not (json_bytes.isascii() and json_bytes.isdigit() and len(json_bytes) < 12) or int(json_bytes) > len(body):
        raise Refusal(
            400, f"{HEADER} is {json_bytes!r}; the body has {len(body)} bytes, of which it counts the JSON's."
        )
    return body[: int(json_bytes)], body[int(json_bytes) :]


def _list_of_objects(request: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = request.get(key)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise Refusal(400, f"`{key}` is not a list of objects.")
    return found


def _parameters(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = entry.get("parameters", {})
    if not isinstance(found, dict):
        raise Refusal(400, "`parameters` is not an object.")
    return found


def _pixels(entry: Mapping[str, Any], rest: bytes, shape: tuple[int, int, int], name: str) -> Pixels:
    takes = f"the model takes UINT8 [N, {', '.join(map(str, shape))}] with N of at least 1"
    if entry.get("datatype") != "UINT8":
        raise Refusal(400, f"{name!r} has the datatype {entry.get('datatype')!r}; {takes}.")
    given = entry.get("shape")
    if (
        not isinstance(given, list)
        or len(given) != 4
        or not all(type(side) is int for side in given)
        or tuple(given[1:]) != shape
        or given[0] < 1
    ):
        raise Refusal(400, f"{name!r} has the shape {given}; {takes}.")
    elements = math.prod(given)
    size = _parameters(entry).get("binary_data_size")
    if size is not None:
        if "data" in entry:
            raise Refusal(400, f"{name!r} has both `data` and `binary_data_size`; supported is one of them.")
        if type(size) is not int or size != len(rest) or size != elements:
            raise Refusal(
                400,
                f"{name!r} has a `binary_data_size` of {size}, its shape {given} has {elements} elements of one byte, "
                f"and {len(rest)} bytes follow the JSON; these are to be the same.",
            )
        return np.frombuffer(rest, np.uint8).reshape(given)
    if rest:
        raise Refusal(400, f"{len(rest)} bytes follow the JSON, and no input has a `binary_data_size`.")
    return _from_json(entry.get("data"), given, elements, name)


def _from_json(data: Any, shape: Sequence[int], elements: int, name: str) -> Pixels:
    try:
        values: npt.NDArray[Any] = np.array(data if isinstance(data, list) else None)
    except ValueError as error:
        raise Refusal(400, f"`data` of {name!r} is ragged.") from error
    if values.dtype.kind not in "iu" or values.size != elements or values.shape not in ((elements,), tuple(shape)):
        raise Refusal(400, f"`data` of {name!r} is not {elements} whole numbers, flat or in the shape {list(shape)}.")
    if values.min() < 0 or values.max() > 255:
        raise Refusal(400, f"`data` of {name!r} has values of {values.min()} to {values.max()}; UINT8 is 0 to 255.")
    return values.astype(np.uint8).reshape(shape)


def _output(request: Mapping[str, Any]) -> tuple[bool, int]:
    """Whether the output is to be binary, and how many classes it is to name."""
    binary = _parameters(request).get("binary_data_output", False)
    classes = 0
    if request.get("outputs") is not None:
        outputs = _list_of_objects(request, "outputs")
        if len(outputs) != 1 or outputs[0].get("name") != OUTPUT:
            names = [entry.get("name") for entry in outputs]
            raise Refusal(400, f"`outputs` holds {names}; the model has one output, {OUTPUT!r}.")
        parameters = _parameters(outputs[0])
        binary = parameters.get("binary_data", binary)
        classes = parameters.get("classification", 0)
    if not isinstance(binary, bool):
        raise Refusal(400, "`binary_data` and `binary_data_output` are true or false.")
    if type(classes) is not int or classes < 0:
        raise Refusal(400, "`classification` is a whole number of classes.")
    return binary, classes


def write_response(
    model: str, version: str, request: InferRequest, probabilities: Probabilities, labels: Sequence[str]
) -> tuple[bytes, dict[str, str]]:
    """The body of the response, and its headers.

    Args:
        model: its name.
        version: its version.
        request: what was asked for.
        probabilities: float32 `[N,classes]`.
        labels: of the classes.
    """
    entry: dict[str, Any] = {"name": OUTPUT}
    if request.classes:
        text = _classes(probabilities, labels, request.classes)
        entry |= {"datatype": "BYTES", "shape": [len(text), len(text[0])]}
        data: list[Any] = [cell for row in text for cell in row]
        raw = b"".join(struct.pack("<I", len(cell.encode())) + cell.encode() for cell in data)
    else:
        entry |= {"datatype": "FP32", "shape": list(probabilities.shape)}
        data, raw = [], b""
        if request.binary:
            raw = probabilities.astype("<f4").tobytes()
        else:
            data = probabilities.ravel().tolist()
    response: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id is not None:
        response["id"] = request.id
    if not request.binary:
        response["outputs"] = [entry | {"data": data}]
        return json.dumps(response).encode(), {"Content-Type": "application/json"}
    response["outputs"] = [entry | {"parameters": {"binary_data_size": len(raw)}}]
    head = json.dumps(response).encode()
    return head + raw, {"Content-Type": "application/octet-stream", HEADER: str(len(head))}


def _classes(probabilities: Probabilities, labels: Sequence[str], classes: int) -> list[list[str]]:
    """For each image its best classes as `score:index:label`, as Triton's classification extension has it."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :classes]
    return [[f"{row[i]:f}:{i}:{labels[i]}" for i in best] for row, best in zip(probabilities, order, strict=True)]
