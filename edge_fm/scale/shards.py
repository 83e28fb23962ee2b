"""Which photos of a job are one process's: a partition that depends on their names alone."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from edge_fm_runtime.errors import PhotoError

MAX_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of the photos.

    A photo belongs to the shard that the hash of its name gives. So the processes of a job need not speak to each
    other, and a photo that is added later moves no other to another shard.

    Attributes:
        number: from 1 to `count`.
        count: how many shards there are.

    Example:
        >>> [[name for name in ("a.jpg", "b.jpg", "c.jpg") if Shard(i, 2).holds(name)] for i in (1, 2)]
        [['a.jpg', 'b.jpg'], ['c.jpg']]
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not (1 <= self.count <= MAX_SHARDS and 1 <= self.number <= self.count):
            raise PhotoError(
                f"There is no shard {self.number} of {self.count}; shards are counted from 1, up to "
                f"{MAX_SHARDS:,} of them.",
                hint=f"Number the jobs of an array from 1, as with: sbatch --array=1-{max(1, self.count)}",
            )

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "3/8", the third of eight.

        Raises:
            PhotoError: it is not two whole numbers, or there is no such shard.
        """
        if (match := re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())) is None:
            raise PhotoError(f"{text!r} is not NUMBER/COUNT, such as 3/8 for the third of eight shards.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, name: str) -> bool:
        """Whether the photo with this name, as it was listed, is in this shard."""
        return int.from_bytes(name_digest(name)[:8], "big") % self.count == self.number - 1


def name_digest(name: str) -> bytes:
    """16 bytes that stand for the name of a photo, its bytes that are no UTF-8 included."""
    return hashlib.blake2b(os.fsencode(name), digest_size=16).digest()
