"""From whatever a photo holds (16 bits, CMYK, palettes, transparency, colour profiles) to 8-bit grey or sRGB."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_BAND_PIXELS = 2_000_000
_RIGHT_TO_LEFT = (2, 3, 7, 8)
_BOTTOM_TO_TOP = (3, 4, 6, 7)
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orient(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a photo upright, as its EXIF orientation (1..8) says; anything else leaves it as it is."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def read_orientation(image: Image.Image) -> int:
    """The EXIF orientation of a photo, 1 (upright) where it has none."""
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def shrink_factor(size: tuple[int, int], least: int) -> int:
    """By what whole factor a photo can shrink: longest edge at least `least`, the other at least half of that.

    The second is let go for strips more than four times as long as they are wide.
    """
    longest, shortest = max(size), min(size)
    factor = longest // least
    return max(1, factor if longest > 4 * shortest else min(factor, 2 * shortest // least))


def to_eight_bits(image: Image.Image, least: int | None, orientation: int = 1) -> Image.Image:
    """Convert to mode L or RGB, upright: white behind transparency, the profile applied, no larger than needed.

    16-bit values keep their high byte. Wider ones (`I`, `F`) are taken as 0..1, 0..255 or 0..65535 by their largest
    value, or scaled by it where it is larger still.

    Whatever a file stores, the result depends on its upright pixels alone: they are averaged in blocks that begin at
    the upright photo's top left corner. A file, its decoded pixels and a turned copy of them give the same image.

    Args:
        image: decoded, of any mode.
        least: shrink as `shrink_factor` allows; None to keep the size.
        orientation: EXIF's, 1..8; how the stored pixels are turned.
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or _is_srgb(profile):
        profile = None
    factor = 1 if least is None else shrink_factor(image.size, least)
    # A profile is for the stored colours, so CMYK that has one stays CMYK until it is applied.
    small = _shrink(image, factor, orientation, keep_cmyk=profile is not None)
    if profile is not None:
        small = _apply_profile(small, profile)
    return orient(small.convert("RGB") if small.mode == "CMYK" else small, orientation)


def _shrink(image: Image.Image, factor: int, orientation: int, *, keep_cmyk: bool) -> Image.Image:
    """Shrink by a whole factor, averaging, to mode L or RGB (or CMYK); the result is turned as the image is.

    What needs a conversion is converted first, as the pixels of an array would be, and part by part: the copies that
    conversions make of a large image would be larger than the image.
    """
    top = _largest(image) if image.mode in ("I", "F") else 0.0
    plain = "transparency" not in image.info and (image.mode in ("L", "RGB") or (keep_cmyk and image.mode == "CMYK"))
    if factor == 1:
        return image if plain else _flatten(image, top, keep_cmyk=keep_cmyk)
    width, height = image.size
    step_x, step_y = min(factor, width), min(factor, height)
    # The block that is cut short is the upright photo's last one: where the stored rows run backwards, the first.
    first_x = width % step_x if orientation in _RIGHT_TO_LEFT else 0
    first_y = height % step_y if orientation in _BOTTOM_TO_TOP else 0
    size = (-(-width // step_x), -(-height // step_y))
    rows, columns = height, width
    if not plain:
        rows = step_y * max(1, _BAND_PIXELS // (width * step_y))
        columns = width if width * rows <= _BAND_PIXELS else step_x * max(1, _BAND_PIXELS // (step_x * step_y))
    small: Image.Image | None = None
    for upper, lower in _spans(height, first_y, rows):
        for left, right in _spans(width, first_x, columns):
            box, steps = (left, upper, right, lower), (min(step_x, right - left), min(step_y, lower - upper))
            if plain:
                part = image.reduce(steps, box=box)
            else:
                part = _simplify(image.crop(box), top, keep_cmyk=keep_cmyk).reduce(steps)
            if part.size == size:  # all of it
                return part
            small = small or Image.new(part.mode, size)
            small.paste(part, (-(-left // step_x), -(-upper // step_y)))
    assert small is not None
    return small


def _spans(length: int, first: int, step: int) -> Iterator[tuple[int, int]]:
    """Cut 0..length into a first part of `first` (none where that is 0) and parts of `step`."""
    if first:
        yield 0, first
    for start in range(first, length, step):
        yield start, min(start + step, length)


def _flatten(image: Image.Image, top: float, *, keep_cmyk: bool) -> Image.Image:
    """Convert a whole image as `_simplify` does, in bands of rows."""
    flat: Image.Image | None = None
    for upper, lower in _spans(image.height, 0, max(1, _BAND_PIXELS // image.width)):
        part = _simplify(image.crop((0, upper, image.width, lower)), top, keep_cmyk=keep_cmyk)
        if part.size == image.size:
            return part
        flat = flat or Image.new(part.mode, image.size)
        flat.paste(part, (0, upper))
    assert flat is not None
    return flat


def _simplify(image: Image.Image, top: float, *, keep_cmyk: bool) -> Image.Image:
    """Convert to mode L or RGB (or CMYK); `top` is the largest value of wide pixels."""
    if image.mode in _SIXTEEN:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        scaled = np.nan_to_num(np.asarray(image) * np.float32(255 / top), nan=0, posinf=255, neginf=0)
        return Image.fromarray(np.clip(scaled, 0, 255).round().astype(np.uint8))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        clear = image.convert("LA") if image.mode == "La" else image
        clear = clear.convert("RGBA")
        white = Image.new("RGB", clear.size, (255, 255, 255))
        white.paste(clear, mask=clear)
        return white
    if image.mode in ("L", "RGB") or (keep_cmyk and image.mode == "CMYK"):
        return image
    if image.mode == "LAB":
        return _convert_lab(image)
    return image.convert("L" if image.mode == "1" else "RGB")


def _largest(image: Image.Image) -> float:
    """What white is in an image of wide pixels: 1, 255, 65535, or its largest value."""
    top = 0.0
    rows = max(1, _BAND_PIXELS // image.width)
    for start in range(0, image.height, rows):
        values = np.asarray(image.crop((0, start, image.width, min(start + rows, image.height))))
        top = max(top, float(np.max(values, initial=0, where=np.isfinite(values))))
    if image.mode == "F" and top <= 1:
        return 1.0
    return next((white for white in (255.0, 65535.0) if top <= white), top)


def _is_srgb(profile: bytes) -> bool:
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert to sRGB; a profile that is broken or of another colour space is left out, as browsers do."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted


def _convert_lab(image: Image.Image) -> Image.Image:
    """CIE L*a*b*, as TIFF files hold it, to sRGB; Pillow's own `convert` cannot do this."""
    from PIL import ImageCms

    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert converted is not None  # only None where it converts in place
    return converted
