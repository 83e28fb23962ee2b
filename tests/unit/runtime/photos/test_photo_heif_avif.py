"""AVIF and WebP by Pillow, HEIC by the extra heif; without it, the error says what to install."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.file import sniff
from edge_fm_runtime.photos.photo import load_canvas, open_photo

SPEC = PhotoSpec(mode="garment", background="dark", fill=0)
SIZE = (640, 400)


def example_image() -> Image.Image:
    image = Image.new("RGB", SIZE, (230, 220, 210))
    image.paste((40, 60, 150), (0, 0, 320, 200))
    return image


def encode(kind: str, orientation: int = 1, **options: Any) -> bytes:
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    if kind == "HEIC":
        pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
        file = pillow_heif.from_pillow(example_image())
        file.save(stream, exif=exif.tobytes(), quality=90, **options)
    else:
        if not features.check("avif"):
            pytest.skip("this Pillow reads no AVIF")
        example_image().save(stream, "AVIF", exif=exif, quality=90, speed=10, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_it_is_read_as_every_other_photo(tmp_path: Path, kind: str) -> None:
    data = encode(kind)
    assert sniff(data[:64]) == kind
    file = tmp_path / f"photo.{kind.lower()}"
    file.write_bytes(data)
    shown = open_photo(file)
    assert shown.size == SIZE
    close = np.abs(np.asarray(shown).astype(int) - np.asarray(example_image()).astype(int))
    assert close.mean() < 4
    canvas = load_canvas(file, (28, 28, 1), SPEC)
    np.testing.assert_array_equal(load_canvas(data, (28, 28, 1), SPEC), canvas)
    np.testing.assert_array_equal(load_canvas(np.asarray(shown), (28, 28, 1), SPEC), canvas)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_it_is_turned_upright(kind: str, orientation: int) -> None:
    shown = open_photo(encode(kind, orientation)).convert("RGB")
    width, height = shown.size
    assert shown.size == (SIZE if orientation == 3 else SIZE[::-1])
    dark = {3: (width - 20, height - 20), 6: (width - 20, 20), 8: (20, height - 20)}[orientation]
    assert shown.getpixel(dark)[0] < 90  # type: ignore[index]


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_a_damaged_one_is_refused(kind: str) -> None:
    data = encode(kind)
    for cut in (data[:60], data[: len(data) // 2], data[:40] + bytes(len(data) - 40)):
        with pytest.raises(PhotoError, match="is damaged or cut short"):
            load_canvas(cut, (28, 28, 1), SPEC)
    with pytest.raises(PhotoError, match="megapixels"):
        load_canvas(data, (28, 28, 1), SPEC, max_pixels=250_000)


def test_a_heic_that_is_larger_than_its_header_says_is_refused() -> None:
    """libheif's own limit, which a newer one could lose."""
    data = encode("HEIC")
    at = data.index(b"ispe") + 8
    for size in ((64, 64), (640, 40)):
        said = size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big")
        with pytest.raises(PhotoError, match="exceeds the maximum image size"):
            open_photo(data[:at] + said + data[at + 8 :])


def test_a_large_webp_is_refused_before_it_is_decoded() -> None:
    """Its reader knows no tiles before it decodes, and an animation's canvas may be larger than its frames."""
    stream = io.BytesIO()
    Image.new("RGB", (4000, 4000)).save(stream, "WEBP", lossless=True, method=0, quality=0)
    with pytest.raises(PhotoError, match=r"4000x4000, 16\.0 megapixels; this kind is read up to 12\.5"):
        open_photo(stream.getvalue())
    with Image.open(stream) as opened, pytest.raises(PhotoError, match="4000x4000"):
        open_photo(opened)
    small = io.BytesIO()
    Image.new("RGB", (16, 16)).save(small, "WEBP", lossless=True)
    frame = bytes(6) + bytes([15, 0, 0]) * 2 + bytes([100, 0, 0, 0]) + small.getvalue()[12:]
    canvas = b"VP8X" + struct.pack("<IB3x", 10, 2) + (5999).to_bytes(3, "little") * 2
    content = canvas + b"ANIM" + struct.pack("<IIH", 6, 0, 0) + b"ANMF" + struct.pack("<I", len(frame)) + frame
    with pytest.raises(PhotoError, match="6000x6000"):
        open_photo(b"RIFF" + struct.pack("<I", 4 + len(content)) + b"WEBP" + content)


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    file = tmp_path / "IMG_0001.HEIC"
    file.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from edge_fm_runtime.errors import PhotoError\n"
        "from edge_fm_runtime.photos.photo import open_photo\n"
        f"try: open_photo({str(file)!r})\n"
        "except PhotoError as error: print(error.message, '|', error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "IMG_0001.HEIC is a HEIC photo; reading it needs the package pillow-heif" in done.stdout
    assert done.stdout.endswith("| pip install 'edge-fm[heif]'\n")


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"avis\0\0\0\0avifmif1", "AVIF"),
        (b"isom\0\0\0\0isomavc1", "a video"),
        (b"qt  \0\0\0\0qt  qt  ", "a video"),
    ],
)
def test_brands_tell_heic_and_avif_from_video(brands: bytes, kind: str) -> None:
    assert sniff(b"\0\0\0\x18ftyp" + brands) == kind
