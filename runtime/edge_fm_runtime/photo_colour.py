"""From whatever a photo holds (16 bits, CMYK, palettes, transparency, colour profiles) to 8-bit grey or sRGB."""

from __future__ import annotations

import io
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
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


def _shrink(image: Image.Image, least: int) -> Image.Image:
    factor = shrink_factor(image.size, least)
    return image if factor == 1 else image.reduce((min(factor, image.width), min(factor, image.height)))


def to_eight_bits(image: Image.Image, least: int | None) -> Image.Image:
    """Convert to mode L or RGB: white behind transparency, the profile applied, no larger than needed.

    16-bit values keep their high byte. Wider ones (`I`, `F`) are taken as 0..1, 0..255 or 0..65535 by their largest
    value, or scaled by it where it is larger still.

    Args:
        image: decoded, of any mode.
        least: shrink as `shrink_factor` allows; None to keep the size.
    """
    profile = image.info.get("icc_profile")
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode in _SIXTEEN:
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_scale_wide(np.asarray(image)))
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if least is not None:
        image = _shrink(image, least)
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image)
        image = white.convert("RGB")
    if isinstance(profile, bytes) and not _is_srgb(profile):
        image = _apply_profile(image, profile)
    return image.convert("RGB") if image.mode == "CMYK" else image


def _scale_wide(values: npt.NDArray[np.int32] | npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    top = float(np.nanmax(values, initial=0, where=np.isfinite(values)))
    if values.dtype.kind == "f" and top <= 1:
        top = 1.0
    elif top <= 255:
        top = 255.0
    elif top <= 65535:
        top = 65535.0
    scaled = np.nan_to_num(values * np.float32(255 / top), nan=0, posinf=255, neginf=0)
    return cast(npt.NDArray[np.uint8], np.clip(scaled, 0, 255).round().astype(np.uint8))


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
