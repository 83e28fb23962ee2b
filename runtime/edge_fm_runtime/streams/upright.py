"""How a video's frames are turned upright: the display matrix that phones write instead of turning pixels."""

from __future__ import annotations

import struct

from edge_fm_runtime.errors import VideoError

_MATRIX = struct.Struct("=9i")
_ORIENTATIONS = {
    (1, 0, 0, 1): 1,
    (-1, 0, 0, 1): 2,
    (-1, 0, 0, -1): 3,
    (1, 0, 0, -1): 4,
    (0, 1, 1, 0): 5,
    (0, 1, -1, 0): 6,
    (0, -1, -1, 0): 7,
    (0, -1, 1, 0): 8,
}
"""Signs of a, b, c, d, which send a pixel (x, y) to (a x + c y, b x + d y), y downwards -> EXIF's orientation."""


def orientation_of(matrix: bytes) -> int:
    """EXIF's orientation, 1 to 8, of a display matrix.

    Args:
        matrix: nine 32-bit integers, row by row, as FFmpeg keeps a track's matrix (ISO/IEC 14496-12, tkhd).

    Raises:
        VideoError: it turns by something else than quarters, as no camera does.

    Example:
        >>> orientation_of(_MATRIX.pack(0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))  # a phone held upright
        6
    """
    a, b, _, c, d, *_ = _MATRIX.unpack(matrix[: _MATRIX.size])
    largest = max(abs(a), abs(b), abs(c), abs(d))
    signs = tuple(0 if abs(value) < 0.01 * largest else 1 if value > 0 else -1 for value in (a, b, c, d))
    if signs not in _ORIENTATIONS:
        raise VideoError(
            "The video is to be shown turned by an angle that is not 0, 90, 180 or 270 degrees.",
            hint="Turn it with a video editor first.",
        )
    return _ORIENTATIONS[signs]
