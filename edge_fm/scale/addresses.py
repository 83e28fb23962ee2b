"""What an input of a job is, by its name alone; without an import of what reads it."""

from __future__ import annotations

import re

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def is_url(path: str) -> bool:
    """Whether a path is that of another file system, such as s3://bucket/photos."""
    return _SCHEME.match(path) is not None


def is_table(url: str) -> bool:
    """Whether a path or URL is that of a table, by its suffix."""
    return url.lower().endswith((".csv", ".parquet"))
