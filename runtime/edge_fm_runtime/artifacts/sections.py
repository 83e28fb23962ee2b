"""The free sections of an artifact's metadata: which of their keys the code reads, and what must be in them.

Other keys may stand in a section; nothing acts on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Kind: TypeAlias = tuple[str, Callable[[Any], bool]]
"""What a value must be, for messages, and the check."""


def _number(value: Any) -> bool:
    return _integer(value) or (type(value) is float and math.isfinite(value))


def _integer(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 63


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _check(value: Any) -> bool:
    return (
        isinstance(value, dict) and _text(value.get("name")) and all(_number(value.get(k)) for k in ("value", "limit"))
    )


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _threshold_row(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_share(value.get(key)) for key in ("threshold", "coverage"))
        and all(value.get(key) is None or _share(value[key]) for key in ("accuracy", "others_accepted"))
    )


def _group(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _text(value.get("name"))
        and _integer(value.get("n"))
        and (value.get("accepted") is None or _share(value["accepted"]))
    )


TEXT: Kind = ("text", _text)
NUMBER: Kind = ("a number", _number)
SHARE: Kind = ("a number from 0 to 1", _share)
POSITIVE: Kind = ("a number above 0", lambda value: _number(value) and value > 0)
INTEGER: Kind = ("an integer", _integer)
COUNT: Kind = ("an integer, at least 0", lambda value: _integer(value) and value >= 0)
OBJECT: Kind = ("an object", _object)
FLAG: Kind = ("true or false", lambda value: isinstance(value, bool))
TEXTS: Kind = ("a list of texts", lambda value: isinstance(value, list) and all(map(_text, value)))
SHARES: Kind = (
    "a list of numbers from 0 to 1",
    lambda value: isinstance(value, list) and all(map(_share, value)),
)
INTERVAL: Kind = (
    "a list of two numbers",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(_number, value)),
)
LIMITS: Kind = (
    "an object of numbers",
    lambda value: isinstance(value, dict) and all(limit is None or _number(limit) for limit in value.values()),
)
CHECKS: Kind = (
    "a list of objects with name, value and limit",
    lambda value: isinstance(value, list) and all(map(_check, value)),
)
THRESHOLDS: Kind = (
    "a list of objects with threshold, coverage, accuracy and others_accepted",
    lambda value: isinstance(value, list) and all(map(_threshold_row, value)),
)
GROUPS: Kind = (
    "a list of objects with name, n and accepted",
    lambda value: isinstance(value, list) and all(map(_group, value)),
)

SECTIONS: Mapping[str, Mapping[str, Kind]] = {
    "training": {
        "run": TEXT,
        "model": TEXT,
        "recipe_hash": TEXT,
        "data": OBJECT,
        "data.name": TEXT,
        "data.source": TEXT,
        "data.hash": TEXT,
        "data.preparation": OBJECT,
        "epochs": COUNT,
        "seed": INTEGER,
        "keras_backend": TEXT,
    },
    "accuracy": {"value": SHARE, "n": COUNT, "dataset": TEXT, "measure": TEXT},
    "quantization": {"reduce_range": FLAG, "safe_for": TEXT},
    "graph": {
        **dict.fromkeys(("nodes", "parameters", "macs", "bytes", "model_bytes", "arena_bytes"), COUNT),
        "operators": TEXTS,
        "tflm_commit": TEXT,
    },
    "source": {"name": TEXT, "sha256": TEXT, "preprocessing": OBJECT, "temperature": POSITIVE, "notes": TEXTS},
    "parity": {
        "n": COUNT,
        "dataset": TEXT,
        "dataset_sha256": TEXT,
        "engine": TEXT,
        "max_abs_diff": NUMBER,
        "mean_abs_diff": NUMBER,
        "top1_agreement": SHARE,
        "accuracy": SHARE,
        "accuracy_reference": SHARE,
        "label_agreement": SHARE,
        "map": SHARE,
        "map_reference": SHARE,
        "drop_points": NUMBER,
        "drop_ci95": INTERVAL,
        "checks": CHECKS,
        "limits": LIMITS,
    },
    "scores": {
        "temperature": POSITIVE,
        "dataset": TEXT,
        "n": COUNT,
        "bins": COUNT,
        **{
            f"{when}{key}": OBJECT if not key else NUMBER
            for when in ("before", "after")
            for key in ("", ".loss", ".calibration_error", ".brier")
        },
        "note": TEXT,
        "label_thresholds": OBJECT,
        "label_thresholds.values": SHARES,
        "label_thresholds.dataset": TEXT,
        "label_thresholds.n": COUNT,
        "rejection": OBJECT,
        "rejection.threshold": SHARE,
        "rejection.reason": TEXT,
        "rejection.target_accuracy": SHARE,
        "rejection.max_others": SHARE,
        "rejection.dataset": TEXT,
        "rejection.n": COUNT,
        "rejection.others": GROUPS,
        "rejection.table": THRESHOLDS,
    },
    "drift": {"n": COUNT, "dataset": TEXT, "tests": TEXTS},
}
"""Section -> key (dots for inner objects) -> what its value must be where it is there and not null."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("value", "n", "dataset"),
    "source": ("name", "sha256"),
    "parity": ("n", "dataset", "engine", "checks"),
    "drift": ("n", "dataset", "tests"),
}
"""Section -> keys that must be there where the section is."""


def first_fault(section: str, content: Mapping[str, Any]) -> tuple[str, str, Any] | None:
    """Find the first key of a section whose value is not what the code relies on.

    Args:
        section: one of `SECTIONS`; others have no rules.
        content: the section.

    Returns:
        the key's path, what it must be, and what it is; None where all is well.

    Example:
        >>> first_fault("accuracy", {"value": 2, "n": 10, "dataset": "mini"})
        ('accuracy.value', 'a number from 0 to 1', 2)
    """
    kinds = SECTIONS.get(section, {})
    for key, (wanted, fits) in kinds.items():
        value: Any = content
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        needed = key in NEEDED.get(section, ())
        if (value is None and needed) or (value is not None and not fits(value)):
            return f"{section}.{key}", wanted, value
    return None
