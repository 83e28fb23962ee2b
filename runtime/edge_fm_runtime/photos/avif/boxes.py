"""The boxes of an ISO base media file, of which AVIF is a kind, read without trusting a length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_MAX_BOXES = 20_000
"""Of one file. Photos have a few dozen; a grid of tiles a few for each tile."""


class ContainerError(ValueError):
    """The boxes do not make a file that can be checked."""


@dataclass
class BoxReader:
    """Walks through boxes, and counts them.

    Attributes:
        data: the whole file.
    """

    data: bytes
    _left: int = _MAX_BOXES

    def boxes(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Type, start and end of the content of each box between two offsets.

        Raises:
            ContainerError: a box ends outside, or there are too many.
        """
        while end - start >= 8:
            self.count()
            size, kind, head = int.from_bytes(self.data[start : start + 4], "big"), self.data[start + 4 : start + 8], 8
            if size == 1:
                size, head = int.from_bytes(self.data[start + 8 : start + 16], "big"), 16
            elif size == 0:  # to the end
                size = end - start
            if size < head or size > end - start:
                raise ContainerError(f"a box of {size:,} bytes in a place of {end - start:,}")
            yield kind, start + head, start + size
            start += size

    def count(self, pieces: int = 1) -> None:
        """Count boxes, or entries of a list, against the limit of the file.

        Raises:
            ContainerError: there are too many.
        """
        self._left -= pieces
        if self._left < 0:
            raise ContainerError(f"more than {_MAX_BOXES:,} boxes and entries")

    def fields(self, start: int, end: int) -> Fields:
        """A cursor over numbers between two offsets."""
        return Fields(self.data, start, end)


@dataclass
class Fields:
    """Big-endian numbers, one after another."""

    data: bytes
    at: int
    end: int

    def take(self, size: int) -> int:
        """The next number of `size` bytes (0 bytes are 0).

        Raises:
            ContainerError: the box ends before it.
        """
        if self.at + size > self.end:
            raise ContainerError("a box that ends within a number")
        value = int.from_bytes(self.data[self.at : self.at + size], "big")
        self.at += size
        return value

    def version(self) -> tuple[int, int]:
        """Version and flags of a full box."""
        return self.take(1), self.take(3)
