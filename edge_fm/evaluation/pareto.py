"""Accuracy against what it costs: the family's models, and what others published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.evaluation.plots import new_figure
from edge_fm.models.records import Published, Record
from edge_fm.models.table import MODELS
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.atomic_write import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _THEIRS = "#4477aa", "#cc6677"
_AXES = {
    "parameters": "parameters",
    "macs": "multiply-accumulates an image",
    "int8_bytes": "bytes of the int8 ONNX file",
    "p50_s": "int8, ONNX Runtime, one image, seconds (median)",
}


def family_points(records: Mapping[str, Record]) -> dict[str, dict[str, tuple[float, float]]]:
    """Axis -> model -> cost and accuracy in percent; on the int8 axes the accuracy is that of int8."""
    points: dict[str, dict[str, tuple[float, float]]] = {axis: {} for axis in _AXES}
    for name, record in records.items():
        points["parameters"][name] = MODELS[name].params, 100 * record.accuracy
        points["macs"][name] = MODELS[name].macs, 100 * record.accuracy
        int8 = record.exported("onnx", "int8")
        if int8 is not None:
            points["int8_bytes"][name] = int8.bytes, 100 * int8.accuracy
            points["p50_s"][name] = int8.p50_ms / 1000, 100 * int8.accuracy
    return points


def plot_pareto(records: Mapping[str, Record], published: Sequence[Published], path: Path) -> Path:
    """Draw accuracy against parameters, multiply-accumulates, int8 bytes and latency.

    Args:
        records: model -> record.
        published: others' points; drawn where their cost is known, sources below.
        path: PNG, SVG or PDF, by its ending.

    Raises:
        DataError: there is no record.
        MissingDependencyError: matplotlib is not installed.
    """
    if not records:
        raise DataError("No model has a record yet.", hint="Make one: python tools/record_family.py edgenet-n")
    figure = new_figure(11, 8)
    for axes, (axis, points) in zip(figure.subplots(2, 2).flat, family_points(records).items(), strict=True):
        _draw(axes, points, _AXES[axis])
        for number, point in enumerate(published, start=1):
            cost = {"parameters": point.params, "macs": point.macs}.get(axis)
            if cost is not None:
                _mark(axes, cost, 100 * point.accuracy, str(number), _THEIRS, "s")
    sources = [f"{i}: {p.name}, {100 * p.accuracy:.2f}%, {p.source}" for i, p in enumerate(published, start=1)]
    machine = next(iter(records.values())).machine.get("latency", "")
    figure.supxlabel("\n".join([*sources, f"Latency on {machine}"]), fontsize=8)
    figure.suptitle("Fashion-MNIST, 10,000 test images: median of the seeds", fontsize=11)
    with writing(path):
        figure.savefig(path)
    return path


def _draw(axes: Axes, points: Mapping[str, tuple[float, float]], label: str) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    line = sorted(points.values())
    axes.plot([cost for cost, _ in line], [accuracy for _, accuracy in line], color=_OURS, linewidth=1)
    for name, (cost, accuracy) in points.items():
        _mark(axes, cost, accuracy, name, _OURS, "o")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=8)
    axes.set_xlabel(label)
    axes.set_ylabel("accuracy, %")
    axes.margins(x=0.28, y=0.18)  # Names stand right of their points, within the frame.
    axes.grid(alpha=0.3)


def _mark(axes: Axes, cost: float, accuracy: float, name: str, colour: str, shape: str) -> None:
    axes.plot([cost], [accuracy], shape, color=colour)
    # Ours below their points, others above: they lie close together.
    offset = (5, -11) if shape == "o" else (4, 5)
    axes.annotate(name, (cost, accuracy), xytext=offset, textcoords="offset points", fontsize=8, color=colour)
