"""Which photos `edgefm infer` was given: files, folders, globs and lists on stdin become paths, lazily, in order.

What cannot be listed is named among the photos, so that it counts as one that failed.
"""

from __future__ import annotations

import codecs
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from edge_fm.scale.addresses import is_table, is_url
from edge_fm_runtime.classification import Failure
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.photos.folders import describe_skipped, is_skipped_folder, photos_below
from edge_fm_runtime.photos.suffixes import describe_counts, is_photo_name, kind_passed_over

_MAGIC = "*?["
_LONGEST_LINE = 1 << 16
"""Bytes of a line on stdin; no system has paths of more."""
_SUBFOLDERS = "subfolders"


def _elsewhere(failure: Failure) -> PhotoError | None:
    """The error for what only workers of Ray read: addresses of other file systems, and tables of photos."""
    name = shown_name(failure.input)
    how = f"edgefm infer {shlex.quote(name)} --out results --on ray"
    if is_url(failure.input) and not os.path.lexists(failure.input):
        return PhotoError(f"{name} is on another file system.", hint=f"Classify what is there: {how}")
    if is_table(failure.input) and os.path.isfile(failure.input):  # noqa: PTH113
        return PhotoError(failure.error.message, hint=f"Is it a table of photos? Classify these: {how}")
    return None


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
        self._passed_over: Counter[str] = Counter()
        self._skipped: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        """Paths of photos: folders sorted; below them no link to a folder is followed, no hidden folder searched."""
        passed_over: Counter[str] = Counter()
        for path in self._paths:
            # os.path: a path that is too long, or in a folder that may not be read, is no folder, and no error yet.
            if path == "-":
                yield from _lines(sys.stdin.buffer)
            elif os.path.isdir(path):  # noqa: PTH112
                yield from self._walk(path, passed_over)
            elif any(c in path for c in _MAGIC) and not os.path.lexists(path):
                yield from self._glob(path)
            else:
                yield path
        self._passed_over = passed_over

    def describe_passed_over(self) -> str:
        """What the folders hold beside photos, counted by kind, once they have been walked; empty for nothing."""
        kinds = self._passed_over.copy()
        subfolders = kinds.pop(_SUBFOLDERS, 0)
        parts = [describe_counts(kinds)] if kinds else []
        if subfolders:
            parts.append(
                f"{subfolders:,} {'subfolder' if subfolders == 1 else 'subfolders'} (look into them: --recursive)"
            )
        if hidden := describe_skipped(self._skipped):
            parts.append(hidden)
        return "; ".join(parts)

    def count(self) -> int | None:
        """How many photos there will be; None where a list is still being written."""
        return None if "-" in self._paths else sum(1 for _ in self)

    def explained(self, failure: Failure) -> Failure:
        """The failure, with the reason why a folder could not be listed or a pattern found nothing."""
        error = _elsewhere(failure) if failure.input in self._paths else None
        error = error or self._unlisted.get(failure.input)
        return failure if error is None else Failure(failure.input, error)

    def _walk(self, folder: str, passed_over: Counter[str]) -> Iterator[str]:
        unread: list[OSError] = []
        for root, folders, files in os.walk(folder, onerror=unread.append):
            yield from self._report_unlisted(unread)
            for name in filter(is_skipped_folder, folders):
                below = os.path.join(root, name)  # noqa: PTH118
                self._skipped[below] = 0 if os.path.islink(below) else photos_below(below)  # noqa: PTH114
            folders[:] = sorted(name for name in folders if not is_skipped_folder(name))
            for name in sorted(files):
                if is_photo_name(name):
                    yield str(Path(root) / name)
                else:
                    passed_over[kind_passed_over(name)] += 1
            if not self._recursive:
                passed_over.update({_SUBFOLDERS: len(folders)} if folders else {})
                break
        yield from self._report_unlisted(unread)

    def _report_unlisted(self, unread: list[OSError]) -> Iterator[str]:
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
        if self._recursive and "**" in pattern:
            start, _ = _fixed(pattern)
            for folder in self._unlisted_below(start):
                found = True
                yield folder
        if not found:
            self._unlisted[pattern] = PhotoError(
                f"No file matches {shown_name(pattern)}.", hint="Check the pattern; `**` needs --recursive."
            )
            yield pattern

    def _unlisted_below(self, start: Path) -> Iterator[str]:
        """Folders that a search below `start` passed over without an error, as pathlib and glob do."""
        unread: list[OSError] = []
        for _, folders, _ in os.walk(start, onerror=unread.append):
            folders[:] = sorted(name for name in folders if not is_skipped_folder(name))
        yield from self._report_unlisted(unread[::-1])


def _lines(stream: IO[bytes]) -> Iterator[str]:
    """Paths, one a line, of which no more is held than a path can have: the rest of a longer line is dropped."""
    first = True
    while line := stream.readline(_LONGEST_LINE):
        rest = line
        if first:  # editors on Windows begin a text file with a mark
            first, line = False, line.removeprefix(codecs.BOM_UTF8)
        while not rest.endswith(b"\n") and (rest := stream.readline(_LONGEST_LINE)):
            pass
        if name := line.removesuffix(b"\n").removesuffix(b"\r"):
            yield os.fsdecode(name)


def _matches(pattern: str, *, recursive: bool) -> Iterator[str]:
    if not recursive or "**" not in pattern:
        import glob

        return glob.iglob(pattern)
    # Below "**" glob follows links to folders, round and round; pathlib does not.
    start, rest = _fixed(pattern)
    found = start.glob(rest)
    return (str(p) for p in found if not any(map(is_skipped_folder, p.relative_to(start).parts)))


def _fixed(pattern: str) -> tuple[Path, str]:
    """The folder that a pattern names itself, and the pattern below it."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if any(c in part for c in _MAGIC))
    return Path(*parts[:fixed]), str(Path(*parts[fixed:]))
