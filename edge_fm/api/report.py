"""`benchmark_report`: the page of a stored measurement, without measuring again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm.api.common.places import RUNS
from edge_fm_runtime.progress import MessageFn, ignore_message
from edge_fm_runtime.system.atomic_write import replacing, write_utf8


@dataclass(frozen=True)
class BenchmarkPage:
    """The page of a benchmark, and its advice.

    Attributes:
        page: the file that was written.
        verdict: "VALID" or "INVALID".
        recommended: the artifact that is recommended, or None.
        engine: the engine that it is recommended on, or None.
        sentence: the advice.
    """

    page: Path
    verdict: str
    recommended: str | None
    engine: str | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm report --json` prints."""
        return {
            "page": str(self.page),
            "verdict": self.verdict,
            "recommended": self.recommended,
            "engine": self.engine,
            "sentence": self.sentence,
        }


def benchmark_report(
    benchmark: Path | None = None, out: Path | None = None, *, note: MessageFn = ignore_message
) -> BenchmarkPage:
    """Write the page of a stored benchmark: one HTML file that needs no network, and one sentence of advice.

    Args:
        benchmark: folder or file that `benchmark(..., out=...)` left; None for the newest under runs/.
        out: the page to write; None for benchmark.html beside the JSON.
        note: called with the choices that were made.

    Raises:
        EdgeFMError: there is no such benchmark, it cannot be read, or Jinja2 is not installed.
    """
    from edge_fm.evaluation.benchmark.page import HTML_FILE, benchmark_page
    from edge_fm.evaluation.benchmark.recommendation import recommend
    from edge_fm.evaluation.benchmark.stored import JSON_FILE, read_benchmark
    from edge_fm.evaluation.page import require_pages
    from edge_fm_runtime.errors import DataError

    require_pages()
    if benchmark is None:
        found = sorted(RUNS.glob(f"**/{JSON_FILE}"), key=lambda p: p.stat().st_mtime_ns)
        if not found:
            raise DataError(
                f"No benchmark was given, and there is no {JSON_FILE} under {RUNS}/ here.",
                hint="Measure first: edgefm benchmark --out runs/latest/benchmark",
            )
        benchmark = found[-1]
        note(f"Benchmark: {benchmark} (the newest under {RUNS}/)")
    report = read_benchmark(benchmark)
    page = out or (benchmark if benchmark.is_dir() else benchmark.parent) / HTML_FILE
    page.parent.mkdir(parents=True, exist_ok=True)
    with replacing(page) as temporary:
        write_utf8(temporary, benchmark_page(report))
    advice = recommend(report)
    return BenchmarkPage(page, report["verdict"], advice.model, advice.engine, advice.sentence)
