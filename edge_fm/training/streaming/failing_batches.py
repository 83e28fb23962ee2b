"""Errors of our own that come up while a library asks for the next batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def raising_own_errors(batches: Any) -> Iterator[None]:
    """Raise what stopped a batch in place of what the backend makes of it, which is often the text alone.

    Args:
        batches: whose `error` is the exception that its last batch ended with, or None.
    """
    try:
        yield
    except Exception as error:
        own = getattr(batches, "error", None)
        if own is None or own is error:
            raise
        raise own from error
