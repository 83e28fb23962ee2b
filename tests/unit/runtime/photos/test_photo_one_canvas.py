"""One photo, one canvas: a path, its bytes, a PIL image and an array of its pixels give the same, to the bit."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.photo import load_canvas, open_photo

PHOTOS = Path(__file__).parents[5] / "shared" / "photos"
SIZES = [(1, 1), (3, 700), (700, 3), (28, 28), (255, 257), (400, 533), (640, 481), (1031, 773), (16001, 9)]
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 90}),
    "jpeg 4:4:4": ("JPEG", {"quality": 95, "subsampling": 0}),
    "progressive jpeg": ("JPEG", {"quality": 80, "progressive": True}),
    "png": ("PNG", {"compress_level": 1}),
    "webp": ("WEBP", {"quality": 80, "method": 0}),
    "lossless webp": ("WEBP", {"lossless": True, "method": 0, "quality": 0}),
    "bmp": ("BMP", {}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {}),
    "deflated tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "ppm": ("PPM", {}),
}


@cache
def example_image(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A rough image with an object in it; every block of it has its own average."""
    width, height = size
    rng = np.random.default_rng(width * 31 + height)
    pixels = rng.integers(150, 251, (height, width, 3), np.uint8)
    pixels[height // 4 : height * 3 // 4, width // 5 : width * 2 // 3] -= 110
    image = Image.fromarray(pixels)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)))
    return image.convert(mode)


def encode(image: Image.Image, name: str, **more: Any) -> bytes:
    kind, options = FORMATS[name]
    stream = io.BytesIO()
    image.save(stream, kind, **options, **more)
    return stream.getvalue()


def assert_one_canvas(file: Path, arrays: list[npt.NDArray[np.uint8]], *, canvas: tuple[int, int] = (28, 28)) -> None:
    """What comes before the canvas is compared: the same image in means the same canvas out, in every mode."""
    expected = open_photo(file, size=canvas)
    data = file.read_bytes()
    with Image.open(file) as opened:
        sources: list[Any] = [str(file), data, bytearray(data), memoryview(data), opened, opened.copy(), *arrays]
        for number, source in enumerate(sources):
            got = open_photo(source, size=canvas)
            assert got.size == expected.size
            # Grey as three equal channels is grey: the canvas is the same.
            np.testing.assert_array_equal(
                np.asarray(got.convert("RGB")), np.asarray(expected.convert("RGB")), str(number)
            )
    spec = PhotoSpec(mode="garment", background="dark", fill=0)
    np.testing.assert_array_equal(load_canvas(arrays[0], (*canvas, 1), spec), load_canvas(file, (*canvas, 1), spec))


def upright_pixels(file: Path, mode: str | None = None) -> npt.NDArray[np.uint8]:
    """What a program that knows nothing of us has of a photo: Pillow's pixels, turned as EXIF says."""
    with Image.open(file) as image:
        turned = ImageOps.exif_transpose(image)
        return np.asarray(turned if mode is None else turned.convert(mode))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_and_size(tmp_path: Path, name: str) -> None:
    for size in SIZES:
        file = tmp_path / f"{size[0]}x{size[1]}"
        file.write_bytes(encode(example_image(size), name))
        assert_one_canvas(file, [upright_pixels(file, "RGB")], canvas=(160, 28))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_every_orientation(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for size in [(1031, 773), (5, 900)]:
        file = tmp_path / f"{size[0]}x{size[1]}"
        file.write_bytes(encode(example_image(size), name, exif=exif))
        assert_one_canvas(file, [upright_pixels(file, "RGB"), np.asarray(open_photo(file))])


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize(
    ("mode", "name", "as_array"),
    [
        ("L", "jpeg", "L"),
        ("L", "jpeg", "RGB"),
        ("L", "png", "L"),
        ("1", "png", "L"),
        ("P", "png", "RGB"),
        ("RGBA", "png", "RGBA"),
        ("LA", "png", "RGBA"),
        ("RGBA", "lossless webp", "RGBA"),
        # Deflated: Pillow scrambles turned TIFFs of these modes where it maps a file into memory, whoever opens them.
        ("RGBA", "deflated tiff", "RGBA"),
        ("CMYK", "deflated tiff", "RGB"),
        ("CMYK", "jpeg", "RGB"),
    ],
)
def test_every_mode(tmp_path: Path, mode: str, name: str, as_array: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for size in [(773, 1031)]:
        file = tmp_path / f"{size[0]}x{size[1]}"
        file.write_bytes(encode(example_image(size, mode), name, exif=exif))
        whole = np.asarray(open_photo(file))
        with_axis = [whole[..., None]] if whole.ndim == 2 else []
        assert_one_canvas(file, [upright_pixels(file, as_array), whole, *with_axis])


def test_bands_do_not_show(tmp_path: Path) -> None:
    """Images that are converted in several bands of rows, among them one whose blocks are taller than a band."""
    for size, mode in (((1601, 1600), "P"), ((1601, 1600), "RGBA"), ((24001, 131), "RGBA")):
        file = tmp_path / f"{mode}{size[0]}.png"
        example_image(size, mode).save(file, compress_level=1)
        flat = open_photo(file)
        assert_one_canvas(file, [np.asarray(flat)])
        np.testing.assert_array_equal(
            np.asarray(open_photo(file, size=(28, 28))), np.asarray(open_photo(flat, size=(28, 28)))
        )


def test_every_mode_of_canvas() -> None:
    """A canvas of another size takes another reduction."""
    whole = example_image((2407, 1801))
    stream = io.BytesIO()
    whole.save(stream, "JPEG")
    array = np.asarray(Image.open(stream))
    turned_twice = array[::-1, ::-1].copy()[::-1, ::-1]
    for shape, spec in (
        ((96, 80, 3), PhotoSpec(mode="fit", background="any", fill=7)),
        ((300, 400, 3), PhotoSpec(mode="crop", background="any", fill=0)),
        ((33, 28, 1), PhotoSpec(mode="stretch", background="light", fill=255)),
        ((64, 64, 3), PhotoSpec(mode="garment", background="any", fill=0)),
    ):
        expected = load_canvas(stream.getvalue(), shape, spec)
        np.testing.assert_array_equal(load_canvas(array, shape, spec), expected)
        np.testing.assert_array_equal(load_canvas(turned_twice, shape, spec), expected)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photos are not part of the project")
def test_real_photos() -> None:
    found = sorted(p for p in PHOTOS.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    assert len(found) > 200
    for file in found:
        assert_one_canvas(file, [upright_pixels(file)])
