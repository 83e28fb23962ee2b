"""Classify one shard of the photos into files; a process that is killed loses what is not in a file yet, no more."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from edge_fm.scale.result_folder import ResultFolder
from edge_fm.scale.result_rows import FileFormat, Row, decode_rows, encode_rows, read_inputs
from edge_fm.scale.shards import Shard, name_digest
from edge_fm_runtime.classification import Classification, Failure, utf8_name
from edge_fm_runtime.progress import ProgressFn

ROWS_PER_FILE = 1_000
SECONDS_PER_FILE = 30.0
"""A file is written once it has so many rows, or so long after the last one: what a killed process loses."""
Predictions = Iterator[Classification | Failure]


@dataclass
class Counts:
    """How many photos there are.

    Attributes:
        listed: of all shards.
        earlier: in files of earlier processes, failures included.
        classified: now and earlier.
        failed: likewise.
    """

    listed: int = 0
    earlier: int = 0
    classified: int = 0
    failed: int = 0

    def add(self, *, failed: bool) -> None:
        """Count one photo."""
        self.failed += failed
        self.classified += not failed


@dataclass
class _Earlier:
    """What is in the files of earlier processes: digest of a name -> how often."""

    rows: Counter[bytes] = field(default_factory=Counter)
    files: int = 0


def classify_shard(
    folder: ResultFolder,
    shard: Shard,
    photos: Iterable[str],
    classify: Callable[[Iterable[str]], Predictions],
    file_format: FileFormat,
    progress: ProgressFn,
    *,
    retry_failed: bool = False,
) -> Counts:
    """Classify the photos of a shard that no file has yet, and write them into files, each whole when it appears.

    Args:
        folder: where to.
        shard: which photos.
        photos: of all shards; one that is named twice counts once.
        classify: yields one result for each of the photos that it is given, in order.
        file_format: of the files.
        progress: called with each photo.
        retry_failed: classify again what failed earlier.

    Raises:
        DataError: another process has this shard, or a file of results is damaged.
    """
    name, counts = f"shard-{shard.number}-of-{shard.count}", Counts()
    with folder.held(name):
        if retry_failed:
            _drop_failures(folder, name, file_format)
        earlier = _read_earlier(folder, name, file_format, counts)
        writer = _Writer(folder, f"{name}-part-", earlier.files, file_format)
        with writer:
            for done, one in enumerate(classify(_remaining(photos, shard, earlier.rows, counts)), start=1):
                counts.add(failed=isinstance(one, Failure))
                writer.add(one.to_json())
                progress("classifying", done, None)
    return counts


def _drop_failures(folder: ResultFolder, name: str, file_format: FileFormat) -> None:
    """Take the photos that failed out of the files, each of which is whole at any moment.

    A photo is then in none of them, as one that has not been classified yet: a process that is killed leaves it to the
    next one, and never twice.
    """
    for part in folder.names(f"{name}-part-"):
        rows = decode_rows(folder.read(part), str(folder.path / part), file_format)
        kept = [row for row in rows if row["error"] is None]
        if len(kept) < len(rows):
            folder.write(part, encode_rows(kept, file_format))


def _read_earlier(folder: ResultFolder, name: str, file_format: FileFormat, counts: Counts) -> _Earlier:
    earlier = _Earlier()
    for part in folder.names(f"{name}-part-"):
        for photo, failed in read_inputs(folder.path / part, str(folder.path / part), file_format):
            earlier.rows[name_digest(photo)] += 1
            counts.add(failed=failed)
            counts.earlier += 1
        earlier.files = int(part.removeprefix(f"{name}-part-").partition(".")[0]) + 1
    return earlier


def _remaining(photos: Iterable[str], shard: Shard, earlier: Counter[bytes], counts: Counts) -> Iterator[str]:
    """The photos of a shard that are not in a file yet, each once."""
    seen: set[bytes] = set()
    for photo in photos:
        counts.listed += 1
        if not shard.holds(photo) or (digest := name_digest(photo)) in seen:
            continue
        seen.add(digest)
        # In files a name is text; two names may be the same there, so it is counted how many are done.
        written = name_digest(utf8_name(photo))
        if earlier[written]:
            earlier[written] -= 1
        else:
            yield photo


class _Writer:
    """Rows into files, numbered on from those that are there; what is in hand is written when the block ends."""

    def __init__(self, folder: ResultFolder, prefix: str, number: int, file_format: FileFormat) -> None:
        self._folder, self._prefix, self._number, self._format = folder, prefix, number, file_format
        self._rows: list[Row] = []
        self._begun = time.monotonic()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_FILE or time.monotonic() - self._begun >= SECONDS_PER_FILE:
            self._write()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            content = encode_rows(rows, self._format)
            self._folder.write(f"{self._prefix}{self._number:05d}.{self._format}", content)
            self._number += 1
        self._begun = time.monotonic()
