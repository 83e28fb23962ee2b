"""Which photos a job has: paths, URLs and rows of tables, listed once and stored beside the results in blocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Protocol

from edge_fm.scale.addresses import is_table, is_url
from edge_fm.scale.shards import name_digest
from edge_fm.scale.storage import Folder, file_system
from edge_fm.scale.tables import read_rows, table_photos
from edge_fm_runtime.classification import Failure
from edge_fm_runtime.errors import DataError, EdgeFMError, PhotoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.photos.folders import is_skipped_folder
from edge_fm_runtime.photos.suffixes import is_photo_name

PHOTOS_PER_BLOCK = 256
"""Few enough that little is lost with a worker, and enough that a block takes longer than its handling."""
_READERS = 8
"""Threads that read files of another file system: they wait most of the time."""


@dataclass(frozen=True)
class Photo:
    """One photo of a job.

    Attributes:
        name: path or URL, or `TABLE#ROW`.
        table: the Parquet file that holds its bytes; None where it is a file.
        row: its number there, from 0.
        error: why it cannot be listed; None otherwise.
        hint: what to do about it.
    """

    name: str
    table: str | None = None
    row: int = 0
    error: str | None = None
    hint: str | None = None


class LocalPhotos(Protocol):
    """The photos of local files, folders and patterns, as `edgefm infer` lists them."""

    def __iter__(self) -> Iterator[str]: ...
    def explained(self, failure: Failure) -> Failure: ...


@dataclass(frozen=True)
class Patterns:
    """What the photos are listed from.

    Attributes:
        paths: files, folders, globs, tables; local or URLs.
        recursive: look into subfolders.
        column: of tables, the one of the photos; None for the one that is called as such.
        local: lists the photos of local paths.
    """

    paths: Sequence[str]
    recursive: bool
    column: str | None
    local: Callable[[tuple[str, ...]], LocalPhotos]

    def __iter__(self) -> Iterator[Photo]:
        """The photos, in an order that depends on what is there alone."""
        for path in self.paths:
            if is_table(path):
                yield from self._of_table(path)
            elif is_url(path):
                yield from map(Photo, self._of_url(path))
            else:
                yield from self._of_path(path)

    def _of_table(self, url: str) -> Iterator[Photo]:
        for one in table_photos(url, self.column):
            yield Photo(f"{url}#{one}", url, one) if isinstance(one, int) else Photo(one)

    def _of_path(self, path: str) -> Iterator[Photo]:
        listed = self.local((path,))
        unknown = PhotoError("")
        for name in listed:
            error = listed.explained(Failure(name, unknown)).error
            yield Photo(name) if error is unknown else Photo(name, error=error.message, hint=error.hint)

    def _of_url(self, url: str) -> Iterator[str]:
        system, path = file_system(url)
        found: Iterator[str]
        try:
            if any(c in path for c in "*?["):
                found = (name for name in sorted(map(str, system.glob(path))) if is_photo_name(name.rpartition("/")[2]))
            elif system.isdir(path):
                found = self._walk(system, path)
            else:
                yield url
                return
            yield from map(system.unstrip_protocol, found)
        except OSError as error:
            raise DataError(
                f"{shown_name(url)} cannot be listed: {error}.", hint="Check the address, the network and the rights."
            ) from error

    def _walk(self, system: object, folder: str) -> Iterator[str]:
        for root, folders, files in system.walk(folder, on_error="raise"):  # type: ignore[attr-defined]
            folders_in_order = sorted(name for name in folders if not is_skipped_folder(name))
            if isinstance(folders, list):
                folders[:] = folders_in_order
            for name in sorted(files):
                if is_photo_name(name):
                    yield f"{root.rstrip('/')}/{name}"
            if not self.recursive:
                return


def block_name(number: int) -> str:
    """The file that holds the photos of a block."""
    return f"inputs-{number:06d}.json"


def read_block(folder: Folder, number: int) -> list[Photo]:
    """The photos of a block.

    Raises:
        DataError: the file is damaged.
    """
    try:
        # Names keep bytes that are no UTF-8 as lone surrogates, which `parse_json` refuses.
        return [Photo(**one) for one in json.loads(folder.read(block_name(number)))]
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{block_name(number)} is damaged: {error}.", hint="Name another folder with --out, and begin anew."
        ) from error


def store_inputs(folder: Folder, photos: Iterable[Photo], per_block: int) -> tuple[int, int]:
    """Store the photos that no block has yet in blocks, each once; return how many blocks and photos there are.

    What was stored before stays as it is, so that a block's results are those of its photos whatever is added.
    """
    count, total, known = 0, 0, set[bytes]()
    for count, _ in enumerate(folder.names("inputs-"), start=1):
        block = read_block(folder, count - 1)
        known.update(name_digest(photo.name) for photo in block)
        total += len(block)
    block = []

    def store() -> None:
        nonlocal count, total
        content = json.dumps([{k: v for k, v in asdict(one).items() if v not in (None, 0)} for one in block])
        folder.write(block_name(count), content.encode("ascii"))
        count, total = count + 1, total + len(block)
        block.clear()

    for photo in photos:
        if (digest := name_digest(photo.name)) not in known:
            known.add(digest)
            block.append(photo)
            if len(block) == per_block:
                store()
    if block:
        store()
    return count, total


def read_contents(
    photos: Sequence[Photo], column: str | None, given: Mapping[int, bytes]
) -> Iterator[str | bytes | EdgeFMError]:
    """What a classifier takes of each photo: its path, where it is a local file, else its bytes, or why there are none.

    Args:
        photos: of a block, which is small enough to be held.
        column: of tables.
        given: place -> bytes, of those that another process has read.
    """
    missing = [photo for place, photo in enumerate(photos) if place not in given]
    tables = {photo.table for photo in missing if photo.table is not None}
    rows = {url: read_rows(url, column, [p.row for p in missing if p.table == url]) for url in tables}
    with ThreadPoolExecutor(_READERS) as readers:
        yield from readers.map(lambda one: given.get(one[0]) or _content(one[1], rows), enumerate(photos))


def _content(photo: Photo, rows: Mapping[str, Mapping[int, bytes | None]]) -> str | bytes | EdgeFMError:
    if photo.error is not None:
        return PhotoError(photo.error, hint=photo.hint)
    if photo.table is not None:
        content = rows[photo.table][photo.row]
        return PhotoError(f"{shown_name(photo.name)} holds no photo.") if content is None else content
    if not is_url(photo.name):
        return photo.name
    try:
        system, path = file_system(photo.name)
        return bytes(system.cat_file(path))
    except FileNotFoundError:
        return PhotoError(f"{shown_name(photo.name)} does not exist.")
    except OSError as error:
        return PhotoError(f"{shown_name(photo.name)} cannot be read: {error}.")
