"""Has anything become slower? The ratios to the bare library, of this run and of the stored baseline.

    python -m benchmarks.compare RESULTS.json [--baseline benchmarks/baseline.json] [--tolerance 0.10] [--update]

Only ratios are compared, ours over the bare library measured in the same run: absolute times say nothing about another
machine, or this one on another day. A ratio is worse if it is above the baseline's by more than the tolerance, its
whole 95% interval is above the baseline's whole interval, and so it is when it is measured once more. Exit codes: 0
nothing is worse, 1 something is, or is gone; 2 a file cannot be read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
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
        node: pytest's name of it; empty where it is gone.
    """

    name: str
    before: float | None
    now: float | None
    ci95: tuple[float, float] | None
    verdict: Verdict
    node: str = ""

    @property
    def fails(self) -> bool:
        """Whether this must not pass."""
        return self.verdict in ("WORSE", "GONE")


def baseline_of(environment: Mapping[str, Any], rows: Sequence[Measured]) -> dict[str, Any]:
    """What is stored: ratios, and where and when they were measured, which is not compared."""
    stored = {row.name: {key: row.against[key] for key in ("what", "ratio", "ci95")} for row in rows if row.against}
    shown = {key: environment[key] for key in ("machine", "versions", "time") if key in environment}
    return {"environment": shown, "ratios": dict(sorted(stored.items()))}


def compare(ratios: Mapping[str, Mapping[str, Any]], rows: Sequence[Measured], tolerance: float) -> list[Line]:
    """Put this run's ratios beside the baseline's, in the order of the run; those that are gone come last."""
    lines = []
    seen = set()
    for row in rows:
        if row.against is None:
            continue
        seen.add(row.name)
        now, (low, high) = row.against["ratio"], row.against["ci95"]
        before = ratios.get(row.name)
        verdict = "new" if before is None else _verdict(before, now, low, high, tolerance)
        lines.append(Line(row.name, None if before is None else before["ratio"], now, (low, high), verdict, row.node))
    gone = [name for name in ratios if name not in seen]
    return lines + [Line(name, ratios[name]["ratio"], None, None, "GONE") for name in gone]


def _verdict(before: Mapping[str, Any], now: float, low: float, high: float, tolerance: float) -> Verdict:
    ratio, (least, most) = before["ratio"], before["ci95"]
    if now > ratio * (1 + tolerance) and low > most:
        return "WORSE"
    return "better" if now < ratio / (1 + tolerance) and high < least else "same"


def once_more(
    lines: Sequence[Line],
    ratios: Mapping[str, Mapping[str, Any]],
    tolerance: float,
    measure: Callable[[list[str]], list[Measured]],
) -> list[Line]:
    """Measure again what is worse, and put the second figure in its place: a machine halts for a moment now and then.

    Args:
        lines: of `compare`.
        ratios: of the baseline.
        tolerance: as a share.
        measure: runs the benchmarks of these pytest names.
    """
    worse = [line.node for line in lines if line.verdict == "WORSE"]
    if not worse:
        return list(lines)
    again = {line.name: line for line in compare({}, measure(worse), tolerance)}
    found = []
    for line in lines:
        second = again.get(line.name)
        if line.verdict != "WORSE" or second is None or second.now is None or second.ci95 is None:
            found.append(line)
            continue
        verdict = _verdict(ratios[line.name], second.now, *second.ci95, tolerance)
        found.append(Line(line.name, line.before, second.now, second.ci95, verdict, line.node))
    return found


def _run(nodes: list[str]) -> list[Measured]:
    print(f"Measuring again what seems worse: {', '.join(nodes)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "again.json"
        command = [sys.executable, "-m", "pytest", "-q", *nodes, f"--benchmark-json={results}"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        # Where it failed, what seemed worse stays worse.
        return read_results(results)[1] if results.exists() and results.stat().st_size else []


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
            float(value["ratio"]), [float(bound) for bound in value["ci95"]]
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
        ratios = read_baseline(given.baseline)
        lines = once_more(compare(ratios, rows, given.tolerance), ratios, given.tolerance, _run)
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
