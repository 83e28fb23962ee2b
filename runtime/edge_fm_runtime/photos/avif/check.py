"""Refuse an AVIF file whose frames need more memory than its container says, before it is decoded.

The decoder in Pillow (libavif) takes the size of a frame from the coded data, and then scales it to what the container
says; hidden frames and layers count, too. It has limits, but Pillow does not offer them.
"""

from __future__ import annotations

from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.avif.av1 import read_frames
from edge_fm_runtime.photos.avif.boxes import BoxReader, ContainerError
from edge_fm_runtime.photos.avif.items import Meta, first_samples, read_meta
from edge_fm_runtime.photos.limits import SMALLER

_MAX_FRAMES = 8
"""Of one image. Photos have one, those that are sent in layers up to four."""

_OUTPUT_BYTES = 8
"""For each pixel of the image: the decoder's RGB or RGBA, and Pillow's copy."""


def check_avif(data: bytes, name: str, *, max_pixels: int) -> None:
    """Check a whole AVIF file: the image, its tiles, its alpha, and the first frame of sequences.

    Args:
        data: the file.
        name: the photo, as it can be shown.
        max_pixels: see `load_canvas`.

    Raises:
        PhotoError: it would take too much memory, or a frame is larger than the container says.
        ValueError: it cannot be checked.
    """
    reader = BoxReader(data)
    needs: list[tuple[float, int]] = []
    for kind, start, end in reader.boxes(0, len(data)):
        if kind == b"meta":
            needs.append(_memory_of_items(reader, read_meta(reader, start, end), name))
        elif kind == b"moov":
            tracks = [read_frames(data, _MAX_FRAMES, reader.count) for data in first_samples(reader, start, end)]
            largest = max((frame.width * frame.height for frames in tracks for frame in frames), default=0)
            planes = sum(frame.plane_bytes for frames in tracks for frame in frames)
            needs.append((planes + _OUTPUT_BYTES * largest, largest))
        elif kind == b"mini":
            raise ContainerError("a box called mini, which cannot be checked")
    (need, area), allowed = max(needs, default=(0.0, 0)), 5 * max_pixels  # as measured, within the promised memory
    if need > allowed:
        raise PhotoError(
            f"{name} is an AVIF photo of {area / 1e6:.1f} megapixels whose frames take {need / (1 << 20):.0f} MiB to "
            f"decode; up to {allowed >> 20} MiB are allowed.",
            hint=SMALLER,
        )


def _memory_of_items(reader: BoxReader, meta: Meta, name: str) -> tuple[float, int]:
    """Bytes that decoding the image of a box `meta` takes, and its pixels; each frame's size is checked."""
    meta.check_extents(len(reader.data))
    of_image, planes, area, grids = meta.decoded(auxiliary=False), 0.0, 0, 0
    for item in meta.decoded(auxiliary=True):
        grids += b"grid" in meta.types[item]
        if b"av01" not in meta.types[item]:
            continue
        frames = read_frames(meta.content(reader, item), _MAX_FRAMES, reader.count)
        for width, height in meta.sizes(reader, item):
            for frame in frames:
                if frame.exact and (frame.width > width or frame.height > height):
                    raise PhotoError(
                        f"{name} is an AVIF photo that holds a frame of {frame.width}x{frame.height} where its header "
                        f"says {width}x{height}.",
                        hint="Save it anew as JPEG or PNG.",
                    )
        planes += sum(frame.plane_bytes for frame in frames)
        if item in of_image:
            area += max((frame.width * frame.height for frame in frames), default=0)
    # The tiles of a grid are held beside what they are put together to.
    return planes * (2 if grids else 1) + _OUTPUT_BYTES * area, area
