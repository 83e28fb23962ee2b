"""The tables of `edgefm verify`, `evaluate`, `autotune` and `quickstart`, and the plan of `export`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_fm.cli.console.console import print_line, print_table

if TYPE_CHECKING:
    from edge_fm.api.evaluate import EvaluationResult
    from edge_fm.api.export import ExportPlan
    from edge_fm.api.quickstart import QuickstartResult
    from edge_fm_runtime.measurement.autotune import Tuning
    from edge_fm_runtime.parity.verification import Verification


def print_verification(result: Verification) -> None:
    """Print each check with its limit."""
    rows = [[check.name, f"{check.value:.6g}", f"{check.limit:.6g}", check.verdict] for check in result.checks]
    title = (
        f"{result.artifact}: {'PASSED' if result.passed else 'FAILED'} on {result.parity.n} images "
        f"({result.engine}, {result.device}, {result.precision})"
    )
    if result.signed_by is not None:
        title += f", signed with the key {result.signed_by[:16]}"
    print_table(title, ["check", "value", "limit", "verdict"], rows, right=(1, 2))


def print_evaluation(result: EvaluationResult) -> None:
    """Print accuracy and loss, and the figures of each class; of a multi-label model mAP and those of each label."""
    figures = result.to_json()
    if "per_label" in figures:
        _print_labels(result, figures)
        return
    rows = [
        [
            label,
            *(f"{100 * values[k]:.2f}" if values["support"] else "-" for k in ("precision", "recall", "f1")),
            str(values["support"]),
        ]
        for label, values in figures["per_class"].items()
    ]
    title = (
        f"{result.model}: accuracy {100 * figures['accuracy']:.2f}% on {figures['n']:,} images of {result.data} "
        f"({result.engine}, {result.device}, {result.precision}), loss {figures['loss']:.4f}, "
        f"balanced accuracy {100 * figures['balanced_accuracy']:.2f}%, macro F1 {100 * figures['macro_f1']:.2f}%"
    )
    print_table(title, ["class", "precision %", "recall %", "F1 %", "images"], rows, right=(1, 2, 3, 4))


def _print_labels(result: EvaluationResult, figures: Mapping[str, Any]) -> None:
    rows = [
        [
            label,
            "-" if values["average_precision"] is None else f"{100 * values['average_precision']:.2f}",
            f"{values['threshold']:.3f}",
            *(f"{100 * values[k]:.2f}" if values["support"] else "-" for k in ("precision", "recall", "f1")),
            str(values["support"]),
        ]
        for label, values in figures["per_label"].items()
    ]
    title = (
        f"{result.model}: mAP {100 * figures['map']:.2f}% on {figures['n']:,} images of {result.data} "
        f"({result.engine}, {result.device}, {result.precision}), loss {figures['loss']:.4f}, "
        f"macro F1 {100 * figures['macro_f1']:.2f}%, all labels right {100 * figures['exact_match']:.2f}%"
    )
    columns = ["label", "AP %", "threshold", "precision %", "recall %", "F1 %", "images"]
    print_table(title, columns, rows, right=range(1, len(columns)), optional=["threshold"])


def print_tuning(tuning: Tuning, max_drop: float) -> None:
    """Print every way to run, and the fastest within `max_drop` points."""
    from edge_fm.api.autotune import describe_batch

    cells = [
        [
            *(c.artifact.metadata.name, c.artifact.metadata.precision, c.engine),
            *(str(c.threads), describe_batch(c), f"{c.p50_ms:.3f}"),
            "unknown" if c.drop_points is None else f"{c.drop_points:.2f}",
        ]
        for c in tuning.candidates
    ]
    columns = ["artifact", "precision", "engine", "threads", "batch", "p50 ms", "drop, points"]
    optional = ["drop, points", "precision"]
    title = f"One image, fastest first: {tuning.finalists} measured again for longer, then the others"
    print_table(
        title if len(cells) > tuning.finalists else "One image, fastest first",
        columns,
        cells,
        right=(3, 5, 6),
        optional=optional,
    )
    best = tuning.best
    print_line(
        f"Fastest within {max_drop:g} point{'' if max_drop == 1 else 's'}: {best.artifact.path} on {best.engine}, "
        f"{best.threads} {'thread' if best.threads == 1 else 'threads'}, {describe_batch(best)} batch"
    )


def print_quickstart(result: QuickstartResult) -> None:
    """Print what the original and each artifact cost and lost, and what the photo was classified as."""
    rows = [
        [
            row["model"],
            row["engine"],
            "-" if row["bytes"] is None else f"{row['bytes'] / 1024:.0f}",
            f"{100 * row['accuracy']:.2f}",
            f"{row['drop_points']:+.2f}",
            f"{100 * row['agreement']:.2f}",
            f"{row['p50_ms']:.3f}",
            f"{row['times_faster']:.0f}x",
            f"{row['load_ms']:.0f}",
            "-" if row["peak_rss_mib"] is None else f"{row['peak_rss_mib']:.0f}",
        ]
        for row in result.rows
    ]
    columns = ["model", "engine", "KiB", "accuracy %", "drop", "agree %", "p50 ms", "faster", "load ms", "peak MiB"]
    metrics = result.trained.metrics
    title = (
        f"{metrics['model']}, {metrics['params']:,} parameters: every artifact passed its gate "
        f"({result.seconds:.0f} s in all)"
    )
    optional = ["peak MiB", "load ms", "agree %", "engine"]
    print_table(title, columns, rows, right=range(2, len(columns)), optional=optional)
    if not result.verdict.valid:
        print_line(f"The times are not to be relied on. {result.verdict.sentence()}")
    print_line(f"{result.photo}: {result.label} {100 * result.score:.1f}% (it is: {result.truth})")


def print_plan(plan: ExportPlan) -> None:
    """Print what an export would build."""
    rows = [[p.folder, p.target.format, p.target.precision, ", ".join(p.missing) or "nothing"] for p in plan.targets]
    print_table("Would be built", ["artifact", "format", "precision", "missing here"], rows, wraps=["missing here"])
