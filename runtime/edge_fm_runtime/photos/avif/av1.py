"""The headers of AV1: how large its frames are, and how many.

Source: AV1 Bitstream & Decoding Process Specification, 5.3 (units), 5.5 (sequence header), 5.9 (frame header).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_SEQUENCE = 1
_FRAME_KINDS = (3, 6, 7)
"""A frame's header, a whole frame, and a header's copy, which decoders take where they have no header."""

_KEY_FRAME, _SWITCH_FRAME = 0, 3
_SELECT = 2


class HeaderError(ValueError):
    """The headers cannot be read."""


@dataclass(frozen=True)
class Sequence:
    """A sequence header.

    Attributes:
        size: width and height of its frames.
        largest: width and height that a frame header may state instead.
        sample_bytes: of all planes, for each pixel.
        copies: of a frame that decoding holds at once: with film grain, and upscaled.
    """

    size: tuple[int, int]
    largest: tuple[int, int]
    sample_bytes: float
    copies: int
    reduced: bool = False
    decoder_model: bool = False
    equal_interval: bool = False
    presentation_bits: int = 0
    frame_id_bits: int = 0
    screen_content: int = _SELECT
    integer_mv: int = _SELECT


@dataclass(frozen=True)
class Frame:
    """A frame that is decoded.

    Attributes:
        width: pixels.
        height: pixels.
        sample_bytes: of all planes and of their copies that decoding holds, for each pixel.
        exact: it has the size of its sequence; one with a size of its own counts as large as that may be.
    """

    width: int
    height: int
    sample_bytes: float
    exact: bool

    @property
    def plane_bytes(self) -> float:
        """Memory of its planes, whose sides decoders round up to 128."""
        return -(-self.width // 128) * -(-self.height // 128) * 128 * 128 * self.sample_bytes


class Bits:
    """Bits of a header, the highest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number.

        Raises:
            HeaderError: the data ends before them.
        """
        self._left -= count
        if self._left < 0:
            raise HeaderError("a header of AV1 that is cut short")
        return self._value >> self._left & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        """Pass over a number of variable length."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        if zeros < 32:
            self.take(zeros)


def read_frames(data: memoryview, most: int, count: Callable[[], None]) -> list[Frame]:
    """Read the frames of a piece of AV1 data, in the low-overhead format.

    Args:
        data: whole units, as an item or a sample of a track holds them.
        most: how many frames it may have.
        count: called for each unit; raises where there are too many.

    Raises:
        HeaderError: it cannot be read, or has more frames.
    """
    frames: list[Frame] = []
    sequence, at = None, 0
    while at < len(data):
        count()
        kind = data[at] >> 3 & 15
        extended, sized = data[at] & 4, data[at] & 2
        at += 2 if extended else 1
        size = len(data) - at
        if sized:
            size, at = _leb128(data, at)
        if size < 0 or size > len(data) - at:
            raise HeaderError("a unit of AV1 that is cut short")
        content = bytes(data[at : at + min(size, 256)])
        at += size
        if kind == _SEQUENCE:
            sequence = read_sequence(content)
        elif kind in _FRAME_KINDS:
            if sequence is None:
                raise HeaderError("a frame of AV1 without a sequence header")
            shown = _frame_size(content, sequence)
            if shown is not None:
                exact = shown == sequence.size
                frames.append(Frame(*shown, sequence.sample_bytes * sequence.copies, exact))
            if len(frames) > most:
                raise HeaderError(f"more than {most} frames of AV1 in one image")
    return frames


def _leb128(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for position in range(8):
        if at >= len(data):
            break
        value |= (data[at] & 127) << 7 * position
        at += 1
        if not data[at - 1] & 128:
            return value, at
    raise HeaderError("a length of AV1 that does not end")


def read_sequence(content: bytes) -> Sequence:
    """Read a sequence header.

    Raises:
        HeaderError: it is cut short.
    """
    bits = Bits(content)
    profile, _, reduced = bits.take(3), bits.take(1), bits.take(1)
    decoder_model = equal_interval = delay_bits = presentation_bits = 0
    if reduced:
        bits.take(5)
    else:
        if bits.take(1):  # timing info
            bits.take(64)
            equal_interval = bits.take(1)
            if equal_interval:
                bits.skip_uvlc()
            decoder_model = bits.take(1)
            if decoder_model:
                delay_bits = bits.take(5) + 1
                bits.take(32 + 5)
                presentation_bits = bits.take(5) + 1
        display_delay = bits.take(1)
        for _ in range(bits.take(5) + 1):  # operating points
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if decoder_model and bits.take(1):
                bits.take(2 * delay_bits + 1)
            if display_delay and bits.take(1):
                bits.take(4)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    frame_id_bits = 0
    if not reduced and bits.take(1):
        frame_id_bits = bits.take(4) + 2
        frame_id_bits += bits.take(3) + 1
    bits.take(3)
    screen_content = integer_mv = _SELECT
    if not reduced:
        bits.take(4)
        order_hint = bits.take(1)
        if order_hint:
            bits.take(2)
        if not bits.take(1):
            screen_content = bits.take(1)
        if screen_content and not bits.take(1):
            integer_mv = bits.take(1)
        if order_hint:
            bits.take(3)
    superres = bits.take(1)
    bits.take(2)
    sample_bytes = _read_colour(bits, profile)
    grain = bits.take(1)
    return Sequence(
        (width, height),
        (1 << width_bits, 1 << height_bits),
        sample_bytes,
        1 + grain + superres,
        bool(reduced),
        bool(decoder_model),
        bool(equal_interval),
        presentation_bits,
        frame_id_bits,
        screen_content,
        integer_mv,
    )


def _read_colour(bits: Bits, profile: int) -> float:
    """Bytes of all planes for each pixel."""
    deep = bits.take(1)
    twelve = bits.take(1) if profile == 2 and deep else 0
    grey = 0 if profile == 1 else bits.take(1)
    kind = (bits.take(8), bits.take(8), bits.take(8)) if bits.take(1) else (2, 2, 2)
    depth = 2 if deep else 1
    if grey:
        bits.take(1)
        return float(depth)
    half_x = half_y = 0
    if kind != (1, 13, 0):  # not sRGB, whose range and sampling are fixed
        bits.take(1)
        half_x = half_y = int(profile == 0)
        if profile == 2:
            half_x = bits.take(1) if twelve else 1
            half_y = bits.take(1) if twelve and half_x else 0
        if half_x and half_y:
            bits.take(2)
    bits.take(1)
    return depth * (1 + 2 / ((1 + half_x) * (1 + half_y)))


def _frame_size(content: bytes, sequence: Sequence) -> tuple[int, int] | None:
    """Width and height of a frame; None where it shows one that was decoded before."""
    if sequence.reduced:
        return sequence.size
    bits = Bits(content)
    if bits.take(1):  # show_existing_frame
        return None
    kind, shown = bits.take(2), bits.take(1)
    if shown and sequence.decoder_model and not sequence.equal_interval:
        bits.take(sequence.presentation_bits)
    if not shown:
        bits.take(1)
    if kind != _SWITCH_FRAME and not (kind == _KEY_FRAME and shown):
        bits.take(1)  # error_resilient_mode
    bits.take(1)
    screen_content = bits.take(1) if sequence.screen_content == _SELECT else sequence.screen_content
    if screen_content and sequence.integer_mv == _SELECT:
        bits.take(1)
    bits.take(sequence.frame_id_bits)
    return sequence.largest if kind == _SWITCH_FRAME or bits.take(1) else sequence.size
