"""The table that `edgefm export` ends with: what each target costs, what it lost, and the verdict of the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.cli.console.console import print_line, print_table
from edge_fm.cli.console.explanation_table import print_explanation

if TYPE_CHECKING:
    from edge_fm_export.results import ExportReport, ExportResult
    from edge_fm_runtime.parity.checks import Check
    from edge_fm_runtime.parity.comparison import Parity


def print_results(report: ExportReport) -> None:
    """Print one row for each target: bytes, accuracy, drop with its interval, agreement, latency here, verdict."""
    from edge_fm_export.targets import CALIBRATED

    results = report.results
    latency = _latency(results)
    rows = [_row(r.path.name, r.bytes, r.parity, f"{latency[r.path]:.3f}", _verdict(r.checks)) for r in results]
    for failure in report.failures:
        verdict = _verdict(failure.checks) if failure.checks else "not built"
        rows.append(_row(failure.name, failure.bytes, failure.parity, "-", verdict))
    columns = ["artifact", "bytes", f"{_measure(report)} %", "drop", "95% interval"]
    columns += ["agreement %", "max diff", "batch 1 ms", "gate"]
    optional = ["max diff", "batch 1 ms", "agreement %", "bytes"]
    print_table(_title(report), columns, rows, right=range(1, len(columns) - 1), optional=optional)
    replaced = [result.path.name for result in results if result.replaced]
    older = [failure.name for failure in report.failures if failure.older is not None]
    if replaced:
        print_line(f"Replaced, from an earlier export: {', '.join(replaced)}")
    if older:
        print_line(f"Kept unchanged, from an earlier export: {', '.join(older)}")
    for name, explanation in report.explanations.items():
        print_explanation(name, explanation)
    for result in results:
        if result.budget is not None:
            _print_budget(result.path.name, result.budget)
    for result in results:
        if result.target.precision not in CALIBRATED:
            continue
        floats = [r for r in results if (r.target.format, r.target.precision) == (result.target.format, "fp32")]
        if floats and latency[result.path] > latency[floats[0].path]:
            ratio = latency[result.path] / latency[floats[0].path]
            print_line(f"Note: {result.path.name} is slower than fp32 on this machine ({ratio:.2f} times the time).")


def _print_budget(name: str, budget: Mapping[str, Any]) -> None:
    """Print what a model for microcontrollers needs, and which boards have it."""
    rows = [
        [
            row["board"],
            row["title"],
            f"{row['flash_bytes'] // 1024:,}",
            f"{row['ram_bytes'] // 1024:,}",
            "yes" if row["fits"] else "no",
        ]
        for row in budget["boards"]
    ]
    macs = "" if budget["macs"] is None else f", {budget['macs']:,} multiply-accumulates an image"
    title = f"{name}: {budget['model_bytes']:,} bytes of flash, an arena of {budget['arena_bytes']:,} bytes{macs}"
    columns = ["board", "name", "flash KiB", "RAM KiB", "fits"]
    print_table(title, columns, rows, right=(2, 3), optional=["name"])


def _title(report: ExportReport) -> str:
    count = len(report.results)
    made = "1 artifact" if count == 1 else f"{count} artifacts"
    where = f" in {report.results[0].path.parent}" if count else ""
    failed = f", {len(report.failures)} not written" if report.failures else ""
    compared = [result.parity for result in report.results]
    compared += [failure.parity for failure in report.failures if failure.parity is not None]
    if not compared:
        return f"{made}{where}{failed}"
    title = f"{made}{where}{failed}, each compared with the original on {compared[0].n:,} images"
    if (accuracy := compared[0].accuracy_reference) is not None:
        title += f"; the original's {_measure(report)} there is {100 * accuracy:.2f}%"
    return title + (", DOUBTFUL: see the warning" if report.warnings else "")


def _measure(report: ExportReport) -> str:
    """What the column of accuracies holds: "accuracy", or "mAP" of a multi-label model."""
    compared = [result.parity for result in report.results]
    compared += [failure.parity for failure in report.failures if failure.parity is not None]
    return compared[0].measure if compared else "accuracy"


def _verdict(checks: Sequence[Check]) -> str:
    """The worst verdict of all."""
    verdicts = {check.verdict for check in checks}
    return next(verdict for verdict in ("FAILED", "warning", "passed") if verdict in verdicts)


def _row(name: str, size: int | None, parity: Parity | None, latency: str, verdict: str) -> list[str]:
    shown_size = "-" if size is None else f"{size:,}"
    if parity is None:
        return [name, shown_size, "-", "-", "-", "-", "-", latency, verdict]
    drop = interval = "-"
    if parity.drop_points is not None and parity.drop_ci95 is not None:
        drop = f"{parity.drop_points:+.2f}"
        interval = f"{parity.drop_ci95[0]:+.2f}..{parity.drop_ci95[1]:+.2f}"
    return [
        name,
        shown_size,
        "-" if parity.accuracy is None else f"{100 * parity.accuracy:.2f}",
        drop,
        interval,
        f"{100 * parity.top1_agreement:.2f}",
        f"{parity.max_abs_diff:.1e}",
        latency,
        verdict,
    ]


def _latency(results: Sequence[ExportResult]) -> dict[Path, float]:
    """Median milliseconds of one image on each artifact's own engine, interleaved in one run."""
    from contextlib import ExitStack
    from functools import partial

    from edge_fm.api.common.engines import ALL_ENGINES
    from edge_fm_runtime.artifacts.artifact import load_unsigned
    from edge_fm_runtime.artifacts.golden import golden_of
    from edge_fm_runtime.engines import create_engine
    from edge_fm_runtime.measurement.latency import measure

    calls = {}
    with ExitStack() as engines:
        for result in results:
            artifact = load_unsigned(result.path)
            engine = create_engine(artifact, result.engine, registry=ALL_ENGINES)
            engines.callback(engine.close)
            images = golden_of(artifact).images
            calls[str(result.path)] = partial(engine.infer, images[: artifact.metadata.input.batch or 1])
        if not calls:
            return {}
        return {Path(name): latency.p50_ms for name, latency in measure(calls, duration_s=0.3).items()}
