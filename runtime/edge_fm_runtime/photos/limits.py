"""What a photo may cost: bytes of the file, bytes beside the pixels, memory of the decoder, pieces.

A header claims sizes that nobody has checked: each is bounded before memory or time is spent on it.
"""

from __future__ import annotations

import io
import struct
from typing import IO, Any

from PIL import Image

from edge_fm_runtime.errors import PhotoError

DEFAULT_MAX_PIXELS = 50_000_000
"""How many pixels may be held at once, so that a process stays under 300 MiB; see `load_canvas`."""

MAX_FILE_BYTES = 256 << 20
"""The largest file that is read; where `max_pixels` is raised, five bytes for each of its pixels."""

_MAX_READS = 1_000_000
"""Pieces in which a file is read: chunks of some formats have any size, and each costs a step of Python."""
_MAX_BESIDE_BYTES = 8 << 20
_MAX_WHOLE_BYTES = 48 << 20
_MAX_BLOCK = 16 << 20
_MAX_SIDE = 65_535
_MAX_TAG_VALUES = 200_000
_DECODER_BLOCK = 1 << 16
_TIFF_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_BYTE_TYPES = (1, 2, 6, 7)
_IN_PYTHON = ("bmp_rle", "ppm", "ppm_plain")
SMALLER = "Make the photo smaller, or raise the limit (max_pixels) if you trust it."


class MeteredFile:
    """A photo's file for a decoder, which may read pixels as it likes, and little else.

    Args:
        stream: the file.
        name: the photo, as it can be shown.
        blocks_are_pixels: pixels come in blocks of any size (strips), not only in those of Pillow's decoders.
    """

    def __init__(self, stream: IO[bytes], name: str, *, blocks_are_pixels: bool = False) -> None:
        self._stream, self._name, self._blocks_are_pixels = stream, name, blocks_are_pixels
        self._left = _MAX_BESIDE_BYTES
        self._reads_left = _MAX_READS
        self._opened = False

    def read(self, size: int = -1) -> bytes:
        """Read; once the header has been read, blocks of the decoders' usual size are taken for pixels.

        Raises:
            PhotoError: what is beside the pixels, or a block of pixels, is too large, or the file is cut in too many.
        """
        self._reads_left -= 1
        if self._reads_left < 0:
            raise PhotoError(
                f"{self._name} is cut into so many pieces that it takes more than {_MAX_READS:,} steps to read.",
                hint="Save it anew as JPEG or PNG.",
            )
        if self._opened and self._blocks_are_pixels:
            if size > _MAX_BLOCK:
                raise PhotoError(
                    f"{self._name} has a block of {size:,} bytes of pixels; they are read up to {_MAX_BLOCK:,} bytes.",
                    hint="Save it anew as JPEG or PNG.",
                )
            return self._stream.read(size)
        content = self._stream.read(size)
        if not self._opened or len(content) > _DECODER_BLOCK:
            self._left -= len(content)
            if self._left < 0:
                raise PhotoError(
                    f"{self._name} holds more than {_MAX_BESIDE_BYTES >> 20} MiB beside its pixels (metadata, or a "
                    "damaged header).",
                    hint="Save it anew as JPEG or PNG, without its metadata.",
                )
        return content

    def begin_pixels(self) -> None:
        """The header has been read: what comes now is pixels."""
        self._opened = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def check_file_size(stream: IO[bytes], name: str, *, max_pixels: int = DEFAULT_MAX_PIXELS, whole: bool = False) -> int:
    """The size of a file in bytes.

    Args:
        stream: at its beginning, where it is left, too.
        name: the photo, as it can be shown.
        max_pixels: see `load_canvas`; where it is raised, larger files are read.
        whole: its decoder reads the file into memory.

    Raises:
        PhotoError: it is too large, whatever it claims to be.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    allowed = _MAX_WHOLE_BYTES if whole else max(MAX_FILE_BYTES, 5 * max_pixels)
    if size > allowed:
        kind = "photos of this kind" if whole else "photos"
        raise PhotoError(f"{name} has {size:,} bytes; {kind} are read up to {allowed:,} bytes.", hint=SMALLER)
    return size


def check_pixels(
    image: Image.Image, name: str, *, max_pixels: int, file_bytes: int = 0, scans: int = 1, halved: bool = False
) -> None:
    """Refuse a photo whose decoding would hold more than `max_pixels` pixels of four bytes at once.

    Args:
        image: opened; its pixels need not be decoded.
        name: the photo, as it can be shown.
        max_pixels: see `load_canvas`.
        file_bytes: size of the file, for decoders that read it whole.
        scans: of a JPEG, from `check_scans`.
        halved: it will be decoded at half scale.

    Raises:
        PhotoError: it is too large, or has no pixels.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise PhotoError(f"{name} has no pixels ({width}x{height}).", hint="Copy the photo again.")
    if max(width, height) > _MAX_SIDE:
        raise PhotoError(
            f"{name} is {width}x{height}; photos are read up to {_MAX_SIDE:,} pixels a side.",
            hint="Make the photo smaller.",
        )
    if file_bytes > _MAX_BESIDE_BYTES and any(tile[0] == "ppm_plain" for tile in getattr(image, "tile", ())):
        raise PhotoError(
            f"{name} is a PPM of {file_bytes:,} bytes of text; such are read up to {_MAX_BESIDE_BYTES:,} bytes.",
            hint="Save it as PNG, or as a binary PPM.",
        )
    weight = pixel_weight(image, file_bytes=file_bytes, scans=scans) / (4 if halved else 1)
    allowed = int(max_pixels / weight)
    if width * height > allowed:
        raise PhotoError(
            f"{name} is {width}x{height}, {width * height / 1e6:.1f} megapixels; this kind is read up to "
            f"{allowed / 1e6:.1f} megapixels.",
            hint=SMALLER,
        )


def pixel_weight(image: Image.Image, *, file_bytes: int = 0, scans: int = 1) -> float:
    """How many pixels of four bytes are held, at most, for each pixel that is decoded."""
    width, height = image.size
    # Pillow pads rows to four bytes and keeps a pointer to each: images of a few columns weigh more.
    padding = max(0.0, 11 / (4 * width) - 0.05)
    # Those of HEIC and WebP have no tiles before they are decoded, but a file until then.
    closed = image.format not in ("HEIF", "WEBP") or getattr(image, "fp", None) is None
    waits = bool(getattr(image, "tile", ())) or not closed
    if not waits:
        return 1.0 + padding
    whole_file = 2 * file_bytes / (4 * width * height)
    if image.format == "JPEG":
        own = 0.25 if image.mode == "L" else 1.0
        # Of several scans all coefficients are held, two bytes each, and five in six were measured to count.
        return own + padding + (0 if scans == 1 else 5 / 6 * _samples_per_pixel(image) / 2)
    if image.format == "WEBP":
        # The decoder's two frames and Pillow's two copies.
        return (4.0 if image.mode == "RGB" else 5.0) + whole_file
    if image.format in ("AVIF", "HEIF"):  # as measured: the decoder's planes, its RGB, and Pillow's copy
        return (2.0 if image.format == "HEIF" else 3.0) + (1.0 if image.mode == "RGBA" else 0.0) + whole_file
    if image.format == "TIFF":
        return 1.0 + padding + max(0, _tiff_chunk_bytes(image) - _MAX_BLOCK) / (4 * width * height)
    if any(tile[0] in _IN_PYTHON for tile in getattr(image, "tile", ())):
        return 12.5  # not memory but time: decoders written in Python take a microsecond a pixel
    return 1.0 + padding


def _samples_per_pixel(image: Image.Image) -> float:
    """How many samples of all colours a JPEG has for each pixel: 3, or 1.5 with the usual subsampling."""
    layers = [(layer[1], layer[2]) for layer in getattr(image, "layer", ())]
    largest = max((h for h, _ in layers), default=1) * max((v for _, v in layers), default=1)
    return sum(h * v for h, v in layers) / max(1, largest) if layers else 4.0


def check_tags(stream: IO[bytes], name: str) -> None:
    """Add up what the tags of a TIFF's first image (or of EXIF data) claim, before anybody reads them.

    Each may point at the same bytes of a small file, so that they claim far more together than it holds.

    Args:
        stream: at its beginning, where it is left, too.
        name: the photo, as it can be shown.

    Raises:
        PhotoError: they claim too much.
    """
    start = stream.read(16)
    order = ">" if start.startswith(b"MM") else "<"
    large = start[2:4] in (b"+\0", b"\0+")
    number, pointer = ("Q", struct.Struct(order + "Q")) if large else ("H", struct.Struct(order + "L"))
    entry = struct.Struct(order + ("HHQQ" if large else "HHLL"))
    at = start[8:16] if large else start[4:8]
    if len(at) == pointer.size:
        total = stream.seek(0, io.SEEK_END)
        stream.seek(pointer.unpack(at)[0])
        count = stream.read(struct.calcsize(order + number))
        entries = int.from_bytes(count, "big" if order == ">" else "little")
        content = stream.read(entry.size * min(entries, 65_536))
        claimed = 0
        for _, kind, values, offset in entry.iter_unpack(content[: len(content) // entry.size * entry.size]):
            size = values * _TIFF_TYPES.get(kind, 0)
            if size <= pointer.size or offset + size > total:  # in the entry itself, or more than there is to be read
                continue
            claimed += size
            if claimed > _MAX_BESIDE_BYTES or (kind not in _BYTE_TYPES and values > _MAX_TAG_VALUES):
                raise PhotoError(
                    f"{name} has tags that claim more than {_MAX_BESIDE_BYTES >> 20} MiB, or more than "
                    f"{_MAX_TAG_VALUES:,} values.",
                    hint="Save it anew as JPEG or PNG, without its metadata.",
                )
    stream.seek(0)


def check_exif(image: Image.Image, name: str) -> None:
    """Check the EXIF data of a photo with `check_tags`.

    Raises:
        PhotoError: they claim too much.
    """
    found = image.info.get("exif")
    if found is None and isinstance(text := image.info.get("Raw profile type exif"), str):
        try:
            found = bytes.fromhex("".join(text.split("\n")[3:]))
        except ValueError:  # Pillow, which reads it in the same way, reports it
            return
    if isinstance(found, bytes):
        check_tags(io.BytesIO(found.removeprefix(b"Exif\0\0")), name)


def _tiff_chunk_bytes(image: Image.Image) -> int:
    """How large the largest strip or tile of a compressed TIFF is when it is unpacked, and as it is stored."""
    tags: Any = getattr(image, "tag_v2", None)
    if tags is None or tags.get(259, 1) == 1:
        return 0
    width, height = (tags.get(256, 0), min(tags.get(278, 1 << 32), tags.get(257, 0)))
    if 322 in tags:
        width, height = tags.get(322), tags.get(323, 1)
    bits = tags.get(258, (1,))
    depth = max(4, (sum(bits) + 7) // 8 if isinstance(bits, tuple) else bits)
    stored = tags.get(325 if 322 in tags else 279, 0)
    return int(width * height * depth + (max(stored, default=0) if isinstance(stored, tuple) else stored))
