"""Which subfolders are never searched for photos, and how the photos in them are reported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge_fm_runtime.photos.suffixes import is_photo_name

_LEFT_BY_TOOLS = frozenset({"__MACOSX", "__pycache__"})
_NAMED = 5


def is_skipped_folder(name: str) -> bool:
    """Whether no person means a subfolder of that name: it is hidden, or left by an archive or a tool.

    A folder that is named itself is searched whatever its name.

    Example:
        >>> is_skipped_folder(".cache"), is_skipped_folder("__MACOSX"), is_skipped_folder("Coat")
        (True, True, False)
    """
    return name.startswith(".") or name in _LEFT_BY_TOOLS


def photos_below(folder: str | Path) -> int:
    """How many photos, by their names, lie in a folder and in those below it; links are not followed."""
    return sum(is_photo_name(name) for _, _, files in os.walk(folder) for name in files)


def describe_skipped(folders: Mapping[str, int]) -> str:
    """Folders that were not searched, and the number of photos in each, for a person; empty for none with photos.

    Example:
        >>> describe_skipped({".Coat": 20, ".git": 0, "Coat/.old": 1})
        '21 images in folders that are hidden or left by tools (.Coat/, Coat/.old/)'
    """
    counts = {name: n for name, n in sorted(folders.items()) if n}
    if not counts:
        return ""
    total, names = sum(counts.values()), [f"{name}/" for name in counts]
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    where = "a folder that is" if len(names) == 1 else "folders that are"
    return f"{total:,} {'image' if total == 1 else 'images'} in {where} hidden or left by tools ({shown})"
