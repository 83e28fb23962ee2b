"""The file of a benchmark: benchmark.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.atomic_write import replacing, write_utf8
from edge_fm_runtime.system.json_text import dump_json, parse_json

JSON_FILE = "benchmark.json"
_NEEDED = ("verdict", "reasons", "environment", "conditions", "rows", "ratios", "overheads", "profiles")


def store_benchmark(report: Mapping[str, Any], file: Path) -> None:
    """Write what `edgefm benchmark --json` prints."""
    with replacing(file) as temporary:
        write_utf8(temporary, dump_json(report))


def read_benchmark(path: Path) -> dict[str, Any]:
    """Read what `store_benchmark` wrote.

    Args:
        path: benchmark.json, or the folder that holds it.

    Raises:
        DataError: it is not there, or is not a benchmark.
    """
    file = path / JSON_FILE if path.is_dir() else path
    try:
        found = parse_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{file} does not exist.", hint=f"Measure first: edgefm benchmark ARTIFACT... --out {path}"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is not readable as JSON: {error}", hint="Give the benchmark.json itself.") from error
    missing = [key for key in _NEEDED if not isinstance(found, dict) or key not in found]
    if missing:
        raise DataError(
            f"{file} is not a result of edgefm benchmark of this version: it has no {', '.join(missing)}.",
            hint="Measure again: edgefm benchmark ARTIFACT... --out DIR",
        )
    return dict(found)
