"""Read from a `.tflite` file what is checked before LiteRT loads it, without a flatbuffer library.

That is one named metadata buffer, and where the model's data lie. Only these tables are followed, every offset checked
against the file's end. Source: schema.fbs of LiteRT (field numbers) and FlatBuffers' internals document.
"""

from __future__ import annotations

import mmap
import struct

_IDENTIFIER = b"TFL3"
_MODEL_SUBGRAPHS, _MODEL_BUFFERS, _MODEL_METADATA = 2, 4, 6
_MODEL_EXTERNAL_GROUPS, _MODEL_EXTERNAL_BUFFERS = 8, 9
_SUBGRAPH_OPERATORS = 3
_OPERATOR_OFFSET, _OPERATOR_SIZE = 9, 10
_MOST_TABLES = 100_000
"""Bounds the time that a file of tiny tables takes; a model of thousands of layers has some ten thousand."""
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2


def read_named_buffer(data: mmap.mmap | bytes, name: str, *, limit: int) -> bytes | None:
    """The content of the metadata buffer called `name`, or None where there is none.

    Args:
        data: the whole file.
        name: as in `Metadata.name`.
        limit: a longer buffer is malformed, in bytes.

    Raises:
        ValueError: the file is no LiteRT model, an offset leads out of it, or the buffer is longer than `limit`.
    """
    model = _model(data)
    for entry in _tables(data, model, _MODEL_METADATA):
        at = _field(data, entry, _METADATA_NAME)
        if at is None or _bytes(data, _follow(data, at), limit=limit) != name.encode():
            continue
        at = _field(data, entry, _METADATA_BUFFER)
        number = 0 if at is None else _u32(data, at)
        buffers = _tables(data, model, _MODEL_BUFFERS)
        if number >= len(buffers):
            raise ValueError(f"metadata {name} is in buffer {number} of {len(buffers)}")
        return _content(data, buffers[number], limit)
    return None


def check_data_inside(data: mmap.mmap | bytes) -> None:
    """Check that all data of the model lie in its own file, wherever they are claimed to be.

    LiteRT adds offset and size in 64 bits, where a large offset wraps around; it reads external buffers from other
    files.

    Args:
        data: the whole file.

    Raises:
        ValueError: data lie outside the file, or the file is no LiteRT model.
    """
    model = _model(data)
    if _tables(data, model, _MODEL_EXTERNAL_GROUPS) or _tables(data, model, _MODEL_EXTERNAL_BUFFERS):
        raise ValueError("it keeps weights in other files (external buffers); no other file is ever read for a model")
    for number, buffer in enumerate(_tables(data, model, _MODEL_BUFFERS)):
        _check_range(data, buffer, _BUFFER_OFFSET, _BUFFER_SIZE, f"buffer {number}")
    left = _MOST_TABLES
    for graph, subgraph in enumerate(_tables(data, model, _MODEL_SUBGRAPHS)):
        operators = _tables(data, subgraph, _SUBGRAPH_OPERATORS)
        left -= 1 + len(operators)  # subgraphs may share one list
        if left < 0:
            raise ValueError(f"it has more than {_MOST_TABLES} operators")
        for number, operator in enumerate(operators):
            what = f"the options of operator {number} in subgraph {graph}"
            _check_range(data, operator, _OPERATOR_OFFSET, _OPERATOR_SIZE, what)


def _check_range(data: mmap.mmap | bytes, table: int, offset_field: int, size_field: int, what: str) -> None:
    """Check what is claimed to lie behind the flatbuffer; see `_content`."""
    places = [_field(data, table, number) for number in (offset_field, size_field)]
    start, size = (0 if at is None else _u64(data, at) for at in places)
    if start + size > len(data):
        raise ValueError(f"{what}: {size} bytes are said to begin at byte {start} of {len(data)}")


def _model(data: mmap.mmap | bytes) -> int:
    if data[4:8] != _IDENTIFIER:
        raise ValueError(f"it does not begin as a LiteRT model does ({_IDENTIFIER.decode()} at byte 4)")
    return _follow(data, 0)


def _content(data: mmap.mmap | bytes, buffer: int, limit: int) -> bytes:
    at = _field(data, buffer, _BUFFER_DATA)
    if at is not None:
        return _bytes(data, _follow(data, at), limit=limit)
    # Models above 2 GB keep their buffers behind the flatbuffer.
    start, size = (_field(data, buffer, number) for number in (_BUFFER_OFFSET, _BUFFER_SIZE))
    if start is None or size is None:
        return b""
    return _slice(data, _u64(data, start), _u64(data, size), limit)


def _tables(data: mmap.mmap | bytes, table: int, number: int) -> list[int]:
    """Where the tables of a vector begin."""
    at = _field(data, table, number)
    if at is None:
        return []
    vector = _follow(data, at)
    length = _u32(data, vector)
    if length > (len(data) - vector) // 4:
        raise ValueError(f"a list at byte {vector} has {length} entries, more than the file can hold")
    if length > _MOST_TABLES:
        raise ValueError(f"a list at byte {vector} has {length} entries; at most {_MOST_TABLES} are read")
    return [_follow(data, vector + 4 + 4 * i) for i in range(length)]


def _field(data: mmap.mmap | bytes, table: int, number: int) -> int | None:
    """Where a field of a table is, None where it is left out."""
    listing = table - _unpack("<i", data, table)
    if listing < 0:
        raise ValueError(f"the table at byte {table} leads out of the file")
    size = _unpack("<H", data, listing)
    entry = 4 + 2 * number
    offset = _unpack("<H", data, listing + entry) if entry + 2 <= size else 0
    return table + offset if offset else None


def _follow(data: mmap.mmap | bytes, at: int) -> int:
    return at + _u32(data, at)


def _bytes(data: mmap.mmap | bytes, at: int, *, limit: int) -> bytes:
    return _slice(data, at + 4, _u32(data, at), limit)


def _slice(data: mmap.mmap | bytes, start: int, length: int, limit: int) -> bytes:
    if length > limit or start + length > len(data):
        raise ValueError(f"{length} bytes at byte {start} of {len(data)}; at most {limit} are read")
    return data[start : start + length]


def _u32(data: mmap.mmap | bytes, at: int) -> int:
    return _unpack("<I", data, at)


def _u64(data: mmap.mmap | bytes, at: int) -> int:
    return _unpack("<Q", data, at)


def _unpack(kind: str, data: mmap.mmap | bytes, at: int) -> int:
    try:
        (value,) = struct.unpack_from(kind, data, at)
    except struct.error as error:
        raise ValueError(f"byte {at} is after the end, at {len(data)}") from error
    return int(value)
