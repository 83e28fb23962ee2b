"""From whatever a photo holds (16 bits, CMYK, palettes, transparency, colour profiles) to 8-bit grey or sRGB."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_BAND_PIXELS = 2_000_000
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


def to_eight_bits(image: Image.Image, least: int | None) -> Image.Image:
    """Convert to mode L or RGB: white behind transparency, the profile applied, no larger than needed.

    16-bit values keep their high byte. Wider ones (`I`, `F`) are taken as 0..1, 0..255 or 0..65535 by their largest
    value, or scaled by it where it is larger still.

    Args:
        image: decoded, of any mode.
        least: shrink as `shrink_factor` allows; None to keep the size.
    """
    factor = 1 if least is None else shrink_factor(image.size, least)
    small = _shrink(image, factor)
    if small.mode == "RGBA":
        white = Image.new("RGBA", small.size, (255, 255, 255, 255))
        white.alpha_composite(small)
        small = white.convert("RGB")
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and not _is_srgb(profile):
        small = _apply_profile(small, profile)
    return small.convert("RGB") if small.mode == "CMYK" else small


def _shrink(image: Image.Image, factor: int) -> Image.Image:
    """Shrink by a whole factor, averaging, to mode L, RGB, RGBA or CMYK.

    In bands of rows: the copies that conversions make of a large picture would be larger than the picture.
    """
    top = _largest(image) if image.mode in ("I", "F") else 0.0
    if factor == 1:
        return _simplify(image, top)
    width, height = image.size
    step_x, step_y = min(factor, width), min(factor, height)
    rows = step_y * max(1, _BAND_PIXELS // (width * step_y))
    if rows >= height:
        return _simplify(image, top).reduce((step_x, step_y))
    small: Image.Image | None = None
    for start in range(0, height, rows):
        band = image.crop((0, start, width, min(start + rows, height)))
        part = _simplify(band, top).reduce((step_x, step_y))
        if small is None:
            small = Image.new(part.mode, (part.width, -(-height // step_y)))
        small.paste(part, (0, start // step_y))
    assert small is not None
    return small


def _simplify(image: Image.Image, top: float) -> Image.Image:
    """Convert to mode L, RGB, RGBA or CMYK; `top` is the largest value of wide pixels."""
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in _SIXTEEN:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        scaled = np.nan_to_num(np.asarray(image) * np.float32(255 / top), nan=0, posinf=255, neginf=0)
        return Image.fromarray(np.clip(scaled, 0, 255).round().astype(np.uint8))
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _largest(image: Image.Image) -> float:
    """What white is in a picture of wide pixels: 1, 255, 65535, or its largest value."""
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
