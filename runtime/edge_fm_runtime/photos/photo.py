"""From a photo to the pixels a model takes: the one step outside the graph, shared by training and device.

An image that has exactly the canvas's size is taken as it is, in every mode and polarity: somebody already
prepared it, or it is an image of the dataset itself. Everything else goes through the mode.
"""

from __future__ import annotations

import io
import os
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.canvas import check_shape, crop, fit, stretch, to_pixels
from edge_fm_runtime.photos.colour import read_orientation, to_eight_bits
from edge_fm_runtime.photos.file import check_coded_frames, decoding, open_image, open_regular, shown_name
from edge_fm_runtime.photos.garment import garment_canvas
from edge_fm_runtime.photos.jpeg_scans import check_scans
from edge_fm_runtime.photos.limits import (
    DEFAULT_MAX_PIXELS,
    check_file_size,
    check_pixels,
    pixel_weight,
)
from edge_fm_runtime.photos.quiet_decoders import silence_libtiff

__all__ = ["DEFAULT_MAX_PIXELS", "Pixels", "Source", "load_canvas", "make_canvas", "open_photo"]

Source: TypeAlias = str | os.PathLike[Any] | bytes | Image.Image | npt.NDArray[Any]

_WORKING_SIDE = 256


def load_canvas(
    source: Source, shape: tuple[int, int, int], spec: PhotoSpec, *, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Pixels:
    """Turn a photo into the pixels that a model takes.

    Args:
        source: a path, the bytes of a file, a PIL image, or uint8 pixels `[H,W]`, `[H,W,1]`, `[H,W,3]` or `[H,W,4]`.
        shape: height, width and channels (1 grey, 3 RGB) of the canvas.
        spec: how the photo meets the canvas.
        max_pixels: how many pixels of four bytes decoding may hold. A progressive JPEG holds half as many again to
            twice as many as it has, WebP and AVIF four to five times. A JPEG of one scan with up to four times as
            many as this is decoded at half scale. The default keeps the process under 300 MiB: 50 megapixels of PNG,
            200 of JPEG. A file may have 256 MiB.

    The canvas depends on the upright pixels alone: a path, the bytes, a PIL image and an array of one photo give the
    same, to the bit. (An array has no colour profile and no orientation: it is taken as upright sRGB.)

    Returns:
        uint8 `[H,W,C]`.

    Raises:
        PhotoError: there is no such file, it is not a readable image, it is too large, or the shape is not a canvas.

    Example:
        >>> image = Image.new("RGB", (40, 20), "white")
        >>> load_canvas(image, (28, 28, 1), PhotoSpec(mode="stretch")).shape
        (28, 28, 1)
    """
    height, width, _ = check_shape(shape)
    return make_canvas(open_photo(source, size=(height, width), max_pixels=max_pixels), shape, spec)


def open_photo(
    source: Source, *, size: tuple[int, int] | None = None, max_pixels: int = DEFAULT_MAX_PIXELS
) -> Image.Image:
    """Decode a photo: upright, 8-bit, grey or sRGB, white behind transparency, the first frame of an animation.

    Args:
        source: see `load_canvas`.
        size: height and width of the canvas it is for: a large photo is then decoded at reduced scale and shrunk to
            what that canvas needs. None keeps every pixel.
        max_pixels: see `load_canvas`.

    Returns:
        A PIL image of mode L or RGB, which is the caller's own.

    Raises:
        PhotoError: see `load_canvas`.
    """
    least = None if size is None else max(_WORKING_SIDE, 2 * max(size))
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode_stream(io.BytesIO(source), "the photo", least, max_pixels)
    if isinstance(source, str | os.PathLike):
        with open_regular(source) as stream:
            return _decode_stream(stream, shown_name(source), least, max_pixels)
    if isinstance(source, np.ndarray):
        image = _from_array(source)
        check_pixels(image, "the array", max_pixels=max_pixels)
        return to_eight_bits(image, least)
    if isinstance(source, Image.Image):
        file = getattr(source, "fp", None) if getattr(source, "tile", None) else None
        if source.format == "TIFF":
            silence_libtiff()
        with decoding("the image", may_warn=source.format == "TIFF"):
            scans = 1 if file is None or source.format != "JPEG" else check_scans(file, "the image")
            if file is not None and source.format == "AVIF":
                check_coded_frames(file, "the image", max_pixels)
            check_pixels(source, "the image", max_pixels=max_pixels, scans=scans)
        return _decode(source, "the image", least).copy()
    raise PhotoError(
        f"A photo cannot be made from {type(source).__name__}; supported are a path, bytes, a PIL image "
        "and a uint8 array.",
        hint="Give the path of the photo.",
    )


def make_canvas(image: Image.Image, shape: tuple[int, int, int], spec: PhotoSpec) -> Pixels:
    """Put a decoded photo on the canvas.

    Args:
        image: mode L or RGB, from `open_photo`.
        shape: height, width and channels (1 or 3) of the canvas.
        spec: how the photo meets the canvas.

    Returns:
        uint8 `[H,W,C]`.

    Raises:
        PhotoError: the shape is not a canvas.
    """
    height, width, channels = check_shape(shape)
    if image.size == (width, height):
        return to_pixels(image, channels)
    if spec.mode == "garment":
        return garment_canvas(image, height, width, channels, spec)
    return {"fit": fit, "crop": crop, "stretch": stretch}[spec.mode](image, height, width, channels, spec)


def _decode_stream(stream: IO[bytes], name: str, least: int | None, max_pixels: int) -> Image.Image:
    with decoding(name):
        size = check_file_size(stream, name, max_pixels=max_pixels)
    image = open_image(stream, name, max_pixels=max_pixels)
    with decoding(name, may_warn=image.format == "TIFF"):  # whose tags are read only now
        scans = check_scans(stream, name) if image.format == "JPEG" else 1
        # Only what is too large to be decoded whole, and so has no pixels that anybody could give as an array.
        too_large = image.width * image.height * pixel_weight(image, scans=scans) > max_pixels
        halved = least is not None and image.format == "JPEG" and scans == 1 and too_large
        check_pixels(image, name, max_pixels=max_pixels, file_bytes=size, scans=scans, halved=halved)
        if halved:
            image.draft(None, (image.width // 2, image.height // 2))
    return _decode(image, name, least)


def _decode(image: Image.Image, name: str, least: int | None) -> Image.Image:
    with decoding(name, may_warn=image.format == "TIFF"):
        image.load()  # before the orientation is read: Pillow turns a TIFF itself and then forgets it
    with decoding(name, may_warn=True):
        orientation = read_orientation(image)
    with decoding(name):
        return to_eight_bits(image, least, orientation)


def _from_array(array: npt.NDArray[Any]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in array.shape:
        raise PhotoError(
            f"The array is {array.dtype} {list(array.shape)}; supported is uint8 of shape [H,W], [H,W,1], [H,W,3] "
            "or [H,W,4].",
            hint="Scale it to 0..255 and convert it: array.astype(numpy.uint8).",
        )
    flat = array[:, :, 0] if array.ndim == 3 and channels == 1 else array
    return Image.fromarray(np.ascontiguousarray(flat))
