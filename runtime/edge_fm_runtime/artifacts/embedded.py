"""Read the metadata that is embedded in a bare payload, without loading the model."""

from __future__ import annotations

import contextlib
import io
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from edge_fm_runtime.artifacts.metadata import EMBEDDED_KEY, MAX_METADATA_BYTES
from edge_fm_runtime.errors import ArtifactError

_METADATA_PROPS = 14  # field number in ModelProto, onnx/onnx.proto
_MOST_TOP_FIELDS = 100_000
_MOST_FIELDS = 1_000_000
"""In one message of a model: bounds the time that a file of tiny fields takes."""
Data: TypeAlias = mmap.mmap | bytes
BROKEN = "Copy the file again from where it was exported, or export again: edgefm export"


@contextlib.contextmanager
def opened_data(path: Path, content: bytes | None) -> Iterator[Data]:
    """Give the bytes of a file: `content` where they are at hand, else those on disk, without reading all of them."""
    if content is not None:
        yield content
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def read_embedded(path: Path, content: bytes | None = None) -> str | None:
    """Return the embedded metadata's JSON text, or None where there is none.

    Args:
        path: an `.onnx`, OpenVINO `.xml` or `.tflite` file.
        content: its bytes where they are to be read instead of the file.

    Raises:
        ArtifactError: the file is malformed.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".onnx":
            return _read_onnx(path, content)
        if suffix == ".xml":
            return _read_openvino(path, content)
        if suffix == ".tflite":
            return _read_litert(path, content)
    # SyntaxError: of ElementTree
    except (OSError, ValueError, IndexError, SyntaxError) as error:
        raise ArtifactError(f"{path} is not a readable {suffix[1:]} model: {error}", hint=BROKEN) from error
    return None


def _read_onnx(path: Path, content: bytes | None) -> str | None:
    """Walk the top-level fields of the ModelProto; only the small ones are looked into."""
    with opened_data(path, content) as data:
        for number, start, end in protobuf_fields(data, 0, len(data), most=_MOST_TOP_FIELDS):
            if number == _METADATA_PROPS and end - start <= MAX_METADATA_BYTES:
                entry = {n: data[s:e] for n, s, e in protobuf_fields(data, start, end)}
                if entry.get(1) == EMBEDDED_KEY.encode():
                    return entry.get(2, b"").decode()
    return None


def _read_litert(path: Path, content: bytes | None) -> str | None:
    from edge_fm_runtime.artifacts.embedded_litert import read_named_buffer

    with opened_data(path, content) as data:
        text = read_named_buffer(data, EMBEDDED_KEY, limit=MAX_METADATA_BYTES)
    return None if text is None else text.decode()


def check_litert_data(path: Path, content: bytes | None = None) -> None:
    """Check that a `.tflite` file refers to nothing outside itself, before LiteRT reads it.

    Args:
        path: of the file, for messages.
        content: its bytes, where they were read already.

    Raises:
        ArtifactError: it does, or it is malformed.
    """
    from edge_fm_runtime.artifacts.embedded_litert import check_data_inside

    try:
        with opened_data(path, content) as data:
            check_data_inside(data)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} is not a readable tflite model: {error}.", hint=BROKEN) from error


def protobuf_fields(data: Data, start: int, end: int, *, most: int = _MOST_FIELDS) -> Iterator[tuple[int, int, int]]:
    """Walk a protobuf message, field by field; see protobuf.dev, Encoding.

    Yields:
        field number, start and end of its content.

    Raises:
        ValueError: the message is malformed, or has more than `most` fields.
    """
    at = start
    left = most
    while at < end:
        if not left:
            raise ValueError(f"a protobuf message has more than {most} fields")
        left -= 1
        key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == 0:
            first = at
            _, at = _varint(data, at, end)
        elif wire == 2:
            length, first = _varint(data, at, end)
            at = first + length
        elif wire in (1, 5):
            first = at
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"protobuf wire type {wire} at byte {at}")
        if at > end:
            raise ValueError(f"a protobuf field ends at byte {at}, after the end at {end}")
        yield number, first, at


def _varint(data: Data, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"a protobuf integer does not end at byte {at}")


def _read_openvino(path: Path, content: bytes | None) -> str | None:
    from xml.etree import ElementTree  # for this format alone

    # The model's own section is the last one: where it can be read alone, the layers are passed over.
    with opened_data(path, content) as data:
        first, last = data.rfind(b"<rt_info>"), data.rfind(b"</rt_info>")
        if 0 <= first < last <= first + MAX_METADATA_BYTES:
            with contextlib.suppress(ElementTree.ParseError):
                entry = ElementTree.fromstring(data[first : last + len(b"</rt_info>")]).find(EMBEDDED_KEY)
                if entry is not None:
                    return str(entry.get("value", ""))
    for _, element in ElementTree.iterparse(path if content is None else io.BytesIO(content), events=("end",)):
        if element.tag == "layers":
            element.clear()
        elif element.tag == "rt_info":
            entry = element.find(EMBEDDED_KEY)
            if entry is not None:
                return str(entry.get("value", ""))
    return None
