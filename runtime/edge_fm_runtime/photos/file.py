"""Open what a person calls a photo without trusting it: which file, which format, how many pixels.

Only the formats listed here are ever handed to a decoder, each to its own; what a file is called does not matter.
"""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from PIL import Image
from PIL import __version__ as pillow_version

from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS, MeteredFile, check_exif, check_file_size, check_tags
from edge_fm_runtime.photos.quiet_decoders import silence_libtiff, silence_pillow_log

SUPPORTED = "JPEG, PNG, WebP, AVIF, HEIC (with the extra heif), GIF, BMP, TIFF and PPM"

_FORMATS: dict[str, tuple[str, str]] = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIC": ("pillow_heif", "HeifImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
}
_READ_WHOLE = ("WebP", "AVIF", "HEIC")
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
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"msf1", b"mif2")
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
    """What the first bytes of a file say it is: a key of the supported formats, or a description for messages."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(len(head), head[3]), 4))]
        if any(brand in _AVIF for brand in brands):
            return "AVIF"
        return "HEIC" if brands[0] in _HEIC else "a video"
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
    return "of an unknown kind"


@contextmanager
def open_regular(path: str | os.PathLike[Any]) -> Iterator[IO[bytes]]:
    """Open a regular file for reading; never waits on a FIFO, never touches a device.

    Raises:
        PhotoError: there is no such file, it is not a regular file, or it may not be read.
    """
    name = shown_name(path)
    if not os.fspath(path):  # which Path would take for the current folder
        raise PhotoError("The path of the photo is empty.", hint="Name the photo; was a variable not set?")
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


def open_image(stream: IO[bytes], name: str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Read the header of a photo; its pixels are not decoded yet.

    Args:
        stream: the file's bytes, seekable.
        name: the photo, as it can be shown.
        max_pixels: see `load_canvas`.

    Raises:
        PhotoError: empty, of no supported format, damaged, or with metadata of unreasonable size.
    """
    with decoding(name):
        head = stream.read(64)
        stream.seek(0)
    if not head:
        raise PhotoError(f"{name} is empty (0 bytes).", hint="Copy the photo again.")
    kind = sniff(head)
    if kind not in _FORMATS:
        raise PhotoError(
            f"{name} is {kind}, not a photo that can be read; supported are {SUPPORTED}.",
            hint="Save it as JPEG or PNG.",
        )
    factory = _find_reader(kind, name)
    silence_pillow_log()
    if kind == "TIFF":
        silence_libtiff()
    with decoding(name, may_warn=True):
        if kind in _READ_WHOLE:
            check_file_size(stream, name, whole=True)
        elif kind == "TIFF":
            check_tags(stream, name)
        if kind == "AVIF":
            check_coded_frames(stream, name, max_pixels)
        metered = None if kind in _READ_WHOLE else MeteredFile(stream, name, blocks_are_pixels=kind == "TIFF")
        # The format's own reader: `Image.open` would import five formats at 20 ms where one is needed, and its
        # table reaches readers (EPS runs Ghostscript) that untrusted bytes must not.
        image: Image.Image = factory(metered or stream, "")
        if metered is not None:
            metered.begin_pixels()
        check_exif(image, name)
    return image


def check_coded_frames(stream: IO[bytes], name: str, max_pixels: int) -> None:
    """Check the frames that an AVIF file holds; the stream stays where it is.

    Raises:
        PhotoError: see `avif.check.check_avif`.
        ValueError: see there.
    """
    from edge_fm_runtime.photos.avif.check import check_avif  # for one photo in many

    at = stream.tell()
    stream.seek(0)
    check_avif(stream.read(), name, max_pixels=max_pixels)
    stream.seek(at)


def _find_reader(kind: str, name: str) -> Callable[[Any, str], Image.Image]:
    """The class that reads a format.

    Raises:
        PhotoError: what reads it is not installed.
    """
    module, factory = _FORMATS[kind]
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if kind == "HEIC":
            need, hint = "the package pillow-heif, which is not installed", "pip install 'edge-fm[heif]'"
        else:
            need, hint = f"a newer Pillow than {pillow_version}", "pip install --upgrade pillow"
        raise PhotoError(
            f"{name} is {'an' if kind == 'AVIF' else 'a'} {kind} photo; reading it needs {need}.", hint=hint
        ) from error
    if not getattr(found, "SUPPORTED", True):
        raise PhotoError(
            f"{name} is an {kind} photo, which this build of Pillow {pillow_version} cannot read.",
            hint="Save it as JPEG or PNG, or install Pillow's own wheel: pip install --upgrade pillow",
        )
    reader: Callable[[Any, str], Image.Image] = getattr(found, factory)
    return reader
