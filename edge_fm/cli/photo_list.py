"""Which photos `edgefm infer` was asked for: files, folders, globs and lists on stdin become paths, lazily, in order.

What cannot be listed is named among the photos, so that it counts as one that was not answered.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_fm_runtime.classifier import Failure
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photo_file import shown_name

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".mpo"}
)
"""What is taken from a folder; a file that is named is tried whatever its suffix."""
_MAGIC = "*?["


def lone_file(paths: tuple[str, ...]) -> str | None:
    """The path where exactly one file is named, else None."""
    (path, *others) = paths
    lone = not others and path != "-" and os.path.exists(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112
    return path if lone else None


class PhotoList:
    """The photos of the arguments, which can be walked again, as to count them.

    Args:
        paths: files, folders, globs, or "-" for a list on stdin, one path a line.
        recursive: look into subfolders.
    """

    def __init__(self, paths: tuple[str, ...], *, recursive: bool) -> None:
        self._paths, self._recursive = paths, recursive
        self._unlisted: dict[str, PhotoError] = {}

    def __iter__(self) -> Iterator[str]:
        """Paths of photos: folders sorted, no link to a folder followed below them."""
        for path in self._paths:
            # os.path: a path that is too long, or in a folder that may not be read, is no folder, and no error yet.
            if path == "-":
                yield from (line for raw in sys.stdin if (line := raw.rstrip("\n")))
            elif os.path.isdir(path):  # noqa: PTH112
                yield from self._walk(path)
            elif any(c in path for c in _MAGIC) and not os.path.lexists(path):
                yield from self._glob(path)
            else:
                yield path

    def count(self) -> int | None:
        """How many photos there will be; None where a list is still being written."""
        return None if "-" in self._paths else sum(1 for _ in self)

    def explained(self, failure: Failure) -> Failure:
        """The failure, with the reason why a folder could not be listed or a pattern found nothing."""
        error = self._unlisted.get(failure.input)
        return failure if error is None else Failure(failure.input, error)

    def _walk(self, folder: str) -> Iterator[str]:
        unread: list[OSError] = []
        for root, folders, files in os.walk(folder, onerror=unread.append):
            yield from self._told(unread)
            folders.sort()
            yield from (str(Path(root) / f) for f in sorted(files) if Path(f).suffix.lower() in SUFFIXES)
            if not self._recursive:
                break
        yield from self._told(unread)

    def _told(self, unread: list[OSError]) -> Iterator[str]:
        """Name the folders that could not be listed."""
        while unread:
            error = unread.pop()
            folder = os.fsdecode(error.filename)
            self._unlisted[folder] = PhotoError(
                f"The folder {shown_name(folder)} cannot be listed: {error.strerror}.",
                hint="Check its rights, or name the photos that may be read.",
            )
            yield folder

    def _glob(self, pattern: str) -> Iterator[str]:
        found = False
        for path in sorted(_matches(pattern, recursive=self._recursive)):
            if not os.path.isdir(path):  # noqa: PTH112
                found = True
                yield path
        if not found:
            self._unlisted[pattern] = PhotoError(
                f"No file matches {shown_name(pattern)}.", hint="Check the pattern; `**` needs --recursive."
            )
            yield pattern


def _matches(pattern: str, *, recursive: bool) -> Iterator[str]:
    if not recursive or "**" not in pattern:
        import glob

        return glob.iglob(pattern)
    # Below "**" glob follows links to folders, round and round; pathlib does not.
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(c in part for c in _MAGIC))
    start = Path(*parts[:fixed])
    found = start.glob(str(Path(*parts[fixed:])))
    return (str(p) for p in found if not any(part.startswith(".") for part in p.relative_to(start).parts))
