"""The photo step of the page: the pixels of the runtime to the bit, or a refusal that says what to do."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from headless_browser import Page, browser_page, needs_chromium
from numpy.typing import NDArray
from PIL import Image
from web_pages import STAND_IN, canvas_of, make_page

from edge_fm_export.browser_runtime.static_server import StaticServer
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.photo import load_canvas

pytestmark = [needs_chromium, pytest.mark.needs("tensorflow", "tf2onnx", "onnx")]
SPECS = (
    ((64, 64, 3), PhotoSpec("stretch")),
    ((40, 56, 3), PhotoSpec("crop")),
    ((28, 28, 1), PhotoSpec("fit", "dark", 7)),
)


@pytest.fixture(scope="module")
def page(exported: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("photos")
    artifact = load_artifact(exported("colour", Target("onnx", "fp32")).path)
    server = StaticServer(make_page(artifact, folder / "page", STAND_IN))
    with browser_page(folder / "profile") as found:
        found.open(f"{server.address}icon.svg")
        yield found
    server.close()


def photo(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """Smooth colours with noise: what rounding shows in."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    smooth = np.stack([np.sin(9 * x + y), np.cos(7 * y), np.sin(11 * (x + y))], axis=2)
    return Image.fromarray(np.clip(128 + 90 * smooth + random.normal(0, 25, smooth.shape), 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def png(pixels: NDArray[Any], colour: int, *, interlaced: bool = False) -> bytes:
    """A PNG of 8 or 16 bits a sample, as Pillow does not write all of them."""
    depth = 8 * pixels.itemsize
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [pixels[y::down, x::across] for x, y, across, down in passes]
    raw = b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for part in parts if part.size for row in part)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(raw)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def profile(curve: bytes) -> bytes:
    """A colour profile of Display P3's colours (D50) with this tone curve."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    colours = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
    tags = {
        name: b"XYZ \0\0\0\0" + fixed(*colour)
        for name, colour in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colours, strict=True)
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve + b"\0" * (-len(curve) % 4))
    tags |= {b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1, 0.8249), b"cprt": b"text\0\0\0\0none\0\0\0\0"}
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 3) + b"P3\0" + b"\0" * 79 + b"\0\0"
    at, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", 128 + len(table + body), b"", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + table + body


SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + b"".join(
    struct.pack(">i", round(v * 65536)) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
)
GAMMA = b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x0233)
TABLE = b"curv\0\0\0\0" + struct.pack(">I256H", 256, *(round((i / 255) ** 1.8 * 65535) for i in range(256)))


def same_photos() -> Iterator[tuple[str, bytes]]:
    image, large = photo(180, 140), photo(1400, 900, seed=1)
    for orientation in range(1, 9):
        yield f"orientation {orientation}", saved(image, "JPEG", exif=exif(orientation), quality=88)
    for orientation in (3, 6, 8):
        yield f"large, orientation {orientation}", saved(large, "JPEG", exif=exif(orientation), quality=80)
    yield "tall", saved(photo(150, 600), "JPEG")
    yield "strip", saved(photo(900, 3), "PNG")
    yield "one pixel", saved(photo(1, 1), "PNG")
    yield "of the canvas's size", saved(photo(28, 28), "PNG")
    yield "progressive", saved(image, "JPEG", progressive=True)
    for subsampling in (0, 1):
        yield f"subsampling {subsampling}", saved(image, "JPEG", subsampling=subsampling)
    yield "grey JPEG", saved(image.convert("L"), "JPEG")
    yield "lossy WebP", saved(large, "WebP", quality=75, exif=exif(6))
    yield "lossless WebP", saved(image, "WebP", lossless=True, exif=exif(5))
    yield "GIF", saved(image.quantize(100), "GIF")
    yield "transparent GIF", saved(image.quantize(100), "GIF", transparency=3)
    yield "interlaced GIF", saved(image.quantize(100), "GIF", interlace=1)
    more: dict[str, Any] = {"save_all": True, "append_images": [photo(180, 140, seed=2).quantize(90)], "duration": 90}
    yield "animated GIF", saved(image.quantize(100), "GIF", **more)
    yield "animated PNG", saved(image, "PNG", **more)
    yield "several photos in a JPEG", saved(image, "MPO", save_all=True, append_images=[photo(180, 140, seed=3)])
    yield "restart markers", saved(image, "JPEG", restart_marker_rows=1)
    for orientation in (0, 9):
        yield f"orientation {orientation}, which is none", saved(image, "JPEG", exif=exif(orientation))
    yield "BMP", saved(image, "BMP")
    yield "palette BMP", saved(image.quantize(256), "BMP")
    for name, curve in (("sRGB curve", SRGB_CURVE), ("gamma", GAMMA), ("table", TABLE)):
        yield f"P3, {name}", saved(image, "PNG", icc_profile=profile(curve))
    yield "P3 JPEG", saved(large, "JPEG", icc_profile=profile(SRGB_CURVE))
    yield "profile of another colour space", saved(image.convert("L"), "JPEG", icc_profile=profile(GAMMA))
    yield "broken profile", saved(image, "JPEG", icc_profile=b"nonsense" * 40)
    alpha = np.linspace(0, 255, image.width).astype(np.uint8)[None].repeat(image.height, 0)
    clear = Image.fromarray(np.dstack([np.asarray(image), alpha]))
    yield "transparent", saved(clear, "PNG")
    yield "grey, transparent", saved(clear.convert("LA"), "PNG")
    yield "orientation in PNG", saved(image, "PNG", exif=exif(7))
    yield "palette", saved(image.quantize(200), "PNG")
    yield "16 colours", saved(image.quantize(16), "PNG")
    yield "transparent palette", saved(image.quantize(64), "PNG", transparency=3)
    yield "transparent colour", saved(image, "PNG", transparency=image.getpixel((5, 5)))
    yield "transparent grey", saved(image.convert("L"), "PNG", transparency=100)
    yield "black and white", saved(image.convert("1"), "PNG")
    wide = np.asarray(image).astype(np.uint16) * 256 + 77
    yield "16-bit grey", png(wide[:, :, 0], 0)
    yield "16-bit colour", png(wide, 2)
    yield "16-bit grey, transparent", png(np.dstack([wide[:, :, 0], alpha.astype(np.uint16) * 256]), 4)
    yield "16-bit, transparent", png(np.dstack([wide, alpha.astype(np.uint16) * 256 + 9]), 6)
    yield "interlaced", png(np.asarray(image), 2, interlaced=True)


def test_photos_of_every_kind_have_the_runtimes_pixels(page: Page) -> None:
    different = []
    for number, (name, content) in enumerate(same_photos()):
        for shape, spec in SPECS if name.startswith("large") else SPECS[number % 3 :][:1]:
            found = canvas_of(page, content, shape, spec)
            expected = load_canvas(content, shape, spec)
            if isinstance(found, str) or not np.array_equal(found, expected):
                different.append((name, shape, found))
    assert not different


def refused_photos() -> dict[str, tuple[bytes, str]]:
    image = photo(60, 40)
    clear = image.convert("RGBA")
    clear.putalpha(100)
    whole = saved(image, "JPEG"), saved(image, "PNG")
    return {
        "empty": (b"", "empty"),
        "text": (b"hello", "unknown kind"),
        "cut JPEG": (whole[0][: len(whole[0]) // 2], "cut short"),
        "cut PNG": (whole[1][: len(whole[1]) // 2], "cut short"),
        "changed PNG": (whole[1][:60] + bytes([whole[1][60] ^ 1]) + whole[1][61:], "damaged"),
        "header alone": (whole[0][:20], "cut short"),
        "CMYK": (saved(image.convert("CMYK"), "JPEG"), "CMYK.*Save it anew in RGB"),
        "transparent WebP": (saved(clear, "WebP", lossless=True), "transparency.*as PNG"),
        "animated WebP": (
            saved(image, "WebP", save_all=True, append_images=[clear], duration=90),
            "animated WebP.*anew as",
        ),
        "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "The file is HEIC; this page reads"),
        "video": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(99), "The file is a video; this page reads"),
        "end missing": (whole[0][:-2], "cut short"),
        "TIFF": (saved(image, "TIFF"), "TIFF.*reads JPEG, PNG"),
        "AVIF": (saved(image, "AVIF"), "AVIF"),
        "PPM": (saved(image, "PPM"), "unknown kind"),
        "too large": (png(np.zeros((1, 60_000_000), np.uint8), 0), "60.0 megapixels"),
    }


@pytest.mark.parametrize("name", refused_photos())
def test_what_would_differ_is_refused_with_what_to_do(page: Page, name: str) -> None:
    content, reason = refused_photos()[name]
    found = canvas_of(page, content, *SPECS[0])
    assert isinstance(found, str)
    assert found.startswith("!PhotoError: ")
    assert re.search(reason, found)


def test_a_mode_that_finds_the_object_takes_images_of_the_models_size_alone(page: Page) -> None:
    spec, shape = PhotoSpec("garment", "dark"), (28, 28, 1)
    exact = saved(photo(28, 28), "PNG")
    np.testing.assert_array_equal(canvas_of(page, exact, shape, spec), load_canvas(exact, shape, spec))
    found = canvas_of(page, saved(photo(40, 30), "PNG"), shape, spec)
    assert isinstance(found, str) and "exactly 28 x 28 pixels" in found and "--photo fit" in found


def test_pixels_of_a_canvas_are_taken_as_they_are(page: Page) -> None:
    image = photo(50, 30)
    page.run("import('/photo/photo.js').then((module) => { globalThis.step = module; })")
    found = page.run(f"""step.loadCanvas(new ImageData(Uint8ClampedArray.from({
        np.dstack([np.asarray(image), np.full((30, 50), 255, np.uint8)]).ravel().tolist()
    }), 50, 30),
        [64, 64, 3], {{mode: "stretch", background: "any", fill: 0}}).then((pixels) => [...pixels])""")
    np.testing.assert_array_equal(np.reshape(found, (64, 64, 3)), load_canvas(image, (64, 64, 3), PhotoSpec("stretch")))
