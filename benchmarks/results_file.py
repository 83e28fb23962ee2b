"""Read what pytest-benchmark wrote, as the rows that the summary and the comparison work on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class ResultsError(Exception):
    """A results file cannot be read, or is none."""


@dataclass(frozen=True)
class Measured:
    """One benchmark.

    Attributes:
        name: with its parameters, such as "test_latency[openvino-int8-32]".
        group: that it belongs to.
        p50_ms: median, milliseconds.
        info: parameters and figures of its own.
        against: what it was measured beside: what, ratio (ours over bare), ci95, ours_ms, bare_ms; or None.
        node: pytest's name of it, such as "benchmarks/bench_latency.py::test_latency[openvino-int8-32]".
    """

    name: str
    group: str
    p50_ms: float
    info: dict[str, Any]
    against: dict[str, Any] | None
    node: str = ""


def read_results(file: Path) -> tuple[dict[str, Any], list[Measured]]:
    """The environment and the rows of a results file.

    Raises:
        ResultsError: there is no such file, or it is not pytest-benchmark's with our extra information.
    """
    try:
        report = json.loads(file.read_text())
        rows = []
        for entry in report["benchmarks"]:
            info = dict(entry["extra_info"])
            compared = info.pop("against", None)
            if compared is not None:
                float(compared["ratio"]), [float(v) for v in compared["ci95"]]
            p50_ms = 1e3 * entry["stats"]["median"]
            rows.append(Measured(entry["name"], entry["group"], p50_ms, info, compared, entry["fullname"]))
        return report["machine_info"]["edgefm"], rows
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{file} is not a results file of `make bench`: {error!r}") from error
