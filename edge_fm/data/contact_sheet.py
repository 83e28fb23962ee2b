"""An image that shows some images of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_fm.data.dataset import Dataset, Images
from edge_fm_runtime.errors import DataError

if TYPE_CHECKING:
    from PIL import Image, ImageFont

_TILE = 64
_GAP = 4
_MARGIN = 16
_FONT_PX = 14
_PAPER, _INK, _DIM = "#ffffff", "#1a1a1a", "#6b6b6b"


def contact_sheet(
    dataset: Dataset,
    split: str = "train",
    *,
    per_class: int = 12,
    scale: float | None = None,
    title: str = "",
) -> Image.Image:
    """Draw one row of images for each class, with its name and count; the images are spread evenly over the split.

    Args:
        dataset: what to show; grey or RGB.
        split: which images: train, test, or validation where the dataset has its own.
        per_class: at most so many of each class.
        scale: of each image; None brings its longer side to about 64 pixels.
        title: above the rows; default: the name of the dataset, the split, the number and size of the images.

    Returns:
        A PIL image of mode RGB.

    Raises:
        DataError: the split does not exist, or the images are neither grey nor RGB.

    Example:
        >>> from edge_fm.data import load_dataset
        >>> contact_sheet(load_dataset("fashion-mnist-mini"), "test", per_class=3).mode
        'RGB'
    """
    from PIL import Image, ImageDraw

    from edge_fm_runtime.photos.file import shown_name

    if split not in dataset.splits:
        raise DataError(f"There is no split {split!r} in {dataset.name}; it has {', '.join(dataset.splits)}.")
    shown = dataset.splits[split]
    height, width, channels = dataset.shape
    if channels not in (1, 3):
        raise DataError(f"Images of {channels} channels cannot be shown; supported are 1 (grey) and 3 (RGB).")
    if per_class < 1 or (scale is not None and scale <= 0):
        raise DataError(f"per_class is {per_class} and scale {scale}; both must be above 0.")
    factor = scale or _default_scale(max(height, width))
    tile_w, tile_h = max(1, round(width * factor)), max(1, round(height * factor))

    font, small = _font(_FONT_PX), _font(_FONT_PX - 3)
    counts = np.bincount(shown.labels, minlength=len(dataset.label_names))
    columns = max(1, min(per_class, int(counts.max())))
    plain = [shown_name(name) for name in dataset.label_names]
    names = [name if len(name) <= 32 else f"{name[:31]}…" for name in plain]
    label_w = int(max(font.getlength(name) for name in names)) + _MARGIN
    row_h = max(tile_h, 2 * _FONT_PX + 6) + _GAP
    title = title or f"{shown_name(dataset.name)}, {split}: {len(shown):,} images, {height}x{width}x{channels}"
    head = _FONT_PX + 2 * _GAP + _MARGIN
    sheet_w = max(label_w + columns * (tile_w + _GAP), int(font.getlength(title))) + 2 * _MARGIN
    sheet = Image.new("RGB", (sheet_w, head + len(names) * row_h + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN // 2 + _GAP), title, fill=_INK, font=font)
    for row, name in enumerate(names):
        top = head + row * row_h
        middle = top + (row_h - _GAP) // 2
        draw.text((_MARGIN, middle - _FONT_PX - 1), name, fill=_INK, font=font)
        draw.text((_MARGIN, middle + 3), f"{counts[row]:,}", fill=_DIM, font=small)
        members = np.flatnonzero(shown.labels == row)
        selected = members[np.linspace(0, len(members) - 1, min(columns, len(members))).astype(np.intp)]
        for column, index in enumerate(selected):
            tile = _tile(shown.images[index], (tile_w, tile_h))
            sheet.paste(tile, (_MARGIN + label_w + column * (tile_w + _GAP), top + (row_h - _GAP - tile_h) // 2))
    return sheet


def _default_scale(side: int) -> float:
    # Whole factors keep the pixels of small images square and sharp.
    return float(max(1, round(_TILE / side))) if side <= _TILE else _TILE / side


def _tile(pixels: Images, size: tuple[int, int]) -> Image.Image:
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    larger = size[0] >= image.width
    return image.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS).convert("RGB")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)
