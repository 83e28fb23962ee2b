"""AVIF files whose container says less than their frames hold: refused before they are decoded."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, features

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.avif.av1 import read_frames, read_sequence
from edge_fm_runtime.photos.avif.check import check_avif
from edge_fm_runtime.photos.photo import load_canvas, open_photo

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")

SPEC = PhotoSpec(mode="garment", background="dark", fill=0)
SIZE, SAID = (320, 200), (64, 64)
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


@cache
def encode(size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, 90 if mode == "L" else (90, 100, 110)).save(stream, "AVIF", speed=10, quality=30, **options)
    return stream.getvalue()


@cache
def frame(size: tuple[int, int] = SIZE) -> bytes:
    """The coded data of an image, which Pillow's encoder puts at the end of the file."""
    whole = encode(size, "L")
    return whole[whole.index(b"mdat") + 4 :]


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")


def ispe(size: tuple[int, int]) -> bytes:
    return box(b"ispe", number(0), number(size[0]), number(size[1]))


GREY = (box(b"av1C", b"\x81\x20\x1c\0"), box(b"pixi", number(0), b"\1\x08"))


def avif(
    items: list[tuple[bytes, bytes, list[bytes]]],
    references: list[tuple[bytes, int, list[int]]] | None = None,
    *,
    pieces: int = 1,
    in_idat: bool = False,
) -> bytes:
    """A file of items, the first of which is the image.

    Args:
        items: type, content and properties of each; their numbers count from 1.
        references: type, from and to.
        pieces: in how many extents each item lies.
        in_idat: the items lie in the box idat.
    """
    content = b"".join(data for _, data, _ in items)
    properties = [prop for _, _, own in items for prop in own]
    uses, at = b"", 1
    for item, (_, _, own) in enumerate(items, 1):
        uses += number(item, 2) + number(len(own), 1) + bytes(range(at, at + len(own)))
        at += len(own)

    def meta(offset: int) -> bytes:
        places = b""
        for item, (_, data, _) in enumerate(items, 1):
            cuts = [len(data) * part // pieces for part in range(pieces + 1)]
            places += number(item, 2) + number(int(in_idat), 2) + number(0, 2) + number(pieces, 2)
            places += b"".join(number(offset + start) + number(end - start) for start, end in pairwise(cuts))
            offset += len(data)
        entries = [
            box(b"infe", number(2, 1), number(0, 3), number(item, 2), number(0, 2), kind, b"\0")
            for item, (kind, _, _) in enumerate(items, 1)
        ]
        refs = [
            box(kind, number(source, 2), number(len(targets), 2), *(number(target, 2) for target in targets))
            for kind, source, targets in references or []
        ]
        return box(
            b"meta",
            *(number(0), box(b"hdlr", bytes(8), b"pict", bytes(13)), box(b"pitm", number(0), number(1, 2))),
            box(b"iloc", number(1, 1), number(0, 3), b"\x44\0", number(len(items), 2), places),
            *(box(b"iinf", number(0), number(len(items), 2), *entries), box(b"iref", number(0), *refs)),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", number(0), number(len(items)), uses)),
            *([box(b"idat", content)] if in_idat else []),
        )

    head = box(b"ftyp", b"avif", number(0), b"avifmif1miaf")
    if in_idat:
        return head + meta(0)
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", content)


def item(size: tuple[int, int], data: bytes | None = None) -> tuple[bytes, bytes, list[bytes]]:
    return (b"av01", frame() if data is None else data, [ispe(size), *GREY])


def grid(size: tuple[int, int], count: int) -> tuple[bytes, bytes, list[bytes]]:
    shape = bytes([0, 0, 0, count - 1]) + number(size[0] * count, 2) + number(size[1], 2)
    return (b"grid", shape, [ispe((size[0] * count, size[1])), GREY[1]])


def of_two_tiles(size: tuple[int, int]) -> bytes:
    return avif([grid(size, 2), item(size), item(size)], [(b"dimg", 1, [2, 3])])


def with_alpha(size: tuple[int, int]) -> bytes:
    alpha = (b"av01", frame(), [ispe(size), *GREY, box(b"auxC", number(0), ALPHA)])
    return avif([item(SIZE), alpha], [(b"auxl", 2, [1])])


MAKERS: dict[str, Callable[[tuple[int, int]], bytes]] = {
    "plain": lambda size: avif([item(size)]),
    "in pieces": lambda size: avif([item(size)], pieces=3),
    "in the box idat": lambda size: avif([item(size)], in_idat=True),
    "a grid": of_two_tiles,
    "alpha": with_alpha,
    "a sequence header before": lambda size: avif([item(size, frame((64, 64)) + frame())]),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_a_frame_that_is_larger_than_its_header_says_is_refused(kind: str) -> None:
    make = MAKERS[kind]
    with pytest.raises(PhotoError, match="holds a frame of 320x200 where its header says 64x64"):
        load_canvas(make(SAID), (28, 28, 1), SPEC)
    if kind != "a sequence header before":
        assert open_photo(make(SIZE)).size == ((640, 200) if kind == "a grid" else SIZE)


def test_many_frames_in_one_image_are_refused() -> None:
    whole = encode(SIZE, "L")
    hidden = frame() + frame() * 3
    assert open_photo(avif([item(SIZE, hidden)])).size == SIZE
    with pytest.raises(PhotoError, match="more than 8 frames"):
        open_photo(avif([item(SIZE, frame() * 9)]))
    with pytest.raises(PhotoError, match=r"an AVIF photo of 0\.1 megapixels whose frames take"):
        open_photo(whole, max_pixels=120_000)


def test_the_first_frame_of_a_sequence_counts_by_what_it_holds() -> None:
    stream = io.BytesIO()
    frames = [Image.new("RGB", (640, 400), (i * 20, 90, 90)) for i in range(4)]
    frames[0].save(stream, "AVIF", save_all=True, append_images=frames[1:], speed=10)
    whole = stream.getvalue()
    assert open_photo(whole).size == (640, 400)
    # Smaller by its track and its items.
    forged = whole.replace(number(640 << 16) + number(400 << 16), number(64 << 16) + number(40 << 16))
    forged = forged.replace(number(640) + number(400), number(64) + number(40))
    forged = forged.replace(number(640, 2) + number(400, 2), number(64, 2) + number(40, 2))
    with pytest.raises(PhotoError, match=r"whose frames take|holds a frame of 640x400"):
        open_photo(forged, max_pixels=300_000)
    # One sample size and one chunk, which claim frames without end.
    at = whole.index(b"stsz") + 8
    with pytest.raises(PhotoError, match="10,000 are read"):
        open_photo(whole[:at] + number(1) + number(2_000_000) + whole[at + 8 :])


def test_lists_without_end_and_metadata_without_measure_are_refused() -> None:
    for broken in (
        avif([item(SIZE), (b"Exif", bytes(9 << 20), [])]),
        avif([item(SIZE)] + [(b"uri ", b"", [])] * 9000, [(b"cdsc", 2, [1] * 60_000)]),
        avif([item(SIZE, b"\x12\0" * 30_000 + frame())]),
        encode(SIZE).replace(b"iloc\0", b"iloc\3"),
    ):
        with pytest.raises(PhotoError, match="damaged"):
            open_photo(broken)


def test_headers_of_av1_are_read_by_the_book() -> None:
    """Reduced and full headers; grey, subsampled and full colour; film grain; tiles."""
    for options, mode, sample_bytes in (
        ({}, "RGB", 1.5),
        ({"subsampling": "4:2:2"}, "RGB", 2.0),
        ({"subsampling": "4:4:4"}, "RGB", 3.0),
        ({}, "L", 1.0),
        ({"advanced": (("film-grain-test", "1"),)}, "RGB", 3.0),
        ({"tile_rows": 1, "autotiling": False}, "RGB", 1.5),
    ):
        for size in ((1, 1), (321, 200)):
            whole = encode(size, mode, **options)
            data = memoryview(whole)[whole.index(b"mdat") + 4 :]
            (found,) = read_frames(data, 8, lambda: None)
            assert (found.width, found.height, found.sample_bytes) == (*size, sample_bytes)
    # A size of its own, which a frame may state: as large as the sequence header has bits for.
    full = "000000000000" + "0" * 12 + "001001000100000011111100011111100000000011"
    full += "0000000000"
    sequence = read_sequence(int(full.ljust(128, "0"), 2).to_bytes(16, "big"))
    assert (sequence.size, sequence.largest, sequence.sample_bytes) == ((64, 64), (512, 512), 1.5)


CHILD = """
import json, sys
from edge_fm_runtime import PhotoSpec, load_canvas
from edge_fm_runtime.errors import PhotoError
try: load_canvas(sys.argv[1], (28, 28, 1), PhotoSpec("garment", "dark", 0)); message = ""
except PhotoError as error: message = error.message
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps([message, int(peak) / 1024]))
"""


def test_a_forged_file_takes_no_memory(tmp_path: Path) -> None:
    size = (3000, 3000)
    file = tmp_path / "small.avif"
    file.write_bytes(encode(size).replace(number(size[0]) + number(size[1]), number(100) + number(100)))
    done = subprocess.run([sys.executable, "-c", CHILD, str(file)], capture_output=True, text=True, check=True)
    message, peak_mib = json.loads(done.stdout)
    assert "small.avif is an AVIF photo that holds a frame of 3000x3000 where its header says 100x100" in message
    assert peak_mib < 70  # decoded, it takes about 110


def test_an_image_that_pillow_has_opened_is_checked_too() -> None:
    with Image.open(io.BytesIO(avif([item(SAID)]))) as image, pytest.raises(PhotoError, match="holds a frame of"):
        open_photo(image)
    check_avif(encode(SIZE), "it", max_pixels=1_000_000)
