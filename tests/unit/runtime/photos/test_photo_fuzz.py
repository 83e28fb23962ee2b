"""Any bytes at all: a canvas or a PhotoError, and nothing else."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.file import shown_name, sniff
from edge_fm_runtime.photos.photo import load_canvas, make_canvas

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "MPO")
MODES = st.sampled_from(["garment", "fit", "crop", "stretch"])


@cache
def seed(kind: str, colour: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = Image.fromarray(pixels).convert(colour)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    options: dict[str, object] = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}
    if kind in ("GIF", "WEBP", "TIFF", "MPO"):
        options |= {"save_all": True, "append_images": [image]}
    image.save(stream, kind, **options)
    return stream.getvalue()


def canvas_or_refusal(data: bytes, mode: str = "garment") -> None:
    try:
        canvas = load_canvas(data, (28, 28, 1), PhotoSpec(mode, "dark", 0), max_pixels=2_000_000)  # type: ignore[arg-type]
    except PhotoError as error:
        assert error.message and error.hint
        str(error).encode("utf-8")
    else:
        assert canvas.shape == (28, 28, 1)
        assert canvas.dtype == np.uint8


@QUICK
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    canvas_or_refusal(data)
    assert sniff(data[:64])


@QUICK
@given(
    st.sampled_from(
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"BM", b"P5 ", b"RIFF\xff\0\0\0WEBPVP8 "]
    ),
    st.binary(max_size=300),
)
def test_a_signature_and_garbage(head: bytes, tail: bytes) -> None:
    canvas_or_refusal(head + tail)


@settings(QUICK, max_examples=400)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(["RGB", "L"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    st.floats(0, 1),
    st.booleans(),
    MODES,
)
def test_a_image_with_changed_bytes(
    kind: str, colour: str, changes: list[tuple[float, int]], where: float, header: bool, mode: str
) -> None:
    data = bytearray(seed(kind, colour))
    reach = min(len(data), 300) if header else len(data)
    for at, value in changes:
        data[min(int(at * reach), len(data) - 1)] = value
    canvas_or_refusal(bytes(data), mode)
    canvas_or_refusal(bytes(data[: int(where * len(data))]), mode)


@QUICK
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    MODES,
    st.sampled_from(["dark", "light", "any"]),
    st.integers(0, 2**32 - 1),
)
def test_any_pixels_on_any_canvas(
    height: int, width: int, rows: int, columns: int, channels: int, mode: str, background: str, number: int
) -> None:
    rng = np.random.default_rng(number)
    blocks = rng.integers(0, 256, (rng.integers(1, height + 1), rng.integers(1, width + 1), 3), np.uint8)
    image = Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)
    canvas = make_canvas(image, (rows, columns, channels), PhotoSpec(mode, background, 0))  # type: ignore[arg-type]
    assert canvas.shape == (rows, columns, channels)


@QUICK
@given(st.binary(min_size=1, max_size=300))
def test_any_name_is_shown_on_one_line(name: bytes) -> None:
    shown = shown_name(name)
    assert shown.isprintable()
    shown.encode("utf-8")
