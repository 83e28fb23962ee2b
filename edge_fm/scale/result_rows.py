"""Results of photos as the bytes of a file, JSON Lines or Parquet, and read again."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from edge_fm_runtime.classification import utf8_name
from edge_fm_runtime.errors import DataError, MissingDependencyError
from edge_fm_runtime.system.json_text import parse_json

FileFormat: TypeAlias = Literal["jsonl", "parquet"]
FORMATS: tuple[FileFormat, ...] = ("jsonl", "parquet")
Row: TypeAlias = dict[str, Any]
"""The object that `edgefm infer --json` prints for a photo."""


def require_parquet() -> Any:
    """Import and return `pyarrow.parquet`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("pyarrow", "scale", "Parquet") from error
    return pyarrow.parquet


def encode_rows(rows: Sequence[Row], file_format: FileFormat) -> bytes:
    """The bytes of a file with these rows."""
    rows = [row | {"error": utf8_name(row["error"])} if row["error"] else row for row in rows]
    if file_format == "jsonl":
        return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows).encode("ascii")
    parquet = require_parquet()
    import pyarrow

    sink = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=_schema()), sink)
    return sink.getvalue()


def _schema() -> Any:
    """Columns of a Parquet file; the same for every artifact, so that the files of several can be read together."""
    import pyarrow as pa

    classes = pa.list_(pa.struct([("label", pa.string()), ("index", pa.int32()), ("score", pa.float64())]))
    return pa.schema(
        [
            *(("input", pa.string()), ("label", pa.string()), ("index", pa.int32()), ("score", pa.float64())),
            *(("top", classes), ("error", pa.string()), ("decode_ms", pa.float64()), ("infer_ms", pa.float64())),
            *(("labels", classes), ("rejected", pa.bool_())),
        ]
    )


def read_inputs(content: IO[bytes] | Path, name: str, file_format: FileFormat) -> Iterator[tuple[str, bool]]:
    """The name of each photo in a file of results, and whether it failed.

    Args:
        content: the file; read in pieces.
        name: what to call it in an error.
        file_format: of the file.

    Raises:
        DataError: the file is not one of results, or is damaged.
    """
    try:
        if file_format == "parquet":
            with require_parquet().ParquetFile(content) as file:
                for batch in file.iter_batches(columns=["input", "error"]):
                    for row in batch.to_pylist():
                        yield row["input"], row["error"] is not None
        elif isinstance(content, Path):
            with content.open("rb") as stream:
                yield from _read_lines(stream)
        else:
            yield from _read_lines(content)
    except (ValueError, KeyError, TypeError) as error:  # pyarrow's errors are ValueErrors
        raise _damaged(name, error) from error


def decode_rows(content: bytes, name: str, file_format: FileFormat, count: int | None = None) -> list[Row]:
    """The rows of a file of results.

    Args:
        content: of the file.
        name: what to call it in an error.
        file_format: of the file.
        count: how many rows it must have.

    Raises:
        DataError: the file is not one of results, or is damaged.
    """
    try:
        if file_format == "parquet":
            rows = list(require_parquet().read_table(io.BytesIO(content)).to_pylist())
        else:
            rows = [dict(parse_json(line)) for line in content.splitlines()]
        if lacking := {"input", "error"} - set.intersection(*map(set, rows or [{"input", "error"}])):
            raise ValueError(f"a row has no {min(lacking)}")
        if count not in (None, len(rows)):
            raise ValueError(f"it has {len(rows)} rows of {count}")
        return rows
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> DataError:
    return DataError(
        f"{name} is not a whole file of results: {error}.",
        hint="Delete it, and run the same command again: its photos are then classified again.",
    )


def _read_lines(stream: IO[bytes]) -> Iterator[tuple[str, bool]]:
    for line in stream:
        row = parse_json(line)
        yield str(row["input"]), row["error"] is not None
