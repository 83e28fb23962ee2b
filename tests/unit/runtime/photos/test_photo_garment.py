"""The garment of a photo fills the canvas, and the background is gone, whatever it was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.photo import load_canvas
from edge_fm_runtime.photos.segmentation import find_garment, label_parts

SPEC = PhotoSpec(mode="garment", background="dark", fill=0)
SHIRT = [
    (120, 90),
    (280, 90),
    (350, 170),
    (310, 210),
    (280, 180),
    (280, 420),
    (120, 420),
    (120, 180),
    (90, 210),
    (50, 170),
]


def outline() -> Image.Image:
    mask = Image.new("L", (400, 500))
    ImageDraw.Draw(mask).polygon(SHIRT, fill=255)
    return mask


def floor(kind: str) -> Image.Image:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:500, :400].astype(np.float32)
    if kind == "white":
        grey = np.full((500, 400), 250.0)
        tint = (1.0, 1.0, 1.0)
    elif kind == "shaded wall":
        grey = 235 - 0.15 * x - 0.1 * y + rng.normal(0, 2, x.shape)
        tint = (1.0, 0.98, 0.93)
    elif kind == "wood":
        grey = 170 + 25 * np.sin(x / 6 + 2 * np.sin(y / 90)) + rng.normal(0, 8, x.shape)
        tint = (1.0, 0.75, 0.5)
    else:  # tiles
        grey = np.where(((x // 100) % 1 < 1) & ((x % 100 < 5) | (y % 100 < 5)), 120.0, 200.0) + rng.normal(
            0, 5, x.shape
        )
        tint = (1.0, 0.97, 0.9)
    pixels = np.stack([grey * t for t in tint], axis=2)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def photo(kind: str, colour: tuple[int, int, int]) -> Image.Image:
    rng = np.random.default_rng(4)
    cloth = np.clip(np.array(colour) + rng.normal(0, 6, (500, 400, 1)), 0, 255).astype(np.uint8)
    image = floor(kind)
    image.paste(Image.fromarray(cloth), mask=outline())
    return image.filter(ImageFilter.GaussianBlur(0.7))


def overlap(mask: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("kind", ["white", "shaded wall", "wood", "tiles"])
@pytest.mark.parametrize("colour", [(40, 60, 140), (30, 30, 30), (150, 30, 40)])
def test_a_garment_is_found_on_any_background(kind: str, colour: tuple[int, int, int]) -> None:
    soft = find_garment(photo(kind, colour))
    truth = np.asarray(outline().resize((soft.shape[1], soft.shape[0]))) > 127
    assert soft.dtype == np.float32
    assert soft.min() >= 0 and soft.max() <= 1
    assert overlap(soft > 0.5, truth) > 0.9


@pytest.mark.parametrize("kind", ["white", "shaded wall", "wood", "tiles"])
def test_the_garment_fills_the_canvas_and_the_rest_is_fill(kind: str) -> None:
    canvas = load_canvas(photo(kind, (40, 60, 140)), (28, 28, 1), SPEC)[:, :, 0]
    rows, columns = np.flatnonzero((canvas > 40).any(axis=1)), np.flatnonzero((canvas > 40).any(axis=0))
    assert len(rows) >= 27
    assert abs((columns[0] + columns[-1]) / 2 - 13.5) <= 1
    assert (canvas[20:, :3] == 0).all() and (canvas[20:, -3:] == 0).all()
    assert canvas[12:24, 11:17].min() > 100  # dark cloth is light after negation, as in the dataset


def test_light_polarity_and_no_polarity_are_not_negated() -> None:
    for background in ("light", "any"):
        spec = PhotoSpec(mode="garment", background=background, fill=255)
        canvas = load_canvas(photo("white", (40, 60, 140)), (28, 28, 1), spec)[:, :, 0]
        assert canvas[14, 14] < 120
        assert canvas[25, 1] == 255


def test_an_enlarged_dataset_image_keeps_its_polarity_on_black_and_on_white() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[2:26, 8:20] = 180
    image[2:9, 4:24] = 120
    large = Image.fromarray(image).resize((560, 560), Image.Resampling.BICUBIC)
    for photo in (large, large.convert("RGB")):
        canvas = load_canvas(photo, (28, 28, 1), SPEC)[:, :, 0].astype(int)
        assert abs(canvas[20, 14] - 180) < 8
        assert abs(canvas[4, 5] - 120) < 12
    on_white = load_canvas(large.point(lambda v: 255 - v), (28, 28, 1), SPEC)[:, :, 0].astype(int)
    assert on_white[20, 14] > on_white[4, 5] + 60 > 100  # a photo, which gets the dataset's tone
    light = load_canvas(large, (28, 28, 1), PhotoSpec(mode="garment", background="light", fill=255))[:, :, 0]
    assert abs(int(light[20, 14]) - 75) < 8
    tinted = Image.merge("RGB", [large, large, large.point(lambda v: v // 2)])
    assert load_canvas(tinted, (28, 28, 1), SPEC)[20, 14, 0] < 120  # a photo on black velvet


@pytest.mark.parametrize(("dark", "light"), [(0, 60), (40, 110), (120, 180), (60, 200)])
def test_any_light_gives_the_datasets_tone(dark: int, light: int) -> None:
    rng = np.random.default_rng(0)
    cloth = np.kron(rng.integers(dark, light, (20, 14)), np.ones((12, 12))).astype(np.uint8)
    pixels = np.full((320, 320, 3), 250, np.uint8)
    pixels[40:280, 76:244] = cloth[..., None]
    canvas = load_canvas(Image.fromarray(pixels), (28, 28, 1), SPEC)[:, :, 0]
    inside = canvas[2:26, 6:22]
    assert 215 <= np.percentile(inside, 95) <= 245
    shade = 47 if light - dark >= 80 else 230 - 2.7 * (light - dark)
    assert np.percentile(inside, 5) >= shade - 25
    other = load_canvas(Image.fromarray(pixels), (28, 28, 1), PhotoSpec(mode="garment", background="light", fill=255))[
        :, :, 0
    ]
    assert 10 <= np.percentile(other[2:26, 6:22], 5) <= 40


def test_plain_cloth_does_not_become_noise() -> None:
    rng = np.random.default_rng(0)
    pixels = np.full((320, 320, 3), 250, np.uint8)
    pixels[40:280, 76:244] = 90 + rng.integers(-4, 5, (240, 168, 1))
    inside = load_canvas(Image.fromarray(pixels), (28, 28, 1), SPEC)[4:24, 8:20, 0]
    assert np.ptp(inside) < 40 and inside.min() > 180


def test_colour_canvases_keep_the_garments_colour() -> None:
    canvas = load_canvas(photo("wood", (150, 30, 40)), (32, 32, 3), PhotoSpec("garment", "dark", 0))
    assert canvas[16, 16, 0] > 110 and canvas[16, 16, 1:].max() < 90
    assert (canvas[28, 1] == 0).all()


def test_a_soft_shadow_below_a_shoe_is_background() -> None:
    image = Image.new("RGB", (400, 400), "white")
    shadow = Image.new("L", (400, 400))
    ImageDraw.Draw(shadow).ellipse((80, 270, 320, 300), fill=110)
    image.paste("black", mask=shadow.filter(ImageFilter.GaussianBlur(25)))
    ImageDraw.Draw(image).ellipse((80, 150, 320, 230), fill=(30, 70, 200))
    soft = find_garment(image)
    rows = np.flatnonzero((soft > 0.5).any(axis=1)) * 400 / soft.shape[0]
    assert rows.min() > 140 and rows.max() < 240


@pytest.mark.parametrize("image", [Image.new("RGB", (300, 200), "grey"), Image.new("RGB", (5, 400), "red")])
def test_where_nothing_stands_out_the_whole_photo_is_taken(image: Image.Image) -> None:
    assert find_garment(image).min() == 1


def test_parts_are_numbered_by_connection() -> None:
    rng = np.random.default_rng(0)
    for density in (0.3, 0.5, 0.6, 0.8):
        mask = rng.random((40, 31)) < density
        labels, count = label_parts(mask)
        assert ((labels > 0) == mask).all()
        assert set(np.unique(labels)) <= set(range(count + 1))
        for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
            touching = (a > 0) & (b > 0)
            assert (a[touching] == b[touching]).all()
        assert count == _count_by_flooding(mask)


def _count_by_flooding(mask: npt.NDArray[np.bool_]) -> int:
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    count = 0
    while left:
        count += 1
        stack = [left.pop()]
        while stack:
            y, x = stack.pop()
            for at in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if at in left:
                    left.remove(at)
                    stack.append(at)
    return count
