"""Files that are small to decode and long to walk through: cut into millions of pieces, each a step of Python."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.photo import load_canvas

SHAPE = (28, 28, 1)
SPEC = PhotoSpec(mode="garment", background="dark", fill=0)


def encoded(kind: str, **options: bool) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (64, 64), 90).save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg_between_scans(piece: bytes, count: int) -> bytes:
    whole = encoded("JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + piece * count + whole[last:]


def png_before(kind: bytes, piece: bytes, count: int) -> bytes:
    whole = encoded("PNG")
    at = whole.index(kind) - 4
    return whole[:at] + piece * count + whole[at:]


def gif_of_padding(count: int) -> bytes:
    whole = encoded("GIF")
    at = whole.index(b",")
    return whole[:at] + bytes(count) + whole[at:]


MAKERS: dict[str, tuple[Callable[[int], bytes], int]] = {
    "comments between the scans of a JPEG": (lambda n: jpeg_between_scans(b"\xff\xfe\0\2", n), 20_000),
    "markers without content in a JPEG": (lambda n: jpeg_between_scans(b"\xff\x01", n), 20_000),
    "unknown chunks of a PNG": (lambda n: png_before(b"IDAT", png_chunk(b"teSt"), n), 600_000),
    "empty parts of a PNG's pixels": (lambda n: png_before(b"IDAT", png_chunk(b"IDAT"), n), 600_000),
    "bytes between the blocks of a GIF": (gif_of_padding, 2_000_000),
}
"""Who makes a file of so many pieces, and how many are too many."""


@pytest.mark.parametrize("name", MAKERS)
def test_a_file_of_countless_pieces_is_refused(name: str) -> None:
    make, too_many = MAKERS[name]
    with pytest.raises(PhotoError, match=r"pieces|segments"):
        load_canvas(make(too_many), SHAPE, SPEC)
    np.testing.assert_array_equal(load_canvas(make(500), SHAPE, SPEC), load_canvas(make(0), SHAPE, SPEC))
