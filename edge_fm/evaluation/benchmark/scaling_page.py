"""The drawings of a scaling run: one for each thing that grows, with the ideal line or the roofline drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_fm.evaluation.benchmark.scaling import THREADS_BATCH, ceiling_of
from edge_fm.evaluation.page import COLOURS, drawn, figure, figures, heading, label_points, paragraph, together

if TYPE_CHECKING:
    from markupsafe import Markup

Points = Sequence[Mapping[str, Any]]
_IDEAL = {"color": "#888888", "linestyle": "--", "linewidth": 1.2}


def scaling_section(scaling: Mapping[str, Any] | None) -> Markup:
    """The part of the page about scaling, or nothing; takes what `measure_scaling` returns."""
    if scaling is None:
        return together()
    ceiling = ceiling_of(scaling)
    ceilings = (
        f"Ceilings of this machine, measured in the same run with {ceiling['threads']} threads: "
        f"{ceiling['peak_gflops']:.0f} GFLOP/s (fp32 matrix product of ONNX Runtime), "
        f"{ceiling['bandwidth_gbs']:.1f} GB/s (copying). Eight-bit arithmetic may pass the fp32 ceiling."
    )
    drawings = (
        _latency_by_batch(scaling["batch"], ceiling),
        _throughput_by_batch(scaling["batch"], ceiling),
        _by_threads(scaling["threads"]),
        _by_image_size(scaling["image_size"]),
        _by_model_size(scaling["model_size"], ceiling),
        _roofline(scaling, ceiling),
    )
    seen = "; ".join(scaling["conditions"]["reasons"])
    warning = paragraph(f"These figures are not to be relied on: {seen}.", kind="bad") if seen else None
    return together(heading("Scaling"), warning, paragraph(ceilings, kind="dim"), figures(*drawings))


def _latency_by_batch(points: Points, ceiling: Mapping[str, Any]) -> Markup | None:
    if not points:
        return None
    with _curves(points, "batch", "p50_ms") as (drawing, axes):
        first = min(points, key=lambda p: (p["batch"], p["p50_ms"]))
        sizes = sorted({p["batch"] for p in points})
        alone = [first["p50_ms"] * n / first["batch"] for n in sizes]
        axes.plot(sizes, alone, **_IDEAL, label="one image at a time")
        if first["macs"]:
            roof = [2.0 * first["macs"] * n / ceiling["peak_gflops"] / 1e6 for n in sizes]
            axes.plot(sizes, roof, **{**_IDEAL, "linestyle": ":"}, label="compute roof (fp32)")
        axes.set_xticks(sizes, [str(n) for n in sizes])
        _legend(axes)
        axes.set(xlabel="batch size", ylabel="latency of a batch, ms (log)")
        return figure(
            drawing, "Latency by batch. Below the dashed line, a batch is cheaper than its images one by one."
        )


def _throughput_by_batch(points: Points, ceiling: Mapping[str, Any]) -> Markup | None:
    if not points:
        return None
    with _curves(points, "batch", "throughput_ips") as (drawing, axes):
        macs = points[0]["macs"]
        sizes = sorted({p["batch"] for p in points})
        if macs:
            roof = 1e9 * ceiling["peak_gflops"] / (2.0 * macs)
            axes.axhline(roof, **_IDEAL, label="compute roof (fp32)")
        axes.set_xticks(sizes, [str(n) for n in sizes])
        _legend(axes)
        axes.set(xlabel="batch size", ylabel="images a second (log)")
        return figure(drawing, "Throughput by batch, one caller, under the roof that the matrix product sets.")


def _by_threads(points: Points) -> Markup | None:
    selected = [p for p in points if p["batch"] == THREADS_BATCH]
    counts = sorted({p["threads"] for p in selected})
    if len(counts) < 2:
        return None
    with drawn(4.2) as (drawing, axes):
        for colour, name, series in _series(selected):
            one = next(p["p50_ms"] for p in series if p["threads"] == counts[0])
            gains = [one / p["p50_ms"] for p in series]
            axes.plot([p["threads"] for p in series], gains, "o-", ms=3, color=colour, label=name)
        axes.plot(counts, [n / counts[0] for n in counts], **_IDEAL, label="ideal")
        axes.set_xticks(counts, [str(n) for n in counts])
        _legend(axes)
        axes.set(xlabel="threads", ylabel="times faster than with one")
        return figure(drawing, f"Speed-up by threads at batch {THREADS_BATCH}; the dashed line is perfect sharing.")


def _by_image_size(points: Points) -> Markup | None:
    if not points:
        return None
    with _curves(points, "side", "p50_ms") as (drawing, axes):
        first = min(points, key=lambda p: (p["side"], p["p50_ms"]))
        mates = sorted((p for p in points if p["engine"] == first["engine"]), key=lambda p: p["side"])
        ideal = [first["p50_ms"] * (p["side"] / first["side"]) ** 2 for p in mates]
        axes.plot([p["side"] for p in mates], ideal, **_IDEAL, label="as the pixels grow")
        axes.set_xticks([p["side"] for p in mates], [str(p["side"]) for p in mates])
        _legend(axes)
        axes.set(xlabel="side of the image, pixels", ylabel="latency, ms (log)")
        return figure(drawing, f"Latency by image size, batch 1, {points[0]['model']} with fresh weights.")


def _by_model_size(points: Points, ceiling: Mapping[str, Any]) -> Markup | None:
    known = [p for p in points if p["macs"]]
    if not known:
        return None
    with drawn(4.2) as (drawing, axes):
        axes.set_xscale("log")
        axes.set_yscale("log")
        by_engine = sorted(known, key=lambda p: p["macs"])
        named: list[tuple[float, float, str]] = []
        for i, engine in enumerate(dict.fromkeys(p["engine"] for p in by_engine)):
            series = [p for p in by_engine if p["engine"] == engine]
            millions = [p["macs"] / 1e6 for p in series]
            axes.plot(millions, [p["p50_ms"] for p in series], "o-", ms=3, color=COLOURS[i], label=engine)
            if i == 0:
                named = [(x, p["p50_ms"], p["model"]) for p, x in zip(series, millions, strict=True)]
                roof = [2.0 * p["macs"] / ceiling["peak_gflops"] / 1e6 for p in series]
                axes.plot(millions, roof, **_IDEAL, label="compute roof (fp32)")
        axes.margins(x=0.12, y=0.12)
        label_points(axes, named)
        _legend(axes)
        axes.set(xlabel="multiply-adds of an image, millions (log)", ylabel="latency, ms (log)")
        return figure(
            drawing, "Latency by model size, batch 1, fresh weights; the dashed line is the arithmetic alone."
        )


def _roofline(scaling: Mapping[str, Any], ceiling: Mapping[str, Any]) -> Markup | None:
    """Attained arithmetic against operations for each byte of weights and pixels, under both ceilings."""
    points = [p for p in [*scaling["batch"], *scaling["model_size"]] if p["gflops"] and p["parameters"]]
    if not points:
        return None
    with drawn(4.2) as (drawing, axes):
        axes.set_xscale("log")
        axes.set_yscale("log")
        shades = dict(zip(dict.fromkeys(p["engine"] for p in points), COLOURS, strict=False))
        for engine, colour in shades.items():
            mine = [p for p in points if p["engine"] == engine]
            axes.plot([_intensity(p) for p in mine], [p["gflops"] for p in mine], "o", ms=4, color=colour, label=engine)
        low, high = min(map(_intensity, points)) / 4, max(map(_intensity, points)) * 2
        ridge = ceiling["peak_gflops"] / ceiling["bandwidth_gbs"]
        corners = [min(low, ridge / 4), ridge, max(high, ridge * 2)]
        roof = [min(ceiling["peak_gflops"], x * ceiling["bandwidth_gbs"]) for x in corners]
        axes.plot(corners, roof, color="#888888", linewidth=1.4, label="roofline")
        _legend(axes)
        axes.set(xlabel="operations for each byte of weights and pixels (log)", ylabel="GFLOP/s (log)")
        caption = (
            "Roofline: what was attained under what the machine can do. Bytes are the least that must move: weights "
            "once for a batch, and the pixels; what layers hand to each other may stay in the caches."
        )
        return figure(drawing, caption)


def _intensity(point: Mapping[str, Any]) -> float:
    width = {"int8": 1, "fp16": 2, "bf16": 2}.get(point["precision"], 4)
    moved = width * point["parameters"] + point["batch"] * point["pixel_bytes"]
    return float(2.0 * point["macs"] * point["batch"] / moved)


@contextmanager
def _curves(points: Points, x: str, y: str) -> Iterator[tuple[Any, Any]]:
    """A drawing with a line for each model and engine, both axes logarithmic."""
    with drawn(4.2) as (drawing, axes):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        for colour, name, series in _series(points):
            axes.plot([p[x] for p in series], [p[y] for p in series], "o-", ms=3, color=colour, label=name)
        yield drawing, axes


def _series(points: Points) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
    """Colour, name and points of each line."""
    keys = list(dict.fromkeys((p["model"], p["engine"]) for p in points))
    alone = len({model for model, _ in keys}) == 1
    return [
        (COLOURS[i % len(COLOURS)], engine if alone else model, [p for p in points if (p["model"], p["engine"]) == key])
        for i, key in enumerate(keys)
        for model, engine in (key,)
    ]


def _legend(axes: Any) -> None:
    axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.45, -0.17))
