"""Which files of a folder are taken for photos, by their names, and what is said of the others."""

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
    """Why a file that is no photo by its name is passed over, in a word that can be counted.

    Example:
        >>> kind_passed_over("notes.TXT"), kind_passed_over(".DS_Store"), kind_passed_over("README")
        ('.txt', 'hidden', 'no suffix')
    """
    if name.startswith("."):
        return "hidden"
    suffix = PurePath(name).suffix.lower()
    return suffix if suffix.isprintable() and 1 < len(suffix) <= 12 else "no suffix"


def count_in_words(counts: Mapping[str, int]) -> str:
    """Counts of kinds for a person, the most frequent first.

    Example:
        >>> count_in_words({"hidden": 1, ".txt": 3})
        '4 files that are no photos by their names (.txt 3, hidden 1)'
    """
    total = sum(counts.values())
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in ranked(counts.items()))
    what = "file that is no photo by its name" if total == 1 else "files that are no photos by their names"
    return f"{total:,} {what} ({kinds})"


def ranked(counts: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The eight most frequent kinds, and the rest as one."""
    order = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
    rest = sum(n for _, n in order[8:])
    return order[:8] + ([("others", rest)] if rest else [])
