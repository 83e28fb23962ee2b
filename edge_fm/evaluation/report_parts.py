"""The parts of an evaluation's page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation import page

if TYPE_CHECKING:
    from markupsafe import Markup

_THUMB = 160
"""The longest side of an example image, in pixels; larger ones are made smaller."""


def percent(share: float, digits: int = 2) -> str:
    """A fraction in percent."""
    return f"{100 * share:.{digits}f}%"


def section(title: str, body: Markup) -> Markup:
    """A heading and what stands under it; the heading is where the page's list of contents leads."""
    return page.part("section", title, anchor(title), [body])


def anchor(title: str) -> str:
    """The name that a link to a section uses."""
    return title.lower().replace(" ", "-")


def class_table(per_class: Mapping[str, Mapping[str, float]]) -> Markup:
    """Precision, recall and F1 of each class, F1 as a bar too."""
    return page.part(
        "class_table",
        [
            {
                "label": label,
                **{key: percent(score[key]) for key in ("precision", "recall", "f1")},
                "share": f"{100 * score['f1']:.1f}",
                "support": f"{score['support']:,}",
            }
            for label, score in per_class.items()
        ],
    )


def confusion_table(confusion: Sequence[Sequence[int]], labels: Sequence[str]) -> Markup:
    """The confusion matrix as a table, in the page's own colours; shades are shares of the true class."""
    rows = []
    for counts in confusion:
        total = max(1, sum(counts))
        # The root shows small shares, too; a cell's number stays readable on its ground.
        rows.append([{"count": n or "", "shade": f"{60 * (n / total) ** 0.5:.0f}"} for n in counts])
    return page.part("confusion", labels, rows)


def thumbs(
    images: npt.NDArray[np.uint8],
    captions: Sequence[str],
    *,
    alts: Sequence[str],
    files: Sequence[str] = (),
    small: bool = False,
) -> Markup:
    """Images with a caption each.

    Args:
        images: uint8 `[N,H,W,C]` with C of 1 or 3.
        captions: one for each; text, or a part of the page.
        alts: text for each image.
        files: the file of each, shown below it; empty where there are none.
        small: more of them in a row.
    """
    items = [
        {"alt": alt, "caption": caption, "source": _data(_png(image)), "file": files[i] if files else ""}
        for i, (image, caption, alt) in enumerate(zip(images, captions, alts, strict=True))
    ]
    return page.part("thumbs", items, small)


def prediction(predicted: str, score: float, true: str) -> Markup:
    """What the model predicted for an image, and whether that is right: by a sign, not by colour alone."""
    return page.part("prediction", predicted, f"{100 * score:.0f}%", true)


def summary(result: Mapping[str, Any]) -> str:
    """The whole page in three sentences, plain text."""
    n, right = result["n"], round(result["accuracy"] * result["n"])
    low, high = result["accuracy_ci95"]
    sentences = [
        f"{right:,} of {n:,} images are predicted right: {percent(result['accuracy'])}, and with 95% certainty "
        f"{percent(low, 1)} to {percent(high, 1)} of all such images."
    ]
    seen = {label: score for label, score in result["per_class"].items() if score["support"]}
    if len(seen) > 1:
        hardest = min(seen, key=lambda label: seen[label]["f1"])
        easiest = max(seen, key=lambda label: seen[label]["f1"])
        if seen[hardest]["f1"] < seen[easiest]["f1"]:
            sentences.append(
                f"Hardest is {hardest} (F1 {percent(seen[hardest]['f1'], 1)}), easiest {easiest} "
                f"({percent(seen[easiest]['f1'], 1)})."
            )
    if result["most_confused"]:
        pair = result["most_confused"][0]
        sentences.append(
            f"The most frequent mistake is {pair['true']} predicted as {pair['answered']}, {pair['count']:,} "
            f"{'time' if pair['count'] == 1 else 'times'}."
        )
    return " ".join(sentences)


def calibration_text(result: Mapping[str, Any]) -> Markup:
    """What the reliability diagram shows."""
    full = [one for one in result["calibration"] if one["count"]]
    mean = sum(one["count"] * one["confidence"] for one in full) / sum(one["count"] for one in full)
    gap = mean - result["accuracy"]
    lean = "about as sure as it is right" if abs(gap) < 0.005 else "too sure" if gap > 0 else "not sure enough"
    return page.paragraph(
        f"The mean confidence is {percent(mean, 1)}, the accuracy {percent(result['accuracy'], 1)}: "
        f"the model is {lean}. The expected calibration error, the mean distance of the points from the dotted line, "
        f"is {percent(result['calibration_error'])}, the Brier score {result['brier']:.4f}.{_scores_text(result)}"
    )


def _scores_text(result: Mapping[str, Any]) -> str:
    """What the model's temperature and threshold do; empty where it has none."""
    scores = result.get("scores") or {}
    before, rejection, text = scores.get("before"), scores.get("rejection"), ""
    if before is not None and scores["temperature"] != 1:  # 1: the scores are as they were trained
        text += (
            f" Without its temperature of {scores['temperature']:.3g}, which divides the logits, the calibration "
            f"error would be {percent(before['calibration_error'])}, the loss {before['loss']:.4f} and the Brier score "
            f"{before['brier']:.4f}."
        )
    if rejection is not None:
        right = "" if rejection["accuracy"] is None else f", of which {percent(rejection['accuracy'], 1)} are right"
        share = percent(rejection["coverage"], 1)
        text += f" With --min-score auto ({rejection['threshold']:g}), {share} get a label{right}."
    return text


def _data(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    thumbnail = Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image))
    thumbnail.thumbnail((_THUMB, _THUMB))
    packed = io.BytesIO()
    thumbnail.save(packed, "PNG", optimize=True)
    return packed.getvalue()
