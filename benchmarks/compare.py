"""Has anything become slower? The ratios to the bare library, of this run and of the stored baseline.

    python -m benchmarks.compare RESULTS.json [--baseline benchmarks/baseline.json] [--tolerance 0.10] [--update]

Only ratios are compared, ours over the bare library measured in the same run: absolute times say nothing about another
machine, or this one on another day. A ratio is worse if it is above the baseline's by more than the tolerance, and its
whole 95% interval is above the baseline's figure. Exit codes: 0 nothing is worse, 1 something is, or is gone; 2 a file
cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.results_file import Measured, ResultsError, read_results

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.10

Verdict = Literal["same", "WORSE", "better", "new", "GONE"]


@dataclass(frozen=True)
class Line:
    """One benchmark in both.

    Attributes:
        name: of the benchmark.
        before: ratio of the baseline; None if it is new.
        now: ratio of this run; None if it is gone.
        ci95: interval of the latter.
        verdict: in a word.
    """

    name: str
    before: float | None
    now: float | None
    ci95: tuple[float, float] | None
    verdict: Verdict

    @property
    def fails(self) -> bool:
        """Whether this must not pass."""
        return self.verdict in ("WORSE", "GONE")


def baseline_of(environment: Mapping[str, Any], rows: Sequence[Measured]) -> dict[str, Any]:
    """What is stored: ratios, and where and when they were measured, which is not compared."""
    kept = {row.name: {"what": row.against["what"], "ratio": row.against["ratio"]} for row in rows if row.against}
    shown = {key: environment[key] for key in ("machine", "versions", "time") if key in environment}
    return {"environment": shown, "ratios": dict(sorted(kept.items()))}


def compare(ratios: Mapping[str, Mapping[str, Any]], rows: Sequence[Measured], tolerance: float) -> list[Line]:
    """Put this run's ratios beside the baseline's, in the order of the run; those that are gone come last."""
    lines = []
    seen = set()
    for row in rows:
        if row.against is None:
            continue
        seen.add(row.name)
        now, (low, high) = row.against["ratio"], row.against["ci95"]
        before = ratios[row.name]["ratio"] if row.name in ratios else None
        lines.append(Line(row.name, before, now, (low, high), _judge(before, now, low, high, tolerance)))
    gone = [name for name in ratios if name not in seen]
    return lines + [Line(name, ratios[name]["ratio"], None, None, "GONE") for name in gone]


def _judge(before: float | None, now: float, low: float, high: float, tolerance: float) -> Verdict:
    if before is None:
        return "new"
    if now > before * (1 + tolerance) and low > before:
        return "WORSE"
    return "better" if now < before / (1 + tolerance) and high < before else "same"


def table(lines: Sequence[Line]) -> str:
    """As plain text."""

    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:.3f}"

    width = max((len(line.name) for line in lines), default=4)
    out = [f"{'benchmark':{width}}  {'before':>8} {'now':>8} {'change':>8}  95% interval     verdict"]
    for line in lines:
        change = "-" if line.before is None or line.now is None else f"{100 * (line.now / line.before - 1):+.1f}%"
        interval = "-" if line.ci95 is None else "{:.3f} to {:.3f}".format(*line.ci95)
        figures = f"{figure(line.before):>8} {figure(line.now):>8} {change:>8}"
        out.append(f"{line.name:{width}}  {figures}  {interval:16} {line.verdict}")
    return "\n".join(out)


def read_baseline(file: Path) -> dict[str, Any]:
    """The ratios of a baseline.

    Raises:
        ResultsError: it cannot be read, or is none.
    """
    try:
        ratios: dict[str, Any] = json.loads(file.read_text())["ratios"]
        for value in ratios.values():
            float(value["ratio"])
        return ratios
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{file} is not a baseline: {error!r}. Make one: python -m benchmarks.compare RESULTS.json --update"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or store; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="as a share; default: %(default)s")
    parser.add_argument("--update", action="store_true", help="store this run as the baseline")
    given = parser.parse_args(arguments)
    try:
        environment, rows = read_results(given.results)
        if given.update:
            given.baseline.write_text(json.dumps(baseline_of(environment, rows), indent=2) + "\n")
            print(f"Wrote {given.baseline}")
            return 0
        lines = compare(read_baseline(given.baseline), rows, given.tolerance)
    except ResultsError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print("Ours over the bare library, in one run:")
    print(table(lines))
    failed = [line for line in lines if line.fails]
    if failed:
        print(f"\n{len(failed)} of {len(lines)} ratios are worse by more than {100 * given.tolerance:g}%, or gone.")
        return 1
    print(f"\nNone of {len(lines)} ratios is worse by more than {100 * given.tolerance:g}%.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
