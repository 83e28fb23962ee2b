"""How a source is read: as the caller says, else as the training that used the same source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """What a caller says about a source; None for what the training did with the same one.

    Attributes:
        skip_unreadable: share of the images that may be left out because they cannot be read.
        group: what images come from, as `load_dataset` takes it.
        label_column: column of a manifest that holds the labels.
    """

    skip_unreadable: float | None = None
    group: str | None = None
    label_column: str | None = None

    @classmethod
    def from_options(cls, options: Any) -> Reading:
        """What the options of a verb say, which have attributes of the same names."""
        return cls(options.skip_unreadable, options.group, options.label_column)

    def of(self, source: str, training: Mapping[str, Any] | None) -> dict[str, Any]:
        """What `load_dataset` takes.

        Args:
            source: what is read.
            training: the part of the model's metadata about its training.
        """
        stored = _stored(source, training)
        share, group, column = (stored.get(key) for key in ("skip_unreadable", "group", "label_column"))
        if self.skip_unreadable is not None:
            share = self.skip_unreadable
        return {
            "skip_unreadable": float(share) if isinstance(share, int | float) and 0 <= share <= 1 else 0.0,
            "group": self.group if self.group is not None else group if isinstance(group, str) else "",
            "label_column": self.label_column or (column if isinstance(column, str) else ""),
        }

    def for_other(self, source: str | None, data: str | None) -> Reading:
        """The same for a second source; where it is not `data`, its columns are its own."""
        return self if source == data else Reading(self.skip_unreadable)


def _stored(source: str, training: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What a training says about its data, if these are the source; an artifact names a path by its last part alone."""
    from pathlib import Path

    from edge_fm.data.sources import absolute_source

    data = (training or {}).get("data")
    if not isinstance(data, dict) or not isinstance(data.get("source"), str):
        return {}
    place = absolute_source(source)
    return data if data["source"] in (source, place, Path(place).name) else {}
