"""The part of an evaluation's page that shows the labels to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation import page
from edge_fm.evaluation import report_parts as parts

if TYPE_CHECKING:
    from markupsafe import Markup


def label_section(suspects: Sequence[Mapping[str, Any]], images: npt.NDArray[np.uint8]) -> Markup | None:
    """Images whose labels may be wrong, with what the model says instead; None where there are none.

    Args:
        suspects: `label_suspects` of the evaluation.
        images: uint8 `[N,H,W,1 or 3]`, all that were evaluated.
    """
    if not suspects:
        return None
    return page.together(
        page.paragraph(
            "Here the model is as sure of another class as of that class's own images: it or the label is wrong. "
            "Where it learned from these images, it may repeat wrong labels instead."
        ),
        parts.thumbs(
            images[[one["index"] for one in suspects]],
            [parts.prediction(one["predicted"], one["score"], one["label"]) for one in suspects],
            alts=[f"Image {one['index']}, labelled {one['label']}" for one in suspects],
            files=[one["file"] or f"image {one['index']:,}" for one in suspects],
        ),
    )
