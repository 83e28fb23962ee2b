"""Short clips of every kind, coded by PyAV."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

pytest.importorskip("av", reason="needs the extra video")


def moving_square(n: int, size: tuple[int, int] = (64, 48)) -> list[npt.NDArray[np.uint8]]:
    """Frames `[H,W,3]` that differ: a bright square moves over a gradient."""
    width, height = size
    made = []
    for number in range(n):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
        pixels[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
        left = number * 7 % max(1, width - 12)
        pixels[height // 4 : height // 4 + 12, left : left + 12] = 250
        made.append(pixels)
    return made


def make_clip(
    path: Path,
    n: int = 12,
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: int = 10,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
    curve: int | None = None,
) -> Path:
    """Code a clip; its container is what the suffix says.

    Args:
        path: of the file.
        n: frames.
        size: width and height.
        codec: FFmpeg's name of the encoder.
        pixel_format: likewise.
        rate: frames a second.
        times_ms: timestamps in milliseconds, for a variable rate.
        options: of the encoder.
        pixel_aspect: width of a pixel by its height.
        curve: transfer function, by its number.
    """
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        if times_ms is not None:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if curve is not None:
            stream.codec_context.color_trc = curve
        for number, pixels in enumerate(moving_square(n, size)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number if times_ms is None else times_ms[number]
            frame.time_base = Fraction(1, rate) if times_ms is None else Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_sound(path: Path) -> Path:
    """A file with sound alone."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turned(clip: Path, path: Path, matrix: Sequence[int]) -> Path:
    """A copy of an MP4 whose track has another display matrix: a, b, c, d, as whole numbers."""
    content = clip.read_bytes()
    at = content.index(b"tkhd") + 44  # 4 of its name, 40 before the matrix in version 0 (ISO/IEC 14496-12)
    a, b, c, d = (round(value * 65536) for value in matrix)
    new = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content[:at] + new + content[at + len(new) :])
    return path


def stored_frames(clip: Path) -> list[Image.Image]:
    """The frames as PyAV's own `to_image` gives them, not turned."""
    import av

    with av.open(str(clip)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]
