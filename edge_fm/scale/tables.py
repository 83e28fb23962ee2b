"""Tables of photos: a column of paths, or of the bytes of image files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any

from edge_fm.scale.result_rows import require_parquet
from edge_fm.scale.storage import open_url, parent_url, require_fsspec
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.photos.file import shown_name

_PHOTO_COLUMN = re.compile(
    r"((file|image|img|photo)?[ _-]?(path|name|file|url)?s?|image[ _-]?bytes|content|bytes)", re.IGNORECASE
)
_LOCAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/")


def table_photos(url: str, column: str | None) -> Iterator[str | int]:
    """The photos of a table, row by row: paths, relative ones to its folder, or, of a column of bytes, row numbers.

    Args:
        url: of a CSV or Parquet file.
        column: of the photos; None for the one that is called as such.

    Raises:
        DataError: it cannot be read, or which column is meant does not show.
    """
    rows = _csv_paths(url, column) if url.lower().endswith(".csv") else _parquet_photos(url, column)
    folder = parent_url(url)
    try:
        for one in rows:
            yield one if isinstance(one, int) or _LOCAL.match(one) or not folder else f"{folder}/{one}"
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{shown_name(url)} cannot be read as a table: {error}.", hint="Check the file.") from error


def _csv_paths(url: str, column: str | None) -> Iterator[str]:
    with require_fsspec().open(url, "rt", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        names = next(reader, [])
        place = names.index(_select(url, names, column))
        for row in reader:
            if len(row) > place and row[place]:
                yield row[place]


def _parquet_photos(url: str, column: str | None) -> Iterator[str | int]:
    import pyarrow as pa

    with open_url(url) as stream, require_parquet().ParquetFile(stream) as file:
        schema = file.schema_arrow
        name = _select(url, [field.name for field in schema if _holds_photos(field.type)], column)
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            yield from range(file.metadata.num_rows)
            return
        for batch in file.iter_batches(columns=[name]):
            yield from (path for path in batch.column(0).to_pylist() if path)


def _holds_photos(kind: Any) -> bool:
    """Text, bytes, or a struct with bytes, as Hugging Face stores images."""
    from pyarrow import types

    if types.is_struct(kind):
        return bool(kind.get_field_index("bytes") >= 0)
    return bool(types.is_string(kind) or types.is_large_string(kind) or _is_bytes(kind))


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _select(url: str, names: Sequence[str], column: str | None) -> str:
    """The column of the photos."""
    if column is not None:
        if column in names:
            return column
        raise DataError(
            f"{shown_name(url)} has no column {column!r} of paths or bytes; it has {', '.join(names) or 'none'}.",
            hint="Name one of them: --column NAME",
        )
    found = [name for name in names if _PHOTO_COLUMN.fullmatch(name.strip()) and name.strip()]
    if len(found) == 1:
        return found[0]
    which = "several columns" if found else "no column"
    raise DataError(
        f"{shown_name(url)} has {which} that may hold the photos: {', '.join(found or names) or 'it is empty'}.",
        hint="Name the one: --column NAME",
    )


def read_rows(url: str, column: str | None, rows: Sequence[int]) -> dict[int, bytes | None]:
    """The bytes of photos of a Parquet file; None where a row holds none.

    Args:
        url: of the file.
        column: as for `table_photos`.
        rows: their numbers, from 0.
    """
    wanted, start = sorted(rows), 0
    found: dict[int, bytes | None] = dict.fromkeys(rows)
    with open_url(url) as stream, require_parquet().ParquetFile(stream) as file:
        name = _select(url, [field.name for field in file.schema_arrow if _holds_photos(field.type)], column)
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = {row for row in wanted if start <= row < end}
            at = start
            for batch in file.iter_batches(batch_size=256, row_groups=[group], columns=[name]) if here else ():
                for row in sorted(here & set(range(at, at + len(batch)))):
                    value = batch.column(0)[row - at].as_py()
                    found[row] = value.get("bytes") if isinstance(value, dict) else value
                at += len(batch)
            start = end
    return found
