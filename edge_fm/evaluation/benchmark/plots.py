"""Drawings of a benchmark; each takes what `edgefm benchmark --json` prints and gives a piece of a page, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_fm.evaluation.benchmark.recommendation import pareto_front
from edge_fm.evaluation.page import COLOURS, drawn, figure, label_points

if TYPE_CHECKING:
    from markupsafe import Markup

Report = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]

_ENGINE_COLOURS = {
    "onnxruntime": COLOURS[0],
    "openvino": COLOURS[1],
    "litert": COLOURS[2],
    "savedmodel": COLOURS[3],
    "tflite-micro": COLOURS[4],
    "keras": COLOURS[5],
    "keras-predict": COLOURS[5],
}
_MARKERS = {"fp32": "o", "fp16": "s", "int8": "^"}


def rows_of(report: Report, *kinds: str, batch: int | None = None) -> list[Mapping[str, Any]]:
    """Rows of the kinds, at one batch size (the least one unless given)."""
    rows = [row for row in report["rows"] if row["kind"] in kinds]
    selected = min((row["batch"] for row in rows), default=1) if batch is None else batch
    return [row for row in rows if row["batch"] == selected]


def accuracy_against_latency(report: Report) -> Markup | None:
    """Every artifact and the original; the front of those that none beats in both is drawn through."""
    rows = [r for r in rows_of(report, "artifact", "reference") if _accuracy(r, report) is not None]
    if len(rows) < 2:
        return None
    points = [(r["p50_ms"], 100 * (_accuracy(r, report) or 0.0)) for r in rows]
    front = pareto_front(points)
    with drawn(4.2) as (drawing, axes):
        axes.set_xscale("log")
        steps = [points[i] for i in front]
        axes.step([x for x, _ in steps], [y for _, y in steps], where="post", color="#999999", linewidth=1.2, zorder=1)
        seen: set[str] = set()
        for i, (row, (x, y)) in enumerate(zip(rows, points, strict=True)):
            colour = _ENGINE_COLOURS.get(row["engine"], COLOURS[6])
            marker = _MARKERS.get(str(row.get("stored_precision")), "D")
            axes.scatter([x], [y], color=colour, marker=marker, s=64 if i in front else 34, zorder=3)
            seen |= {row["engine"]}
        from matplotlib.lines import Line2D

        engines = [
            Line2D([], [], color=_ENGINE_COLOURS.get(e, COLOURS[6]), marker="o", linestyle="", label=e)
            for e in sorted(seen)
        ]
        kinds = [
            Line2D([], [], color="#999999", marker=m, linestyle="", label=p)
            for p, m in _MARKERS.items()
            if any(r.get("stored_precision") == p for r in rows)
        ]
        line = [Line2D([], [], color="#999999", label="Pareto front")]
        handles = [*engines, *kinds, *line]
        axes.legend(handles=handles, fontsize=7.5, ncols=4, loc="upper center", bbox_to_anchor=(0.45, -0.17))
        axes.margins(x=0.16, y=0.2)
        label_points(axes, [(*points[i], rows[i]["model"]) for i in front])
        axes.set(xlabel="median latency, ms (log)", ylabel="accuracy, %")
        return figure(
            drawing,
            "Accuracy against latency. Up and left is better; larger points are on the Pareto front: "
            "no other is both faster and more accurate.",
        )


def latency_distributions(report: Report) -> Markup | None:
    """Median, the middle half, p1 to p99 and the longest call of every row."""
    rows = rows_of(report, "artifact", "reference")
    if not rows:
        return None
    rows = sorted(rows, key=lambda r: -r["p50_ms"])
    with drawn(0.9 + 0.26 * len(rows)) as (drawing, axes):
        axes.set_xscale("log")
        for y, row in enumerate(rows):
            at = dict((q, v) for q, v in row["quantiles_ms"])
            colour = _ENGINE_COLOURS.get(row["engine"], COLOURS[6])
            axes.plot([at[0], at[100]], [y, y], color=colour, linewidth=0.8, alpha=0.5)
            axes.plot([at[2], at[99]], [y, y], color=colour, linewidth=2.4, alpha=0.7)
            axes.plot([at[24], at[76]], [y, y], color=colour, linewidth=7, solid_capstyle="butt")
            axes.plot([at[50]], [y], marker="|", color="white", markersize=7, markeredgewidth=1.6)
        axes.set_yticks(range(len(rows)), [_short(r) for r in rows], fontsize=7.5)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="latency of a call, ms (log)")
        return figure(
            drawing,
            "Latency distributions. White mark: median; thick: the middle half; medium: p2 to p99; thin: all calls, "
            "none removed.",
        )


def cold_start(report: Report) -> Markup | None:
    """Loading and the first inference, stacked."""
    rows = [r for r in rows_of(report, "artifact", "reference") if r["load_ms"] is not None]
    if not rows:
        return None
    rows = sorted(rows, key=lambda r: -(r["load_ms"] + r["first_ms"]))
    with drawn(0.9 + 0.26 * len(rows)) as (drawing, axes):
        places = range(len(rows))
        load, first = [r["load_ms"] for r in rows], [r["first_ms"] for r in rows]
        axes.barh(places, load, color=COLOURS[0], label="load", height=0.62)
        axes.barh(places, first, left=load, color=COLOURS[1], label="first inference", height=0.62)
        for y, (a, b) in enumerate(zip(load, first, strict=True)):
            axes.annotate(
                f"{a + b:,.0f}", (a + b, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7.5
            )
        axes.set_yticks(places, [_short(r) for r in rows], fontsize=7.5)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="ms, in a fresh process")
        axes.margins(x=0.12)
        axes.legend(fontsize=7.5, loc="best")
        return figure(drawing, "Cold start: importing the library, loading and compiling the model, predicting once.")


def memory(report: Report) -> Markup | None:
    """Peak resident memory of each engine in a process of its own."""
    rows = [r for r in rows_of(report, "artifact", "reference") if r["peak_rss_mib"] is not None]
    return _bars(
        rows,
        [r["peak_rss_mib"] for r in rows],
        "MiB",
        "Peak memory of a process that loads the model and predicts once (VmHWM).",
    )


def throughput(report: Report) -> Markup | None:
    """Images a second by batch size, one caller, and with several batches at once."""
    rows = [r for r in report["rows"] if r["kind"] in ("artifact", "reference")]
    sizes = sorted({r["batch"] for r in rows})
    if not rows:
        return None
    if len(sizes) == 1:
        selected = [r for r in rows if r["streams_throughput_ips"] is not None]
        caption = "Throughput with several batches at once, images a second."
        return _bars(
            selected, [r["streams_throughput_ips"] for r in selected], "images a second (log)", caption, log=True
        )
    names = list(dict.fromkeys((r["model"], r["engine"]) for r in rows))
    with drawn(3.4 + 0.11 * len(names)) as (drawing, axes):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        for i, (model, engine) in enumerate(names):
            series = sorted((r for r in rows if (r["model"], r["engine"]) == (model, engine)), key=lambda r: r["batch"])
            best = [max(r["throughput_ips"], r["streams_throughput_ips"] or 0) for r in series]
            colour = _ENGINE_COLOURS.get(engine, COLOURS[i % len(COLOURS)])
            style = {"fp16": "--", "int8": ":"}.get(str(series[0].get("stored_precision")), "-")
            label = _short(series[0])
            axes.plot([r["batch"] for r in series], best, style, marker="o", markersize=3, color=colour, label=label)
        axes.set_xticks(sizes, [str(s) for s in sizes])
        axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.17))
        axes.set(xlabel="batch size", ylabel="images a second (log)")
        return figure(drawing, "Throughput by batch size: the better of one caller and several batches at once.")


def accuracy_drop(report: Report) -> Markup | None:
    """Accuracy lost at export, with the interval that the gate recorded."""
    rows = [r for r in rows_of(report, "artifact") if r.get("drop_points") is not None]
    if not rows:
        return None
    with drawn(0.9 + 0.26 * len(rows)) as (drawing, axes):
        for y, row in enumerate(rows):
            colour = _ENGINE_COLOURS.get(row["engine"], COLOURS[6])
            if row.get("drop_ci95"):
                axes.plot(row["drop_ci95"], [y, y], color=colour, linewidth=2, alpha=0.55)
            axes.plot([row["drop_points"]], [y], "o", color=colour, markersize=5)
        axes.axvline(0, color="#999999", linewidth=1)
        axes.set_yticks(range(len(rows)), [_short(r) for r in rows], fontsize=7.5)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel="accuracy lost, points (left of 0: gained)")
        return figure(drawing, "Accuracy lost at export, with the 95% interval that the gate recorded.")


def _bars(rows: Rows, values: Sequence[float], unit: str, caption: str, *, log: bool = False) -> Markup | None:
    if not rows:
        return None
    order = sorted(range(len(rows)), key=lambda i: -values[i])
    with drawn(0.9 + 0.26 * len(rows)) as (drawing, axes):
        for y, i in enumerate(order):
            colour = _ENGINE_COLOURS.get(rows[i]["engine"], COLOURS[6])
            if log:  # a bar's length means nothing on an axis without a zero
                axes.plot([values[i]], [y], "o", color=colour, markersize=6)
            else:
                axes.barh([y], [values[i]], color=colour, height=0.62)
            axes.annotate(
                f"{values[i]:,.0f}",
                (values[i], y),
                xytext=(7 if log else 4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
            )
        if log:
            axes.set_xscale("log")
            axes.grid(axis="x", which="both")
        axes.margins(x=0.14)
        axes.set_yticks(range(len(rows)), [_short(rows[i]) for i in order], fontsize=7.5)
        axes.grid(axis="y", visible=False)
        axes.set(xlabel=unit)
        return figure(drawing, caption)


def _accuracy(row: Mapping[str, Any], report: Report) -> float | None:
    """Of an artifact, its own; of the original, what the gates held the artifacts against."""
    if row.get("accuracy") is not None:
        return float(row["accuracy"])
    if row["kind"] != "reference":
        return None
    known = [r["accuracy_reference"] for r in report["rows"] if r.get("accuracy_reference") is not None]
    return float(known[0]) if known else None


def _short(row: Mapping[str, Any]) -> str:
    name = str(row["model"])
    # "x-onnx-fp32" names its engine already; the same file on another engine does not.
    formats = {
        **{name: f"-{name}-" for name in ("openvino", "litert", "savedmodel", "web")},
        "onnxruntime": "-onnx-",
        "tflite-micro": "-tflm-",
    }
    named = row["kind"] != "artifact" or formats.get(row["engine"], "\n") in name
    return name if named else f"{name} ({row['engine']})"
