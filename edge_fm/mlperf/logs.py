"""Read what LoadGen wrote: its verdict and figures, and the predictions of an accuracy run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import EngineError

SUMMARY = "mlperf_log_summary.txt"
DETAIL = "mlperf_log_detail.txt"
ACCURACY = "mlperf_log_accuracy.json"

_VERDICT = re.compile(r"^Result is : (VALID|INVALID)$", re.MULTILINE)
_ENTRY = ":::MLLOG "


@dataclass(frozen=True)
class LoadGenVerdict:
    """A performance run with the verdict of LoadGen.

    Attributes:
        valid: its own verdict.
        reasons: what it found unmet and what it recommends; empty if valid.
        errors: errors that it logged.
        figures: `result_*` and `effective_*` of its detail log, without "result_" before the former.
    """

    valid: bool
    reasons: tuple[str, ...]
    errors: tuple[str, ...]
    figures: Mapping[str, Any]

    def percentile_ms(self, percentile: str) -> float:
        """A latency in milliseconds: "50.00", "90.00", "95.00", "97.00", "99.00" or "99.90".

        Of a whole query in the multi-stream scenario, of a sample in the others.
        """
        key = f"{percentile}_percentile_latency_ns"
        per_query = f"{percentile}_percentile_per_query_latency_ns"
        return float(self.figures.get(per_query, self.figures.get(key))) / 1e6


def read_verdict(folder: Path) -> LoadGenVerdict:
    """Read the summary and the detail log of a performance run.

    Raises:
        EngineError: they are missing, cut short, or contradict each other.
    """
    try:
        summary = (folder / SUMMARY).read_text()
        entries = read_detail(folder / DETAIL)
    except (OSError, ValueError) as error:
        raise EngineError(f"LoadGen left no readable logs in {folder}: {error}") from error
    found = _VERDICT.findall(summary)
    figures = {e["key"].removeprefix("result_"): e["value"] for e in entries if _is_figure(e["key"])}
    if len(found) != 1 or figures.get("validity") != found[0]:
        raise EngineError(
            f"LoadGen's logs in {folder} do not agree on a verdict: {found or 'none'} in {SUMMARY}, "
            f"{figures.get('validity')!r} in {DETAIL}.",
            hint="The run did not end by itself; run it again.",
        )
    errors = tuple(str(e["value"]) for e in entries if e["metadata"].get("is_error"))
    valid = found[0] == "VALID"
    return LoadGenVerdict(valid, () if valid else _reasons(summary), errors, figures)


def read_detail(file: Path) -> list[dict[str, Any]]:
    """The entries of a detail log.

    Raises:
        ValueError: a line is not an entry.
    """
    entries = []
    for line in file.read_text().splitlines():
        if line.startswith(_ENTRY):
            entry = json.loads(line.removeprefix(_ENTRY))
            if not (isinstance(entry, dict) and {"key", "value", "metadata"} <= entry.keys()):
                raise ValueError(f"{file.name} has an entry without key, value and metadata: {line[:80]}")
            entries.append(entry)
    return entries


def read_predictions(folder: Path, total: int) -> npt.NDArray[np.int64]:
    """The classes that an accuracy run predicted, int64 `[total]`, by number of the sample.

    A sample may be queried more than once (queries of eight are filled up); its first prediction counts, as in
    MLPerf's own scoring of ImageNet.

    Raises:
        EngineError: the log cannot be read, or a sample has no prediction.
    """
    try:
        entries = json.loads((folder / ACCURACY).read_text())
        predictions = np.full(total, -1, np.int64)
        for entry in reversed(entries):
            predictions[entry["qsl_idx"]] = int.from_bytes(bytes.fromhex(entry["data"]), "little", signed=True)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise EngineError(f"{folder / ACCURACY} is not LoadGen's log of {total} samples: {error}") from error
    if (missing := int((predictions < 0).sum())) > 0:
        raise EngineError(f"{folder / ACCURACY} lacks the predictions of {missing} of {total} samples.")
    return predictions


def _is_figure(key: str) -> bool:
    return key.startswith(("result_", "effective_", "early_stopping_"))


def _reasons(summary: str) -> tuple[str, ...]:
    """The lines of the summary that name an unmet condition, and the recommendations."""
    lines = summary.splitlines()
    unmet = [line.strip() for line in lines if re.search(r"satisfied\s*: NO$", line)]
    if "Recommendations:" not in lines:
        return tuple(unmet)
    start = lines.index("Recommendations:") + 1
    advice = []
    for line in lines[start:]:
        if not line.startswith(" * "):
            break
        advice.append(line.removeprefix(" * "))
    return (*unmet, *advice)
