"""One self-contained page about a run or an artifact: figures and images, no network, prints well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation import page
from edge_fm.evaluation import report_parts as parts
from edge_fm.evaluation.feature_maps import draw_feature_maps, map_size, plot_feature_maps
from edge_fm.evaluation.label_section import label_section
from edge_fm.evaluation.plot_labels import short_label
from edge_fm.evaluation.plots import (
    draw_curves,
    draw_reliability,
    plot_confusion,
    plot_curves,
    plot_reliability,
    plot_samples,
)
from edge_fm.evaluation.worst_section import worst_section
from edge_fm_runtime.system.atomic_write import replacing, write_utf8
from edge_fm_runtime.system.json_text import dump_json

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

_PAIRS, _EXAMPLES, _SAMPLES = 5, 12, 24


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What the page shows, beside the figures.

    Attributes:
        images: uint8 `[N,H,W,C]`, in order.
        truth: int64 `[N]`, positions in `labels`.
        probabilities: float32 `[N,classes]`.
        labels: names of the classes.
        history: of a run, for its learning curves; see `plot_curves`.
        training: of a run: its metrics.json, and whatever else is known of the training; empty where nothing is.
        layer: whose feature maps these are, or empty.
        maps: float32 `[n,h,w,channels]`: the feature maps of the first n of `map_images`, or None.
        map_images: uint8 `[n,H,W,C]`.
        files: the file of each image, or empty.
        heatmaps: float32 `[n,h,w]`: where the model saw the class, of each of the result's `worst`, or None.
    """

    images: npt.NDArray[np.uint8]
    truth: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]
    labels: Sequence[str]
    history: Sequence[Mapping[str, float]] = ()
    training: Mapping[str, Any] | None = None
    layer: str = ""
    maps: npt.NDArray[np.float32] | None = None
    map_images: npt.NDArray[np.uint8] | None = None
    files: Sequence[str] = ()
    heatmaps: npt.NDArray[np.float32] | None = None


def write_report(folder: Path, result: Mapping[str, Any], evaluated: Evaluated) -> Path:
    """Write evaluation.json, the plots as PNG, and report.html with everything inside.

    Args:
        folder: made where it is missing.
        result: what `edgefm evaluate --json` prints.
        evaluated: images, predictions, and what is known of the training.

    Returns:
        the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / "evaluation.json"
    with replacing(stored) as temporary:
        write_utf8(temporary, dump_json(result))
    sections = {
        "Training": _training(folder, evaluated),
        "Classes": parts.class_table(result["per_class"]),
        "Confusion matrix": _confusion(folder, result, evaluated),
        "Most confused": _confused(result, evaluated),
        "Calibration": _calibration(folder, result),
        "Sample predictions": _samples(folder, evaluated),
        "Wrong and most confident": worst_section(folder, result["worst"], evaluated.images, evaluated.heatmaps)
        if _can_show(evaluated)
        else None,
        "Labels to check": label_section(result["label_suspects"], evaluated.images) if _can_show(evaluated) else None,
        "Feature maps": _feature_maps(folder, evaluated),
        "Time": _time(result, evaluated),
        "Provenance": _provenance(result, evaluated),
    }
    file = folder / "report.html"
    with replacing(file) as temporary:
        write_utf8(temporary, _page(result, {title: body for title, body in sections.items() if body}))
    return file


def _page(result: Mapping[str, Any], sections: Mapping[str, Markup]) -> str:
    figures = {
        "accuracy": parts.percent(result["accuracy"]),
        "95% interval": "{:.1f}–{:.1f}%".format(*(100 * end for end in result["accuracy_ci95"])),
        "balanced accuracy": parts.percent(result["balanced_accuracy"]),
        "mean F1 of the classes": parts.percent(result["macro_f1"]),
        "loss (cross-entropy)": f"{result['loss']:.4f}",
        "calibration error": parts.percent(result["calibration_error"]),
        "images": f"{result['n']:,}",
    }
    if "inference" in result:
        figures["an image, in batches"] = f"{result['inference']['ms_per_image']:.3g} ms"
    by = f"{result['engine']} on {result['device']} at {result['precision']}"
    return page.document(
        f"{result['model']}: {figures['accuracy']}",
        page.heading(result["model"], 1),
        page.paragraph(f"{result['data']} ({result['split']} images), predicted by {by}", kind="dim"),
        page.paragraph(parts.summary(result), kind="lead"),
        page.tiles(figures),
        page.part("contents", {parts.anchor(title): title for title in sections}),
        *(parts.section(title, body) for title, body in sections.items()),
        page.paragraph("Written by edgefm evaluate --report. All of this page is inside this file.", kind="dim"),
    )


def _drawing(draw: Callable[[Figure], None], width: float, height: float, title: str, kind: str) -> Markup:
    """A drawing in the page's colours; `kind` is how wide it may be."""
    with page.drawn(height, width) as (figure, _):
        figure.clear()
        draw(figure)
        return page.figure(figure, title, kind=kind, shown=False)


def _training(folder: Path, evaluated: Evaluated) -> Markup | None:
    history = evaluated.history
    if not history:
        return None
    kept = (evaluated.training or {}).get("best_epoch")
    plot_curves(history, folder / "curves.png", kept=kept)
    epochs = "1 epoch" if len(history) == 1 else f"{len(history)} epochs"
    drawings = [
        _drawing(
            partial(draw_curves, history=history, keys=(key,), kept=kept),
            4.8,
            3.4,
            f"{key.capitalize()} over {epochs}, on training and on validation images",
            "curve",
        )
        for key in ("loss", "accuracy")
    ]
    return page.figures(*drawings)


def _confusion(folder: Path, result: Mapping[str, Any], evaluated: Evaluated) -> Markup | None:
    plot_confusion(result["confusion"], evaluated.labels, folder / "confusion.png")
    return parts.confusion_table(result["confusion"], evaluated.labels)


def _calibration(folder: Path, result: Mapping[str, Any]) -> Markup | None:
    plot_reliability(result["calibration"], folder / "calibration.png")
    drawing = _drawing(
        lambda figure: draw_reliability(figure, result["calibration"]),
        5.2,
        4.6,
        "Reliability diagram: how many predictions are right, by their confidence",
        "middle",
    )
    return page.together(parts.calibration_text(result), drawing)


def _confused(result: Mapping[str, Any], evaluated: Evaluated) -> Markup | None:
    """The most frequent mistakes, and images of each."""
    positions = {label: i for i, label in enumerate(evaluated.labels)}
    predicted = evaluated.probabilities.argmax(axis=1)
    support = {label: score["support"] for label, score in result["per_class"].items()}
    shown_pairs = []
    for pair in result["most_confused"][:_PAIRS]:
        true, other = positions[pair["true"]], positions[pair["answered"]]
        these = np.flatnonzero((evaluated.truth == true) & (predicted == other))
        scores = evaluated.probabilities[these, other]
        shown = these[np.argsort(-scores, kind="stable")][:_EXAMPLES]
        heading = f"{pair['true']} predicted as {pair['answered']}: {pair['count']:,} of {support[pair['true']]:,}"
        shown_pairs.append(page.heading(heading, 3))
        if _can_show(evaluated):
            captions = [f"{100 * evaluated.probabilities[i, other]:.0f}%" for i in shown]
            alts = [f"Image {i}, a {pair['true']}" for i in shown]
            files = _files(evaluated, shown)
            shown_pairs.append(parts.thumbs(evaluated.images[shown], captions, alts=alts, files=files, small=True))
    return page.together(*shown_pairs) or None


def _samples(folder: Path, evaluated: Evaluated) -> Markup | None:
    """Images drawn at random, with their predictions."""
    if not _can_show(evaluated):
        return None
    n = len(evaluated.images)
    drawn = np.sort(np.random.default_rng(0).permutation(n)[:_SAMPLES])
    predicted = evaluated.probabilities.argmax(axis=1)
    names = [(evaluated.labels[predicted[i]], evaluated.labels[evaluated.truth[i]]) for i in drawn]
    scores = [float(evaluated.probabilities[i].max()) for i in drawn]
    right = [one == other for one, other in names]
    titles = [
        f"{short_label(one, 18)} {100 * score:.0f}%" + ("" if one == other else f"\nis {short_label(other, 20)}")
        for (one, other), score in zip(names, scores, strict=True)
    ]
    plot_samples(evaluated.images[drawn], titles, folder / "samples.png", columns=6, right=right)
    captions = [parts.prediction(one, score, other) for (one, other), score in zip(names, scores, strict=True)]
    alts = [f"Image {i}, a {other}" for i, (_, other) in zip(drawn, names, strict=True)]
    files = _files(evaluated, drawn)
    text = page.paragraph(f"{len(drawn)} images, drawn at random.")
    return page.together(text, parts.thumbs(evaluated.images[drawn], captions, alts=alts, files=files))


def _files(evaluated: Evaluated, indices: npt.NDArray[np.intp]) -> list[str]:
    """The files of some images; empty where images are not files."""
    return [evaluated.files[int(i)] for i in indices] if evaluated.files else []


def _feature_maps(folder: Path, evaluated: Evaluated) -> Markup | None:
    if evaluated.maps is None or evaluated.map_images is None or not _can_show(evaluated):
        return None
    text = (
        f"What layer {evaluated.layer} makes of {len(evaluated.maps)} images: each of its {evaluated.maps.shape[-1]} "
        "channels from its lowest (dark) to its highest value (bright). Another layer: --layer NAME."
    )
    drawn = [page.paragraph(text)]
    for number, (image, maps) in enumerate(zip(evaluated.map_images, evaluated.maps, strict=True), start=1):
        plot_feature_maps(image, maps, folder / f"feature_maps-{number}.png")
        title = f"Feature maps of layer {evaluated.layer}, image {number}"
        width, height = map_size(maps.shape[-1])
        drawn.append(_drawing(partial(draw_feature_maps, image=image, maps=maps), width, height, title, "wide-plot"))
    return page.together(*drawn)


def _time(result: Mapping[str, Any], evaluated: Evaluated) -> Markup | None:
    training = evaluated.training or {}
    seconds = [row["seconds"] for row in evaluated.history if "seconds" in row]
    inference = result.get("inference")
    values = {
        "training": _duration(training["seconds"]) if training.get("seconds") is not None else None,
        "an epoch": f"{np.median(seconds):.1f} s (median of {len(seconds)})" if seconds else None,
        "inference": None
        if inference is None
        else f"{inference['ms_per_image']:.3g} ms an image, {inference['images_per_s']:,.0f} images/s, in batches of "
        f"{inference['batch']} on {inference['threads'] or 'all'} threads; the first batch is not counted",
    }
    if not any(values.values()):
        return None
    note = "Taken while evaluating; edgefm benchmark measures with care."
    return page.together(page.facts(values), page.paragraph(note, kind="dim") if inference else None)


def _provenance(result: Mapping[str, Any], evaluated: Evaluated) -> Markup:
    training = evaluated.training or {}
    versions = training.get("versions") or {}
    return page.facts(
        {
            "model": training.get("model"),
            "parameters": f"{training['params']:,}" if training.get("params") else None,
            "evaluated on": f"{result['data']} ({result['split']}), {result['n']:,} images",
            "trained on": (training.get("data") or {}).get("name"),
            "data, SHA-256": (training.get("data") or {}).get("hash"),
            "recipe, SHA-256": training.get("recipe_hash"),
            "seed": training.get("seed"),
            "epochs": f"{training['epochs']}, with the weights of epoch {training['best_epoch']}"
            if training.get("best_epoch")
            else training.get("epochs"),
            "versions": ", ".join(f"{name} {version}" for name, version in versions.items()) or None,
        }
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _can_show(evaluated: Evaluated) -> bool:
    return evaluated.images.shape[-1] in (1, 3)
