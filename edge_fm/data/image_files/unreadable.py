"""Images that cannot be read: how many may be left out, and how they are reported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edge_fm_runtime.errors import DataError

_LISTED = 10


def check_unreadable(failures: Sequence[str], total: int, allowed: float) -> None:
    """Refuse a source of which more cannot be read than its user allows.

    Args:
        failures: a message for each image that cannot be read.
        total: how many images there are.
        allowed: share of them that may be left out, 0..1.

    Raises:
        DataError: there are more, or nothing would be left; the first are listed.
    """
    if not failures or (len(failures) <= allowed * total + 1e-6 and len(failures) < total):
        return
    listed = "\n".join(f"  - {failure}" for failure in failures[:_LISTED])
    more = f"\n  ... and {len(failures) - _LISTED} more" if len(failures) > _LISTED else ""
    over = f", more than the share of {allowed:g} that may be left out" if allowed else ""
    share = math.ceil(1000 * len(failures) / total) / 1000
    raise DataError(
        f"{len(failures)} of {total} images cannot be read{over}:\n{listed}{more}",
        hint="Mend them, or move them away."
        + (
            f" To leave out up to a share of them, --skip-unreadable "
            f"{share:g} (in a recipe: skip_unreadable = {share:g} under [data])"
            if len(failures) < total
            else ""
        ),
    )


def unreadable_in_words(note: Mapping[str, Any]) -> str:
    """The note of a dataset that leaves images out, for a person.

    Example:
        >>> unreadable_in_words({"pictures": 200, "left_out": ["a/1.jpg is damaged."]})
        '1 of 200: a/1.jpg is damaged'
    """
    those = [str(message).rstrip(".") for message in note["left_out"]]
    more = f"; and {len(those) - _LISTED} more" if len(those) > _LISTED else ""
    return f"{len(those):,} of {note['pictures']:,}: {'; '.join(those[:_LISTED])}{more}"
