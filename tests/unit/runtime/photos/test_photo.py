"""Whatever an image file holds, the canvas is what a person sees in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms

from edge_fm_runtime.artifacts.metadata import Background, PhotoMode, PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.photo import load_canvas, make_canvas, open_photo

SHAPE = (28, 28, 1)
GARMENT = PhotoSpec(mode="garment", background="dark", fill=0)
FIT = PhotoSpec(mode="fit", background="any", fill=0)
STRETCH = PhotoSpec(mode="stretch", background="any", fill=0)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def corner_image(width: int = 60, height: int = 40) -> Image.Image:
    """Black, with a bright top left quarter: every orientation of it is different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize("mode", get_args(PhotoMode))
@pytest.mark.parametrize("background", get_args(Background))
@pytest.mark.parametrize("colour", ["L", "RGB"])
def test_a_image_of_the_canvas_size_is_taken_as_it_is(mode: Any, background: Any, colour: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    data = encoded(Image.fromarray(pixels).convert(colour))
    canvas = load_canvas(data, SHAPE, PhotoSpec(mode=mode, background=background, fill=7))
    np.testing.assert_array_equal(canvas[:, :, 0], pixels)


@pytest.mark.parametrize("mode", get_args(PhotoMode))
@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3), (33, 17, 1), (17, 33, 3), (224, 160, 3), (1, 1, 1)])
def test_every_mode_fills_every_canvas(mode: Any, shape: tuple[int, int, int]) -> None:
    canvas = load_canvas(corner_image(300, 200), shape, PhotoSpec(mode=mode, background="dark", fill=0))
    assert canvas.shape == shape
    assert canvas.dtype == np.uint8
    assert canvas.flags.writeable


@pytest.mark.parametrize("shape", [(28, 28, 2), (28, 28, 4), (0, 28, 1), (28, 28)])
def test_a_shape_that_is_no_canvas_is_refused(shape: Any) -> None:
    with pytest.raises(PhotoError, match=r"channels"):
        load_canvas(corner_image(), shape, FIT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_photo_upright(kind: str, orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = corner_image()
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = np.asarray(open_photo(encoded(stored, kind, exif=exif)).convert("L")).astype(int)
    assert shown.shape == (40, 60)
    assert shown[:18, :28].min() > 200
    assert shown[22:, 32:].max() < 60


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_shows_white(mode: str) -> None:
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[10:30, 10:30] = (200, 0, 0, 255)
    image = Image.fromarray(pixels)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    shown = np.asarray(open_photo(encoded(image)).convert("L"))
    assert shown[0, 0] == 255
    assert shown[20, 20] < 100


def test_transparency_by_colour_key_shows_white() -> None:
    image = Image.new("RGB", (40, 40), (1, 2, 3))
    image.paste((200, 0, 0), (10, 10, 30, 30))
    shown = open_photo(encoded(image, transparency=(1, 2, 3)))
    assert shown.getpixel((0, 0)) == (255, 255, 255)
    assert shown.getpixel((20, 20)) == (200, 0, 0)


def test_a_half_transparent_large_image_is_shrunk_without_dark_edges() -> None:
    pixels = np.zeros((2000, 2000, 4), np.uint8)
    pixels[:, 999:] = (255, 255, 255, 255)  # white beside transparent black: white throughout
    shown = np.asarray(open_photo(encoded(Image.fromarray(pixels)), size=(28, 28)))
    assert shown.min() == 255


@pytest.mark.parametrize(
    ("kind", "dtype"), [("PNG", np.uint16), ("TIFF", np.uint16), ("TIFF", np.int32), ("PPM", np.int32)]
)
def test_sixteen_bits_keep_their_brightness(kind: str, dtype: Any) -> None:
    ramp = np.linspace(0, 65535, 64).astype(dtype)[None].repeat(64, axis=0)
    shown = np.asarray(open_photo(encoded(Image.fromarray(ramp), kind)))
    assert shown.dtype == np.uint8
    assert np.abs(shown[0].astype(int) - np.linspace(0, 255, 64)).max() <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0, 1e9])
def test_float_images_are_scaled_by_their_range(top: float) -> None:
    ramp = np.linspace(0, top, 64, dtype=np.float32)[None].repeat(64, axis=0)
    ramp[0, 0] = np.nan
    shown = np.asarray(open_photo(encoded(Image.fromarray(ramp), "TIFF")))
    assert np.abs(shown[1].astype(int) - np.linspace(0, 255, 64)).max() <= 1
    assert shown[0, 0] == 0


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_shows_its_colours(kind: str) -> None:
    shown = open_photo(encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), kind)).getpixel((32, 32))
    assert isinstance(shown, tuple)
    assert shown[0] > 200 and max(shown[1:]) < 60


def test_one_bit_and_palette_image() -> None:
    assert open_photo(encoded(Image.new("1", (40, 40), 1))).getpixel((3, 3)) == 255
    red = Image.new("RGB", (40, 40), (200, 30, 30)).quantize(2)
    assert open_photo(encoded(red)).getpixel((3, 3)) == (200, 30, 30)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_the_first_frame_of_many_is_taken(kind: str) -> None:
    first, second = Image.new("RGB", (48, 48), "white"), Image.new("RGB", (48, 48), "black")
    shown = open_photo(encoded(first, kind, save_all=True, append_images=[second])).convert("L")
    assert shown.getextrema() == (255, 255)


def test_a_colour_profile_is_applied() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    swapped = _swap_red_and_green(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red = Image.new("RGB", (64, 64), (220, 10, 10))
    converted = open_photo(encoded(red, icc_profile=swapped)).getpixel((3, 3))
    assert isinstance(converted, tuple)
    assert converted[1] > 150 > converted[0]
    for unusable in (lab, b"not a profile", b""):
        assert open_photo(encoded(red, icc_profile=unusable)).getpixel((3, 3)) == (220, 10, 10)


def _swap_red_and_green(profile: bytes) -> bytes:
    """An RGB profile whose red primary is green: its rXYZ and gXYZ tags change names, and it is not called sRGB."""
    return (
        profile.replace(b"rXYZ", b"tmp.", 1)
        .replace(b"gXYZ", b"rXYZ", 1)
        .replace(b"tmp.", b"gXYZ", 1)
        .replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
        .replace(b"sRGB", b"swap")
    )


def test_a_large_jpeg_decoded_small_shows_the_same() -> None:
    rng = np.random.default_rng(1)
    rough = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((2400, 1800), Image.Resampling.BICUBIC)
    large = encoded(rough, "JPEG", quality=95)
    small = open_photo(large, size=(28, 28))
    assert 256 <= max(small.size) < 512
    for spec in (STRETCH, FIT, PhotoSpec(mode="crop", background="any", fill=0)):
        quick = load_canvas(large, (28, 28, 3), spec)
        slow = make_canvas(open_photo(large), (28, 28, 3), spec)
        assert np.abs(quick.astype(int) - slow).mean() < 2


def test_paths_bytes_images_and_arrays_give_the_same_canvas(tmp_path: Path) -> None:
    image = corner_image(300, 200)
    file = tmp_path / "a photo.png"
    image.save(file)
    sources: list[Any] = [file, str(file), file.read_bytes(), bytearray(file.read_bytes()), image, np.asarray(image)]
    first, *others = (load_canvas(source, SHAPE, FIT) for source in sources)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_the_callers_image_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "big.jpg"
    corner_image(1200, 900).save(file)
    with Image.open(file) as image:
        open_photo(image, size=(28, 28)).putpixel((0, 0), (1, 2, 3))
        assert image.size == (1200, 900)
    small = Image.new("RGB", (30, 30))
    open_photo(small).putpixel((0, 0), (1, 2, 3))
    assert small.getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_arrays_of_pixels(channels: int | None) -> None:
    array = np.full((40, 40) if channels is None else (40, 40, channels), 200, np.uint8)
    assert load_canvas(array, SHAPE, STRETCH).min() >= 200


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8)],
)
def test_other_arrays_are_refused(array: npt.NDArray[Any]) -> None:
    with pytest.raises(PhotoError, match="supported is uint8"):
        load_canvas(array, SHAPE, FIT)


def test_fit_keeps_proportions_and_fills_the_rest() -> None:
    canvas = load_canvas(Image.new("RGB", (100, 50), "white"), SHAPE, PhotoSpec(mode="fit", background="any", fill=9))
    assert (canvas[7:21] == 255).all()
    assert (canvas[:7] == 9).all() and (canvas[21:] == 9).all()


def test_crop_cuts_the_middle() -> None:
    pixels = np.zeros((50, 150), np.uint8)
    pixels[:, 50:100] = 255
    canvas = load_canvas(pixels, SHAPE, PhotoSpec(mode="crop", background="any", fill=0))
    assert canvas.mean() > 250


@pytest.mark.parametrize("mode", ["fit", "crop", "stretch"])
@pytest.mark.parametrize(("background", "centre"), [("dark", 255), ("light", 0), ("any", 0)])
def test_polarity_follows_the_border(mode: Any, background: Any, centre: int) -> None:
    photo = Image.new("RGB", (100, 100), "white")
    photo.paste("black", (30, 30, 70, 70))
    spec = PhotoSpec(mode=mode, background=background, fill=0)
    assert load_canvas(photo, SHAPE, spec)[14, 14, 0] == centre
    assert tuple(load_canvas(photo, (28, 28, 3), spec)[14, 14]) == (0, 0, 0)  # colours are never negated
