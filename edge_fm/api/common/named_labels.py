"""The label names that an export is given in a file."""

from __future__ import annotations

from pathlib import Path

from edge_fm_runtime.progress import MessageFn


def read_labels(file: Path, note: MessageFn) -> tuple[str, ...]:
    """The names in a file, one a line; `note` is called with what was done to them."""
    from edge_fm.data.readers.label_file import read_label_file

    labels = read_label_file(file)
    if labels.note is not None:
        note(f"Note: {labels.note}")
    return labels.names
