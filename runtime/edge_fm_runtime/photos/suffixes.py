"""Which files of a folder are taken for photos, by their suffixes, and how the others are reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
        *(".avif", ".heic", ".heif", ".hif"),
        *(".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
"""In lower case. A file that is named itself is tried whatever its suffix."""

LISTED = ", ".join(sorted(SUFFIXES))
"""For messages."""


def is_photo_name(name: str) -> bool:
    """Whether a file of a folder is taken for a photo: a known suffix, and not hidden.

    Example:
        >>> is_photo_name("IMG_0001.HEIC"), is_photo_name("notes.txt"), is_photo_name("._IMG_0001.HEIC")
        (True, False, False)
    """
    return not name.startswith(".") and PurePath(name).suffix.lower() in SUFFIXES


def kind_passed_over(name: str) -> str:
    """Why a file that is not a photo by its name is passed over, as a label that can be counted.

    Example:
        >>> kind_passed_over("notes.TXT"), kind_passed_over(".DS_Store"), kind_passed_over("README")
        ('.txt', 'hidden', 'no suffix')
    """
    if name.startswith("."):
        return "hidden"
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix.isprintable() and 1 < len(suffix) <= 12 else "no suffix"


def describe_counts(counts: Mapping[str, int]) -> str:
    """Counts of kinds for a person, the most frequent first.

    Example:
        >>> describe_counts({"hidden": 1, ".txt": 3})
        '4 files that are not photos by their names (.txt 3, hidden 1)'
    """
    total = sum(counts.values())
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in ranked(counts.items()))
    what = "file that is not a photo by its name" if total == 1 else "files that are not photos by their names"
    return f"{total:,} {what} ({kinds})"


def ranked(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The eight most frequent kinds, and the rest as one."""
    order = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    rest = sum(n for _, n in order[8:])
    return order[:8] + ([("others", rest)] if rest else [])
