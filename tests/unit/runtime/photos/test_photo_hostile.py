"""A file that is no photo is one clear error: never a traceback, a hang, or memory without bound."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.file import shown_name, sniff
from edge_fm_runtime.photos.photo import load_canvas, open_photo

SHAPE = (28, 28, 1)
SPEC = PhotoSpec(mode="garment", background="dark", fill=0)


def refused(source: object, match: str) -> PhotoError:
    with pytest.raises(PhotoError, match=match) as caught:
        load_canvas(source, SHAPE, SPEC)  # type: ignore[arg-type]
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"PK\x03\x04" + b"\0" * 60, "is a zip archive, not a photo"),
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML><html>404</html>", "is an HTML page"),
        (b"<?xml version='1.0'?><svg/>", "XML or SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a PostScript document"),
        (b"%PDF-1.7", "is a PDF"),
        (b"\0" * 100, "nothing but zero bytes"),
        (b"just some words", "is text"),
        (bytes(range(7, 90)), "of an unknown kind"),
        (b"\0\0\0\x18ftypavif" + b"\0" * 20, "is damaged or cut short"),
        (b"\0\0\0\x18ftypisom" + b"\0" * 20, "a video"),
        (b"\xff\xd8\xff", "is damaged or cut short"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 8, "is damaged or cut short"),
        (b"GIF89a", "is damaged or cut short"),
        (b"II*\0", "is damaged or cut short"),
        (b"BM", "is damaged or cut short"),
        (b"P6 1", "is damaged or cut short"),
        (b"RIFF\0\0\0\0WEBP", "is damaged or cut short"),
    ],
)
def test_what_is_no_photo_is_named_for_what_it_is(tmp_path: Path, content: bytes, match: str) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(content)
    refused(file, match)
    refused(content, match)


def test_unsupported_kinds_list_what_is_supported() -> None:
    error = refused(
        b"PK\x03\x04", r"supported are JPEG, PNG, WebP, AVIF, HEIC \(with the extra heif\), GIF, BMP, TIFF and PPM"
    )
    assert error.hint == "Save it as JPEG or PNG."
    assert error.exit_code == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_truncated_files_are_refused(kind: str) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(stream, kind)
    data = stream.getvalue()
    assert load_canvas(data, SHAPE, SPEC).shape == SHAPE
    for share in (0.1, 0.5, 0.9):
        refused(data[: int(len(data) * share)], "damaged or cut short")


def test_folders_fifos_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")
    fifo = tmp_path / "fifo.jpg"
    os.mkfifo(fifo)
    refused(fifo, "is a FIFO")
    (tmp_path / "link.jpg").symlink_to(fifo)
    refused(tmp_path / "link.jpg", "is a FIFO")
    refused("/dev/zero", "is a device")
    refused("/dev/null", "is a device")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        refused(tmp_path / "s", "is a socket")


def test_missing_looping_and_impossible_names(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.jpg", "does not exist")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone")
    refused(tmp_path / "dangling.jpg", "does not exist")
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    refused(loop, "cannot be opened")
    refused("zero\0byte.jpg", "cannot be opened")
    refused("n" * 5000, "cannot be opened")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_rights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret.jpg"
    Image.new("L", (9, 9)).save(file)
    file.chmod(0)
    refused(file, "cannot be opened: Permission denied")


def test_names_are_shown_safely(tmp_path: Path) -> None:
    assert shown_name("a\nb\x1b[31m\u202e.jpg") == "a\\nb\\x1b[31m\\u202e.jpg"
    assert shown_name(b"caf\xe9.jpg") == "caf\\xe9.jpg"
    assert shown_name("é ü 写真.jpg") == "é ü 写真.jpg"
    assert len(shown_name("x" * 5000)) < 200
    bad = os.fsencode(tmp_path) + b"/new\nline \xff.jpg"
    Path(os.fsdecode(bad)).write_bytes(b"words")
    error = refused(os.fsdecode(bad), "is text")
    assert "new\\nline \\xff.jpg" in error.message
    error.message.encode("utf-8")


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (2, 3), (27, 28), (3, 3000)])
@pytest.mark.parametrize("mode", ["garment", "fit", "crop", "stretch"])
def test_odd_sizes_have_a_canvas(size: tuple[int, int], mode: str) -> None:
    canvas = load_canvas(Image.new("RGB", size, (200, 30, 40)), SHAPE, PhotoSpec(mode, "any", 0))  # type: ignore[arg-type]
    assert canvas.shape == SHAPE


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = _png(60000, 60000)
    assert len(bomb) < 1000
    refused(bomb, "60000x60000, 3600.0 megapixels; this kind is read up to 50.0")
    with pytest.raises(PhotoError, match=r"read up to 0\.0 megapixels"):
        load_canvas(Image.new("L", (100, 100)), SHAPE, SPEC, max_pixels=9_999)
    assert open_photo(Image.new("L", (100, 100)), max_pixels=10_000).size == (100, 100)


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_decoders_never_warn(recwarn: pytest.WarningsRecorder) -> None:
    """Corrupt EXIF makes Pillow warn; that must not reach whoever shows warnings."""
    stream = io.BytesIO()
    Image.new("RGB", (40, 40)).save(
        stream, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0" + b"\xff" * 30
    )
    assert load_canvas(stream.getvalue(), SHAPE, SPEC).shape == SHAPE
    assert not recwarn.list


def test_only_the_decoder_that_is_needed_is_loaded(tmp_path: Path) -> None:
    """Start time, and no reader (EPS runs Ghostscript) that untrusted bytes must not reach."""
    file = tmp_path / "photo.jpg"
    Image.new("RGB", (300, 200), "red").save(file)
    code = (
        "import sys; from edge_fm_runtime import PhotoSpec, load_canvas;"
        f"load_canvas({str(file)!r}, (28, 28, 1), PhotoSpec('garment', 'dark', 0));"
        "print(sorted(m for m in sys.modules if m.startswith('PIL.') and m.endswith('Plugin')), "
        "'PIL.ImageCms' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['PIL.JpegImagePlugin'] False"


@pytest.mark.parametrize(
    ("kind", "mode", "megapixels"),
    [
        ("PNG", "RGBA", 50),
        ("wide PNG", "RGBA", 50),
        ("deflated TIFF", "RGB", 50),
        ("JPEG", "L", 200),
        ("progressive JPEG", "RGB", 22),
        ("WEBP", "RGBA", 10),
        ("GIF", "P", 50),
        ("TIFF", "F", 50),
    ],
)
def test_the_largest_photos_stay_under_300_mib(tmp_path: Path, kind: str, mode: str, megapixels: int) -> None:
    pixels = megapixels * 1_000_000
    height = 764 if kind.startswith("wide") else min(int(pixels**0.5), 16000)
    image = Image.new(mode, (pixels // height, height), "grey" if mode.startswith("RGB") else 90)
    file = tmp_path / "large"
    options: dict[str, object] = {"progressive": True, "subsampling": 0} if kind.startswith("prog") else {}
    if kind.endswith("PNG"):
        options = {"compress_level": 1}
    if kind.startswith("deflated"):
        options = {"compression": "tiff_adobe_deflate"}
    image.save(file, kind.rsplit(maxsplit=1)[-1], **options)
    del image
    code = (
        "from edge_fm_runtime import PhotoSpec, load_canvas;"
        f"load_canvas({str(file)!r}, (28, 28, 1), PhotoSpec('garment', 'dark', 0));"
        "print(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) / 1024 < 300


def test_sniffing_knows_what_pillow_writes() -> None:
    for kind, name in {
        "JPEG": "JPEG",
        "PNG": "PNG",
        "WEBP": "WebP",
        "GIF": "GIF",
        "BMP": "BMP",
        "TIFF": "TIFF",
        "PPM": "PPM",
    }.items():
        stream = io.BytesIO()
        Image.new("RGB", (4, 4)).save(stream, kind)
        assert sniff(stream.getvalue()[:64]) == name


def test_many_threads_decode_at_once_and_leave_the_warning_filters_alone() -> None:
    stream = io.BytesIO()
    broken_exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + b"\x12\x01\x03\0" + b"\xff" * 30
    Image.new("RGB", (40, 40), "red").save(stream, "JPEG", exif=broken_exif)
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        canvases = list(pool.map(lambda _: load_canvas(stream.getvalue(), SHAPE, SPEC), range(200)))
    assert all((canvas == canvases[0]).all() for canvas in canvases)
    assert list(warnings.filters) == before


def test_nothing_but_the_error_reaches_stderr(tmp_path: Path) -> None:
    file = tmp_path / "odd.tif"
    Image.new("RGB", (40, 40)).save(file)
    samples_per_pixel = struct.pack("<HHIH", 277, 3, 1, 3)
    assert samples_per_pixel in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(samples_per_pixel, struct.pack("<HHIH", 277, 3, 1, 2048)))
    code = (
        "from edge_fm_runtime.photos.photo import open_photo; from edge_fm_runtime.errors import PhotoError\n"
        f"try: open_photo({str(file)!r})\nexcept PhotoError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")
