"""The wrong predictions that a model is most confident of, and where in the image it saw the predicted class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation import page
from edge_fm.evaluation import report_parts as parts
from edge_fm.evaluation.metrics import WrongPrediction
from edge_fm.evaluation.plot_labels import short_label
from edge_fm.evaluation.plots import plot_samples
from edge_fm_runtime.photos.heatmap import draw_heatmap

if TYPE_CHECKING:
    from markupsafe import Markup

    from edge_fm_runtime.engines import Engine

_CAM = "cam"


def heatmaps_of(
    worst: Sequence[WrongPrediction],
    images: npt.NDArray[np.uint8],
    labels: Sequence[str],
    *,
    engine: Engine,
    outputs: Sequence[str],
    model: Any = None,
) -> npt.NDArray[np.float32] | None:
    """Where the model saw the classes that it predicted wrongly.

    Args:
        worst: the wrong predictions.
        images: uint8 `[N,H,W,C]` of the evaluation.
        labels: names of the classes.
        engine: runs the artifact.
        outputs: names of what the artifact returns beside the probabilities.
        model: the Keras model in place of an artifact; its maps are computed where its head allows them.

    Returns:
        float32 `[len(worst),h,w]`; None where there are none.
    """
    if not worst:
        return None
    shown = np.asarray(images[[one.index for one in worst]])
    maps: npt.NDArray[np.float32]
    if model is not None:
        computed = _maps_of_model(model, shown)
        if computed is None:
            return None
        maps = computed
    elif _CAM in outputs:
        maps = engine.predict_outputs(shown)[_CAM]
    else:
        return None
    places = [labels.index(one.predicted) for one in worst]
    return np.stack([maps[i, ..., place] for i, place in enumerate(places)]).astype(np.float32)


def _maps_of_model(model: Any, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32] | None:
    """Class activation maps `[N,h,w,classes]` of a Keras model; None where its head has none."""
    from edge_fm_export.outputs.extra import extra_outputs
    from edge_fm_runtime.errors import ModelError

    try:
        extra = extra_outputs(model, [_CAM])
    except ModelError:
        return None
    return np.asarray(extra.model(images, training=False)[_CAM], np.float32)


def worst_section(
    folder: Path,
    worst: Sequence[Mapping[str, Any]],
    images: npt.NDArray[np.uint8],
    heatmaps: npt.NDArray[np.float32] | None,
) -> Markup | None:
    """The section of the page; None where no prediction is wrong.

    Args:
        folder: where worst.png goes, and worst-heatmaps.png where there are heat maps.
        worst: as `edgefm evaluate --json` prints them.
        images: uint8 `[N,H,W,1 or 3]` of the evaluation.
        heatmaps: float32 `[len(worst),h,w]` of the predicted classes, or None.
    """
    if not worst:
        return None
    shown = np.asarray(images[[one["index"] for one in worst]])
    titles = [
        f"{short_label(w['answered'], 18)} {100 * w['score']:.0f}%\nis {short_label(w['true'], 13)} ({w['index']})"
        for w in worst
    ]
    plot_samples(shown, titles, folder / "worst.png")
    captions = [parts.prediction(one["answered"], one["score"], one["true"]) for one in worst]
    files = [one["file"] or f"image {one['index']:,}" for one in worst]
    alts = [f"Image {one['index']}, a {one['true']}" for one in worst]
    body = [
        page.paragraph("A label may be wrong here, too."),
        parts.thumbs(shown, captions, alts=alts, files=files),
    ]
    if heatmaps is not None:
        drawn = np.stack([draw_heatmap(image, heat) for image, heat in zip(shown, heatmaps, strict=True)])
        plot_samples(drawn, titles, folder / "worst-heatmaps.png")
        alts = [f"Where the model saw a {one['answered']} in image {one['index']}" for one in worst]
        text = (
            "Where the model saw the class that it predicted: the class activation map of the same images, from little "
            "(dark) to much (bright). What speaks against the class is left as it is."
        )
        body += [page.paragraph(text), parts.thumbs(drawn, captions, alts=alts, files=files)]
    return page.together(*body)
