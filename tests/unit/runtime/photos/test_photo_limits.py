"""Small files that claim much: refused before memory or time is spent on them."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.jpeg_scans import MAX_SCANS, check_scans
from edge_fm_runtime.photos.photo import load_canvas, open_photo

SHAPE = (28, 28, 1)
SPEC = PhotoSpec(mode="garment", background="dark", fill=0)
MIB = 1 << 20


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes, *, claimed: int | None = None) -> bytes:
    length = len(data) if claimed is None else claimed
    return struct.pack(">I", length) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def sparse(file: Path, start: bytes, size: int) -> None:
    """A file of `size` bytes that takes a few blocks of the disk."""
    with file.open("wb") as stream:
        stream.write(start)
        stream.truncate(size)


def narrow_png(file: Path) -> None:
    pack = zlib.compressobj(9)
    rows = b"".join(pack.compress(b"\0\x80" * 1_000_000) for _ in range(49)) + pack.flush()
    file.write_bytes(png_header(1, 49_000_000) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b""))


def png_with_a_large_chunk_first(file: Path) -> None:
    sparse(file, png_header(4, 4) + png_chunk(b"eXIf", b"II*\0", claimed=200 * MIB)[:-4], 201 * MIB)


def png_with_a_large_chunk_last(file: Path) -> None:
    whole = encoded(Image.new("L", (40, 40)), "PNG")
    end = whole.index(b"IEND") - 4
    sparse(file, whole[:end] + png_chunk(b"eXIf", b"II*\0", claimed=200 * MIB)[:-4], 201 * MIB)


def huge_sparse_png(file: Path) -> None:
    sparse(file, png_header(4, 4) + png_chunk(b"tEXt", b"a\0", claimed=(1 << 31) - 1)[:-4], 4 << 30)


def tiff(tags: dict[int, tuple[int, int, int]], *, after: bytes = b"") -> bytes:
    """A TIFF of these tags -> (type, count, value or offset)."""
    entries = b"".join(struct.pack("<HHLL", tag, *entry) for tag, entry in sorted(tags.items()))
    return struct.pack("<2sHLH", b"II", 42, 8, len(tags)) + entries + struct.pack("<L", 0) + after


GREY_TIFF = {256: (4, 1, 64), 257: (4, 1, 64), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1)}


def tiff_with_a_large_strip(file: Path) -> None:
    tags = GREY_TIFF | {259: (3, 1, 8), 273: (4, 1, 4096), 278: (4, 1, 64), 279: (4, 1, 230 * MIB)}
    sparse(file, tiff(tags).ljust(4096, b"\0") + b"\x78\x9c", 240 * MIB)


def tiff_with_distant_strips(file: Path) -> None:
    lists = struct.pack("<4L", 4096, 200 * MIB, 2048, 2048)
    tags = GREY_TIFF | {273: (4, 2, 1024), 278: (4, 1, 32), 279: (4, 2, 1032)}
    sparse(file, tiff(tags).ljust(1024, b"\0") + lists, 240 * MIB)


def tiff_with_a_large_tile(file: Path) -> None:
    tags = GREY_TIFF | {259: (3, 1, 8), 322: (4, 1, 30_000), 323: (4, 1, 30_000), 324: (4, 1, 512), 325: (4, 1, 900)}
    file.write_bytes(tiff(tags).ljust(512, b"\0") + zlib.compress(bytes(900_000)))


def tiff_in_one_strip(file: Path) -> None:
    Image.new("RGB", (7000, 7000)).save(file, "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 7000})


def tiff_of_many_tags(file: Path) -> None:
    tags = GREY_TIFF | {60_000 + i: (7, 6 * MIB, 4096) for i in range(200)}
    sparse(file, tiff(tags), 7 * MIB)


def tiff_of_many_values(file: Path) -> None:
    sparse(file, tiff(GREY_TIFF | {273: (3, 3_000_000, 4096), 279: (3, 3_000_000, 4096)}), 7 * MIB)


def jpeg_of_many_tags(file: Path) -> None:
    block = tiff({1000 + i: (7, 1000 * 60, 4096) for i in range(300)})
    exif = b"Exif\0\0" + block.ljust(65_000, b"\0")
    file.write_bytes(encoded(Image.new("RGB", (64, 64)), "JPEG", exif=exif))


def png_of_many_tags(file: Path) -> None:
    block = tiff({1000 + i: (7, 4 * MIB, 4096) for i in range(300)}).ljust(5 * MIB, b"\0")
    whole = encoded(Image.new("L", (40, 40)), "PNG")
    file.write_bytes(whole[:33] + png_chunk(b"eXIf", block) + whole[33:])


def jpeg_of_many_segments(file: Path) -> None:
    whole = encoded(Image.new("RGB", (64, 64)), "JPEG")
    file.write_bytes(whole[:2] + (b"\xff\xe5\xff\xff" + bytes(65_533)) * 2000 + whole[2:])


def gif_of_comments(file: Path) -> None:
    whole = encoded(Image.new("P", (64, 64)), "GIF")
    image = whole.index(b",")
    comment = b"!\xfe" + (b"\xff" + b"a" * 255) * 100_000 + b"\0"
    file.write_bytes(whole[:image] + comment * 4 + whole[image:])


def text_ppm(file: Path) -> None:
    file.write_bytes(b"P3\n2000 2000\n255\n" + b"1 2 3\n" * 4_000_000)


def padded_text_ppm(file: Path) -> None:
    file.write_bytes(b"P2\n20 20\n255\n" + b"#" * 30_000_000 + b"\n" + b"7 " * 400)


def deep_ppm(file: Path) -> None:
    file.write_bytes(b"P5\n6000 6000\n1023\n" + bytes(72_000_000))


def run_length_bmp(file: Path) -> None:
    start = struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 0, 0, 0, 1078, 40, 6000, 6000, 1, 8, 1, 0, 0, 0, 256, 0)
    file.write_bytes(start + bytes(1024) + b"\x01\x07" * 20_000_000)


def webp_with_a_large_chunk(file: Path) -> None:
    whole = encoded(Image.new("RGB", (64, 64)), "WEBP")
    sparse(file, whole[:12] + b"VP8X" + struct.pack("<IIHBHB", 10, 8, 63, 0, 63, 0) + whole[12:], 250 * MIB)


def jpeg_of_scans(count: int) -> bytes:
    whole = encoded(Image.new("L", (1000, 1000), 90), "JPEG", progressive=True)
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:last] + whole[last:end] * count + whole[end:]


def jpeg_of_many_scans(file: Path) -> None:
    file.write_bytes(jpeg_of_scans(2000))


MAKERS: dict[Callable[[Path], None], str] = {
    narrow_png: "65,535 pixels a side",
    png_with_a_large_chunk_first: "beside its pixels",
    png_with_a_large_chunk_last: "beside its pixels",
    huge_sparse_png: "photos are read up to 268,435,456 bytes",
    tiff_with_a_large_strip: "megapixels",
    tiff_with_distant_strips: "of pixels; they are read up to",
    tiff_with_a_large_tile: "megapixels",
    tiff_in_one_strip: "megapixels",
    tiff_of_many_tags: "tags that claim more than 8 MiB",
    tiff_of_many_values: "200,000 values",
    jpeg_of_many_tags: "tags that claim more than 8 MiB",
    png_of_many_tags: "tags that claim more than 8 MiB",
    jpeg_of_many_segments: "beside its pixels",
    gif_of_comments: "beside its pixels",
    text_ppm: "bytes of text",
    padded_text_ppm: "bytes of text",
    deep_ppm: "megapixels",
    run_length_bmp: "megapixels",
    webp_with_a_large_chunk: "read up to 50,331,648 bytes",
    jpeg_of_many_scans: f"more than {MAX_SCANS} scans",
}
"""Who makes a file, and what the refusal says."""

CHILD = """
import json, sys, time
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.photo import load_canvas
costs = {}
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        load_canvas(path, (28, 28, 1), PhotoSpec("garment", "dark", 0)); message = ""
    except PhotoError as error:
        message = f"{error.message} {error.hint}"
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
    costs[path] = [message, int(peak) / 1024, time.process_time() - start]
print(json.dumps(costs))
"""


def test_small_files_that_claim_much_are_refused_in_little_memory_and_time(tmp_path: Path) -> None:
    files = {}
    for make in MAKERS:
        files[make] = tmp_path / make.__name__
        make(files[make])
    command = [sys.executable, "-c", CHILD, *map(str, files.values())]
    costs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for make, expected in MAKERS.items():
        message, peak_mib, seconds = costs[str(files[make])]
        assert expected in message, make.__name__
        assert peak_mib < 150, make.__name__
        assert seconds < 10, make.__name__  # it was minutes; of the process's own time


def test_what_is_ordinary_is_read() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 600, 3), np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "a description " * 1000
    for data in (
        encoded(noise, "TIFF", compression="tiff_lzw"),
        encoded(noise, "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 400}),
        encoded(noise, "TIFF", compression="jpeg"),
        encoded(noise, "TIFF", exif=exif),
        encoded(noise, "TIFF", big_tiff=True),
        encoded(noise, "PNG", exif=exif),
        encoded(noise, "JPEG", exif=exif, comment=b"c" * 60_000),
        encoded(noise, "JPEG", progressive=True),
        encoded(noise, "WEBP", exif=exif, icc_profile=bytes(100_000)),
        b"P3\n600 400\n255\n" + b"10 200 30\n" * 240_000,
        b"P5\n600 400\n1023\n" + bytes(480_000),
    ):
        assert load_canvas(data, SHAPE, SPEC).shape == SHAPE


@pytest.mark.parametrize("count", [1, 30, MAX_SCANS - 20])
def test_a_progressive_jpeg_with_some_more_scans_is_read(count: int) -> None:
    assert load_canvas(jpeg_of_scans(count), SHAPE, SPEC).shape == SHAPE


def test_scans_are_counted_as_the_decoder_sees_them() -> None:
    grey, colour = Image.new("L", (64, 64)), Image.new("RGB", (64, 64), "red")
    thumbnail = encoded(colour, "JPEG", progressive=True)
    exif = b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + thumbnail
    baseline = encoded(colour, "JPEG", exif=exif, restart_marker_blocks=1)
    assert check_scans(io.BytesIO(baseline), "it") == 1
    assert check_scans(io.BytesIO(encoded(grey, "JPEG")), "it") == 1
    assert check_scans(io.BytesIO(thumbnail), "it") == thumbnail.count(b"\xff\xda") > 5
    assert check_scans(io.BytesIO(thumbnail + thumbnail), "it") == thumbnail.count(b"\xff\xda")
    stream = io.BytesIO(thumbnail)
    stream.seek(20)
    check_scans(stream, "it")
    assert stream.tell() == 20
    for broken in (b"\xff\xd8\xff", b"\xff\xd8\xff\xda", thumbnail[:300], b"\xff\xd8" + b"\xff" * 200_000):
        check_scans(io.BytesIO(broken), "it")


def test_an_image_that_pillow_has_opened_but_not_decoded_is_bounded_too() -> None:
    with Image.open(io.BytesIO(jpeg_of_scans(MAX_SCANS))) as image, pytest.raises(PhotoError, match="scans"):
        open_photo(image)


def test_one_limit_of_pixels_for_every_way_in(tmp_path: Path) -> None:
    """Where a path is decoded whole, its pixels are accepted too; beyond, only a JPEG is, at half scale."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1000, 3), np.uint8))
    file = tmp_path / "photo.jpg"
    image.save(file)
    array = np.asarray(Image.open(file))
    whole = open_photo(file, size=(28, 28), max_pixels=900_000)
    np.testing.assert_array_equal(whole, open_photo(array, size=(28, 28), max_pixels=900_000))
    assert open_photo(file, size=(28, 28), max_pixels=300_000).size == (500, 450)
    for source in (array, image, file):
        with pytest.raises(PhotoError, match="megapixels"):
            open_photo(source, size=None, max_pixels=300_000)
    with pytest.raises(PhotoError, match="megapixels"):
        open_photo(file, size=(28, 28), max_pixels=200_000)


def test_tags_of_the_wrong_type_are_one_error_and_no_warning() -> None:
    for tag in (278, 279, 258, 322):
        tags = GREY_TIFF | {259: (3, 1, 8), 273: (4, 1, 400), 278: (4, 1, 64), 279: (4, 1, 40)} | {tag: (4, 20, 300)}
        data = tiff(tags).ljust(400, b"\1") + zlib.compress(bytes(4096))
        for source in (data, Image.open(io.BytesIO(data)) if tag in (278, 279) else data):
            with pytest.raises(PhotoError, match="damaged"):
                load_canvas(source, SHAPE, SPEC)
