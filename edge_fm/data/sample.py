"""Make a photo out of a dataset image, so that the whole way from a photo can be tried without a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.system.atomic_write import writing


def sample_photo(image: npt.NDArray[np.uint8], path: str | Path, *, side: int = 600, margin: float = 0.1) -> Path:
    """Write `image` as a product photo: dark on white, enlarged, with a margin, as JPEG.

    Args:
        image: uint8 `[H,W]`, `[H,W,1]` or `[H,W,3]`, light on black as in Fashion-MNIST.
        path: the JPEG to write.
        side: of the photo, in pixels.
        margin: share of the side that stays white on each edge.

    Returns:
        `path`.

    Example:
        >>> import tempfile
        >>> sample_photo(np.zeros((28, 28, 1), np.uint8), Path(tempfile.mkdtemp()) / "photo.jpg").name
        'photo.jpg'
    """
    from PIL import Image

    path = Path(path)
    pixels = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    inner = round(side * (1 - 2 * margin))
    garment = Image.fromarray(255 - pixels).resize((inner, inner), Image.Resampling.BICUBIC)
    photo = Image.new("RGB", (side, side), "white")
    photo.paste(garment, ((side - inner) // 2, (side - inner) // 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        photo.save(path, quality=92)
    return path
