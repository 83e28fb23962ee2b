"""Open what a person calls a photo without trusting it: which file, which format, how many pixels.

Only the formats listed here are ever handed to a decoder, each to its own; what a file is called does not matter.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from PIL import Image

from edge_fm_runtime.errors import PhotoError

DEFAULT_MAX_PIXELS = 50_000_000
"""How many pixels may be held at once, so that a process stays under 300 MiB; see `load_canvas`."""

SUPPORTED = "JPEG, PNG, WebP, GIF, BMP, TIFF and PPM"

_FORMATS: dict[str, tuple[str, str]] = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
}
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x7fELF", "a program"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"8BPS", "a Photoshop document"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
)
_PPM = tuple(b"P%d" % n for n in range(1, 7))
_HEIF = (b"heic", b"heix", b"heif", b"hevc", b"mif1", b"msf1")
_quiet_lock = threading.Lock()


def shown_name(path: str | bytes | os.PathLike[Any]) -> str:
    r"""A file's name as a message can show it: newlines, control characters and invalid UTF-8 escaped, long ones cut.

    Example:
        >>> shown_name("a\nb.jpg")
        'a\\nb.jpg'
    """
    text = os.fsdecode(path)
    if len(text) > 200:
        text = f"{text[:80]}...{text[-80:]}"
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8, as `os.fsdecode` keeps it
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def sniff(head: bytes) -> str:
    """What the first bytes of a file say it is: a key of the supported formats, or words for a person."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return "an AVIF picture" if head[8:12] in (b"avif", b"avis") else "HEIF" if head[8:12] in _HEIF else "a video"
    if head[:2] in _PPM and head[2:3].isspace():
        return "PPM"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page"
    if text.startswith((b"<svg", b"<?xml")):
        return "an XML or SVG document"
    if head and not head.strip(b"\0"):
        return "nothing but zero bytes"
    if all(32 <= b < 127 or b in b"\t\r\n" for b in head):
        return "text"
    return "of no known kind"


@contextmanager
def open_regular(path: str | os.PathLike[Any]) -> Iterator[IO[bytes]]:
    """Open a regular file for reading; never waits on a FIFO, never touches a device.

    Raises:
        PhotoError: there is no such file, it is no regular file, or it may not be read.
    """
    name = shown_name(path)
    try:
        _require_regular(
            Path(os.fsdecode(path)).stat().st_mode, name
        )  # before opening: opening a device can already act on it
        # O_NONBLOCK: should a FIFO have taken the file's place since, opening it does not wait either.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError as error:
        raise PhotoError(f"{name} does not exist.", hint="Check the path.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PhotoError(f"{name} cannot be opened: {reason}.", hint="Check the path and its rights.") from error
    with os.fdopen(fd, "rb") as stream:
        _require_regular(os.fstat(fd).st_mode, name)
        yield stream


def _require_regular(mode: int, name: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise PhotoError(f"{name} is a folder, not a photo.", hint="Name the photos in it.")
    kind = "a FIFO" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise PhotoError(f"{name} is {kind}; photos are read from regular files.", hint="Save the photo to a file first.")


@contextmanager
def decoding(name: str, *, may_warn: bool = False) -> Iterator[None]:
    """Turn whatever a decoder does with hostile bytes into one PhotoError.

    Args:
        name: the photo, as it can be shown.
        may_warn: Pillow may warn in this step; the filters of `warnings` are the whole process's, so such steps run
            one at a time.
    """
    try:
        if may_warn:
            with _quiet_lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        else:
            yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(f"{name} does not fit into memory.", hint="Make the photo smaller.") from error
    except Exception as error:  # on hostile bytes a decoder raises anything from OSError to IndexError
        reason = str(error).strip() or type(error).__name__
        raise PhotoError(
            f"{name} is damaged or cut short: {reason[:200].rstrip('.')}.",
            hint="Copy the photo again, or save it anew as JPEG or PNG.",
        ) from error


def open_image(stream: IO[bytes], name: str) -> Image.Image:
    """Read the header of a photo; its pixels are not decoded yet.

    Args:
        stream: the file's bytes, seekable.
        name: the photo, as it can be shown.

    Raises:
        PhotoError: empty, of no supported format, or damaged.
    """
    with decoding(name):
        head = stream.read(64)
        stream.seek(0)
    if not head:
        raise PhotoError(f"{name} is empty (0 bytes).", hint="Copy the photo again.")
    kind = sniff(head)
    if kind not in _FORMATS:
        what = "a HEIF photo" if kind == "HEIF" else kind
        raise PhotoError(
            f"{name} is {what}, not a photo that can be read; supported are {SUPPORTED}.",
            hint="Save it as JPEG or PNG.",
        )
    module, factory = _FORMATS[kind]
    _hush_pillow()
    with decoding(name, may_warn=True):
        # The format's own reader: `Image.open` would import five formats at 20 ms where one is needed, and its
        # table reaches readers (EPS runs Ghostscript) that untrusted bytes must not.
        image: Image.Image = getattr(import_module(f"PIL.{module}"), factory)(stream, "")
    return image


@cache
def _hush_pillow() -> None:
    """Where nobody has set up logging, Pillow's remarks on damaged files would go to stderr; the error says it."""
    import logging

    logging.getLogger("PIL").addHandler(logging.NullHandler())


def check_pixels(image: Image.Image, name: str, *, max_pixels: int, reduced: bool = False) -> None:
    """Refuse a photo whose decoding would hold more than `max_pixels` pixels at once.

    Args:
        image: opened; its pixels need not be decoded.
        name: the photo, as it can be shown.
        max_pixels: see `load_canvas`.
        reduced: a JPEG will be decoded at reduced scale.

    Raises:
        PhotoError: it is too large, or has no pixels.
    """
    width, height = image.size
    if width < 1 or height < 1:
        raise PhotoError(f"{name} has no pixels ({width}x{height}).", hint="Copy the photo again.")
    allowed = int(max_pixels / _weight(image, reduced=reduced))
    if width * height > allowed:
        raise PhotoError(
            f"{name} is {width}x{height}, {width * height / 1e6:.1f} megapixels; this kind is read up to "
            f"{allowed / 1e6:.1f} megapixels.",
            hint="Make the photo smaller, or raise the limit (max_pixels) if you trust it.",
        )


def _weight(image: Image.Image, *, reduced: bool) -> float:
    """How many ordinary pixels (4 bytes) decoding one pixel holds."""
    if image.format == "JPEG":
        # Baseline is decoded line by line; progressive keeps all coefficients, up to 6 bytes a pixel, at any scale.
        held = 0.25 if reduced else 1.0
        return held + 1.25 if image.info.get("progressive") else held
    if image.format == "WEBP":
        return 4.0 if image.mode == "RGB" else 5.0  # the decoder's two frames and Pillow's two copies
    return 1.0
