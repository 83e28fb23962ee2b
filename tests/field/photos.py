"""Photos as cameras, editors and scanners write them: as bare Pillow shows them, or refused with words that help."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps, features

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.photo import load_canvas

_ORIENTATION = 0x0112


def example_image(mode: str = "RGB", size: tuple[int, int] = (1021, 767)) -> Image.Image:
    """Something on a ground, with noise; no two corners are alike."""
    width, height = size
    rng = np.random.default_rng(width)
    pixels = rng.integers(170, 240, (height, width, 3), np.uint8)
    pixels[height // 5 : height * 4 // 5, width // 3 : width * 3 // 4] = (40, 70, 150)
    pixels[: height // 4, : width // 4] = (200, 30, 40)
    image = Image.fromarray(pixels)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(size))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    return exif


def upright(file: Path) -> npt.NDArray[np.uint8]:
    """The pixels that Pillow alone shows, white behind transparency."""
    with Image.open(file) as image:
        shown = ImageOps.exif_transpose(image)
        if shown.mode in ("RGBA", "LA", "PA") or "transparency" in shown.info:
            clear = shown.convert("RGBA")
            shown = Image.new("RGB", clear.size, "white")
            shown.paste(clear, mask=clear)
        return np.asarray(shown if shown.mode == "L" else shown.convert("RGB"))


@dataclass(frozen=True)
class PhotoCase:
    """A photo file.

    Attributes:
        name: of the case.
        file: what it is called.
        content: its bytes; called when the case runs.
        pixels: its upright pixels, from the file; the canvas must be that of these pixels.
        error: must be in the message or the hint; "" where the photo must be read.
    """

    name: str
    file: str
    content: Callable[[], bytes]
    pixels: Callable[[Path], npt.NDArray[np.uint8]] = upright
    error: str = ""

    def check(self, folder: Path) -> None:
        """Compare the canvases of the file with those of its pixels, or the words of the refusal."""
        file = folder / self.file
        file.write_bytes(self.content())
        for shape, mode in (((28, 28, 1), "garment"), ((96, 64, 3), "fit")):
            spec = PhotoSpec(mode=mode, background="dark", fill=0)  # type: ignore[arg-type]
            if self.error:
                with pytest.raises(PhotoError) as caught:
                    load_canvas(file, shape, spec)
                assert self.error in f"{caught.value.message} {caught.value.hint}"
            else:
                expected = load_canvas(self.pixels(file), shape, spec)
                np.testing.assert_array_equal(load_canvas(file, shape, spec), expected)


def _high_bytes(file: Path) -> npt.NDArray[np.uint8]:
    with Image.open(file) as image:
        return (np.asarray(image) >> 8).astype(np.uint8)


def _sixteen_bits() -> bytes:
    ramp = np.linspace(0, 65535, 600 * 500).astype(np.uint16).reshape(600, 500)
    return encoded(Image.fromarray(ramp), "PNG")


def _heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heif")
    stream = io.BytesIO()
    pillow_heif.from_pillow(example_image()).save(stream, exif=turned(6).tobytes(), quality=80)
    return stream.getvalue()


def _heic_pixels(file: Path) -> npt.NDArray[np.uint8]:
    import pillow_heif

    return np.asarray(pillow_heif.open_heif(file).to_pillow().convert("RGB"))


def _avif() -> bytes:
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    return encoded(example_image(), "AVIF", exif=turned(8), speed=10)


def _frames(kind: str) -> bytes:
    return encoded(example_image(), kind, save_all=True, append_images=[example_image(size=(1021, 767)).rotate(180)])


def _jpeg(**options: Any) -> bytes:
    return encoded(example_image(), "JPEG", **options)


def _cut(share: float, content: Callable[[], bytes]) -> bytes:
    data = content()
    return data[: int(share * len(data))]


def _scans() -> bytes:
    data = _jpeg(progressive=True)
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:last] + data[last:end] * 300 + data[end:]


_PNG = partial(encoded, example_image(), "PNG", compress_level=1)

CASES = (
    *(
        PhotoCase(f"phone photo, EXIF orientation {n}", f"IMG_{n}.JPG", partial(_jpeg, exif=turned(n), quality=85))
        for n in range(1, 9)
    ),
    PhotoCase("progressive JPEG of an editor", "edited.jpg", partial(_jpeg, progressive=True, optimize=True)),
    PhotoCase("JPEG without subsampling", "scan.jpeg", partial(_jpeg, quality=98, subsampling=0)),
    PhotoCase("grey JPEG", "grey.jpg", partial(encoded, example_image("L"), "JPEG")),
    PhotoCase("CMYK JPEG of a print shop", "print.jpg", partial(encoded, example_image("CMYK"), "JPEG")),
    PhotoCase("motion photo: a video behind the JPEG", "MVIMG.jpg", lambda: _jpeg() + b"\0\0\0\x18ftypmp42" * 9000),
    PhotoCase("two photos in one (MPO)", "stereo.mpo", partial(_frames, "MPO")),
    PhotoCase("PNG that is called JPEG", "screenshot.jpg", _PNG),
    PhotoCase("PNG with a palette", "logo.png", partial(encoded, example_image("P"), "PNG")),
    PhotoCase("PNG with transparency", "cutout.png", partial(encoded, example_image("RGBA"), "PNG", compress_level=1)),
    PhotoCase("grey PNG with transparency", "mask.png", partial(encoded, example_image("LA"), "PNG", compress_level=1)),
    PhotoCase("PNG of 16 bits", "raw.png", _sixteen_bits, _high_bytes),
    PhotoCase("animated GIF", "moving.gif", partial(_frames, "GIF")),
    PhotoCase("animated WebP", "moving.webp", partial(_frames, "WEBP")),
    PhotoCase("WebP with transparency", "shop.webp", partial(encoded, example_image("RGBA"), "WEBP", method=0)),
    PhotoCase("LZW TIFF of a scanner", "scan.tif", partial(encoded, example_image(), "TIFF", compression="tiff_lzw")),
    PhotoCase("fax TIFF", "fax.tiff", partial(encoded, example_image("1"), "TIFF", compression="group4")),
    PhotoCase("TIFF of several pages", "pages.tif", partial(_frames, "TIFF")),
    PhotoCase("BMP", "paint.bmp", partial(encoded, example_image(), "BMP")),
    PhotoCase("PPM in text", "tool.ppm", lambda: b"P3\n# made by a tool\n300 280\n255\n" + b"20 30 200\n" * 84_000),
    PhotoCase("AVIF of a phone", "photo.avif", _avif),
    PhotoCase("HEIC of a phone", "IMG_0001.HEIC", _heic, _heic_pixels),
    PhotoCase("photo of one pixel", "dot.png", partial(encoded, Image.new("RGB", (1, 1), "red"), "PNG")),
    PhotoCase("strip", "strip.png", partial(encoded, example_image(size=(9000, 7)), "PNG")),
    PhotoCase(
        "download that is an error page", "photo.jpg", lambda: b"<!DOCTYPE html><title>404</title>", error="HTML"
    ),
    PhotoCase("upload that was cut short", "photo.jpg", partial(_cut, 0.6, _jpeg), error="damaged or cut short"),
    PhotoCase("PNG that was cut short", "photo.png", partial(_cut, 0.6, _PNG), error="damaged or cut short"),
    PhotoCase("empty file", "photo.jpg", lambda: b"", error="is empty (0 bytes)"),
    PhotoCase("video", "clip.jpg", lambda: b"\0\0\0\x18ftypisom\0\0\0\0isomavc1" + bytes(99), error="is a video"),
    PhotoCase("JPEG of hundreds of scans", "slow.jpg", _scans, error="more than 100 scans"),
)
