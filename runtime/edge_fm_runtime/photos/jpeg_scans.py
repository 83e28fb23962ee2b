"""How many scans a JPEG has, counted before it is decoded: each costs a pass over the whole image."""

from __future__ import annotations

import io
import re
from typing import IO

from edge_fm_runtime.errors import PhotoError

MAX_SCANS = 100
"""Of a JPEG. Encoders write ten or twelve; each costs a pass over the whole image, however short it is."""

_MAX_SEGMENTS = 10_000
"""Of a JPEG, in its header and between its scans; photos have at most a few hundred."""

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_BLOCK = 1 << 16


def check_scans(stream: IO[bytes], name: str) -> int:
    """Count the scans of a JPEG, from where its file begins.

    Returns:
        1 for one that is decoded in a single pass, else how many there are. The stream stays where it was.

    Raises:
        PhotoError: there are more than `MAX_SCANS`, or more segments than any photo has.
    """
    before = stream.tell()
    stream.seek(2)
    scans, components, segments = 0, 0, 0
    while (marker := _next_marker(stream)) is not None and marker != 0xD9:
        segments += 1
        if segments > _MAX_SEGMENTS:
            raise PhotoError(
                f"{name} is a JPEG of more than {_MAX_SEGMENTS:,} segments; photos have at most a few hundred.",
                hint="Save it anew as JPEG or PNG.",
            )
        if marker == 0x01:
            continue
        head = stream.read(3)
        if len(head) < 3:
            break
        if marker == 0xDA:
            scans += 1
            if scans == 1 and head[2] == components:  # sequential, with all colours in it
                break
            if scans > MAX_SCANS:
                raise PhotoError(
                    f"{name} is a JPEG of more than {MAX_SCANS} scans, each of which takes as long as decoding it "
                    "anew; photos have about ten.",
                    hint="Save it anew as JPEG or PNG.",
                )
        elif marker in (0xC0, 0xC1, 0xC9):
            frame = stream.read(6)
            components = frame[5] if len(frame) == 6 else 0
            stream.seek(-len(frame), io.SEEK_CUR)
        stream.seek(max(0, int.from_bytes(head[:2], "big") - 3), io.SEEK_CUR)
    stream.seek(before)
    return max(1, scans)


def _next_marker(stream: IO[bytes]) -> int | None:
    """Go behind the next marker; entropy-coded data, which has none but restarts, is passed over."""
    while block := stream.read(_BLOCK):
        found = _MARKER.search(block)
        if found is not None:
            stream.seek(found.end() - len(block), io.SEEK_CUR)
            return block[found.end() - 1]
        if block.endswith(b"\xff") and len(block) > 1:
            stream.seek(-1, io.SEEK_CUR)
    return None
