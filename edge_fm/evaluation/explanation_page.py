"""A page for each explained int8 artifact: the error of every layer, and what leaving layers in float brings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.evaluation import page
from edge_fm_runtime.system.atomic_write import replacing, write_utf8

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from edge_fm_export.quantization.explanation.explanation import Explanation
    from edge_fm_export.results import ExportReport

_ERRORS = (
    "Error is the mean total variation distance of the probabilities from the float model's, in percent, when this "
    "layer alone is at int8; share is its part of the sum of all layers. Weights and output: the error of each alone, "
    "for the ten worst layers. The outlier channel decides the range of the layer's output; in brackets, how many "
    "times larger it is than the median channel."
)
_DRAWN = 20


def write_explanations(report: ExportReport, folder: Path) -> list[Path]:
    """Write `<folder>/<artifact>-explanation.html` for each explained artifact, written or failed.

    Raises:
        MissingDependencyError: Jinja2 or Matplotlib is not installed.
    """
    files = []
    for name, explanation in report.explanations.items():
        file = folder / f"{name}-explanation.html"
        text = _page(name, explanation)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            write_utf8(temporary, text)
        files.append(file)
    return files


def _page(name: str, explanation: Explanation) -> str:
    from edge_fm_export.quantization.explanation.tables import TRIAL_COLUMNS, columns_of, layer_rows, trial_rows

    built, columns = explanation.trials[0], columns_of(explanation)
    return page.document(
        f"{name}: int8 explained",
        page.heading(f"{name}: int8 explained", 1),
        page.paragraph(" ".join(filter(None, (explanation.cause, explanation.advice))), kind="lead"),
        page.tiles(
            {
                "drop, points": f"{built.drop_points:.2f}",
                "allowed": f"{explanation.limit_points:g}",
                "by calibration alone": f"{explanation.plain_drop_points:.2f}",
                "bytes": f"{built.bytes:,}",
            }
        ),
        page.paragraph(
            f"Drops are estimated on {explanation.images:,} images {explanation.image_set}. Beside calibration: "
            f"{', '.join(explanation.measures) or 'nothing'}.",
            kind="dim",
        ),
        page.heading("Layers"),
        page.figure(_drawing(explanation), "Error of each layer alone at int8, in percent", kind="middle"),
        page.table(columns, layer_rows(explanation, columns)),
        page.paragraph(_ERRORS, kind="dim"),
        page.heading("Layers in float"),
        page.table(TRIAL_COLUMNS, trial_rows(explanation)),
        _names(explanation),
        page.paragraph("Written by edgefm export --explain. All of this page is inside this file.", kind="dim"),
    )


def _names(explanation: Explanation) -> Markup | None:
    most = max(explanation.trials, key=lambda trial: len(trial.layers)).layers
    return page.paragraph(f"The worst first: {', '.join(most)}.") if most else None


def _drawing(explanation: Explanation) -> Figure:
    worst = explanation.layers[:_DRAWN]
    with page.drawn(height=0.9 + 0.24 * len(worst), width=6.4) as (drawing, axes):
        places = range(len(worst))
        axes.barh(places, [100 * layer.error for layer in worst], color=page.COLOURS[0])
        axes.set_yticks(places, [layer.layer for layer in worst])
        axes.invert_yaxis()
        axes.set_xlabel("error, %")
        axes.grid(visible=False, axis="y")
        return drawing


def unexplained(report: ExportReport) -> list[str]:
    """One sentence for each int8 artifact that was built and has no explanation, or that none was requested."""
    requested = [*(result.target for result in report.results), *(failure.target for failure in report.failures)]
    if all(target.precision != "int8" for target in requested):
        return ["Note: --explain explains int8, which was not requested; add --precision int8."]
    built = [(r.target, r.explanation) for r in report.results]
    built += [(f.target, f.explanation) for f in report.failures if f.bytes is not None]
    return [
        f"Note on {target}: there is no explanation {_why_none(target.format)}."
        for target, explanation in built
        if target.precision == "int8" and explanation is None
    ]


def _why_none(format_: str) -> str:
    if format_ == "tflm":
        return "for tflm; --format litert explains the same quantization"
    if format_ == "litert":
        return "of this model for litert, whose int8 graph is not that of its floats; there is for onnx and openvino"
    return "of what accuracy control made; leave out --accuracy-control"
