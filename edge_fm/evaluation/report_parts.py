"""The sections of the page, each as HTML."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation import page

STYLE = """
.tiles { grid-template-columns: repeat(auto-fill, minmax(9.8rem, 1fr)); } .tiles b { white-space: nowrap; }
nav { margin: 1.1rem 0 0; font-size: .9rem; }
nav a { color: #4477aa; text-decoration: none; margin-right: 1rem; white-space: nowrap; }
nav a:hover { text-decoration: underline; }
section { border-top: 1px solid var(--line); margin-top: 2.25rem; } section h2 { margin-top: 1rem; }
td.bar { background: linear-gradient(90deg, #4477aa55 var(--share), transparent var(--share)) 0 50% / 100% 72%;
  background-repeat: no-repeat; }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
table.facts td:first-child { color: var(--dim); width: 11rem; white-space: nowrap; }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); gap: .7rem .6rem; }
.thumbs.small { grid-template-columns: repeat(auto-fill, minmax(4.4rem, 1fr)); }
.thumbs figure { margin: 0; } .thumbs figcaption { font-size: .78rem; line-height: 1.35; }
.thumbs img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #000; border-radius: .35rem;
  display: block; image-rendering: pixelated; margin-bottom: .25rem; }
figure.wide-plot svg { max-width: none; } figure.middle svg { max-width: 30rem; }
@media (prefers-color-scheme: dark) { nav a { color: #77aadd; } .thumbs img { filter: none; } }
figure.confusion { overflow-x: auto; } figure.confusion svg { min-width: 30rem; }
@media (max-width: 30rem) { table.facts td:first-child { width: auto; white-space: normal; } }
@media print {
  nav { display: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  section { margin-top: 1.2rem; }
  .figures { grid-template-columns: 1fr 1fr; }
  #training, #classes, #confusion-matrix, #calibration, #time, #provenance { break-inside: avoid; }
  .thumbs { grid-template-columns: repeat(8, 1fr); } .thumbs.small { grid-template-columns: repeat(12, 1fr); }
}
"""
"""What this page has beside the style of all pages."""

_THUMB = 160
"""The longest side of an example image, in pixels; larger ones are made smaller."""


def text(value: object) -> str:
    """A value as HTML text."""
    return html.escape(str(value))


def percent(share: float, digits: int = 2) -> str:
    """A fraction in percent."""
    return f"{100 * share:.{digits}f}%"


def section(title: str, *parts: str) -> str:
    """A heading and what stands under it; the heading is where the page's list of contents leads."""
    return "\n".join([f"<section id='{anchor(title)}'>{page.heading(title)}", *parts, "</section>"])


def anchor(title: str) -> str:
    """The name that a link to a section uses."""
    return title.lower().replace(" ", "-")


def facts(values: Mapping[str, object]) -> str:
    """Names and values, a row each; what is None is left out."""
    rows = "".join(
        f"<tr><td>{text(name)}</td><td>{text(value)}</td></tr>" for name, value in values.items() if value is not None
    )
    return f"<table class='facts'>{rows}</table>"


def class_table(per_class: Mapping[str, Mapping[str, float]]) -> str:
    """Precision, recall and F1 of each class, F1 as a bar too."""
    rows = ["<tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>images</th></tr>"]
    for label, score in per_class.items():
        bar = f"<td class='bar' style='--share:{100 * score['f1']:.1f}%'>{percent(score['f1'])}</td>"
        figures = "".join(f"<td>{percent(score[key])}</td>" for key in ("precision", "recall"))
        rows.append(f"<tr><td>{text(label)}</td>{figures}{bar}<td>{score['support']:,}</td></tr>")
    return f"<div class='wide'><table>{''.join(rows)}</table></div>"


def thumbs(images: npt.NDArray[np.uint8], captions: Sequence[str], *, alts: Sequence[str], small: bool = False) -> str:
    """Images with a caption each.

    Args:
        images: uint8 `[N,H,W,C]` with C of 1 or 3.
        captions: HTML, one for each.
        alts: what each image is, in words.
        small: more of them in a row.
    """
    figures = "".join(
        f"<figure><img alt='{text(alt)}' src='{_data(_png(image))}'><figcaption>{caption}</figcaption></figure>"
        for image, caption, alt in zip(images, captions, alts, strict=True)
    )
    return f"<div class='thumbs{' small' if small else ''}'>{figures}</div>"


def answer_caption(answered: str, score: float, true: str) -> str:
    """What the model said of an image, and whether that is right: by a sign, not by colour alone."""
    if answered == true:
        return f"<span class='good'>✓ {text(answered)} {100 * score:.0f}%</span>"
    return f"<span class='bad'>✗ {text(answered)} {100 * score:.0f}%</span><br>is {text(true)}"


def summary(result: Mapping[str, Any]) -> str:
    """The whole page in three sentences, plain text."""
    n, right = result["n"], round(result["accuracy"] * result["n"])
    low, high = result["accuracy_ci95"]
    sentences = [
        f"{right:,} of {n:,} images are answered right: {percent(result['accuracy'])}, and with 95% certainty "
        f"{percent(low, 1)} to {percent(high, 1)} of all such images."
    ]
    seen = {label: score for label, score in result["per_class"].items() if score["support"]}
    if len(seen) > 1:
        hardest = min(seen, key=lambda label: seen[label]["f1"])
        easiest = max(seen, key=lambda label: seen[label]["f1"])
        sentences.append(
            f"Hardest is {hardest} (F1 {percent(seen[hardest]['f1'], 1)}), easiest {easiest} "
            f"({percent(seen[easiest]['f1'], 1)})."
        )
    if result["most_confused"]:
        pair = result["most_confused"][0]
        sentences.append(
            f"The most frequent mistake is {pair['true']} taken for {pair['answered']}, {pair['count']:,} "
            f"{'time' if pair['count'] == 1 else 'times'}."
        )
    return " ".join(sentences)


def calibration_text(result: Mapping[str, Any]) -> str:
    """What the reliability diagram says."""
    full = [one for one in result["calibration"] if one["count"]]
    mean = sum(one["count"] * one["confidence"] for one in full) / sum(one["count"] for one in full)
    gap = mean - result["accuracy"]
    lean = "about as sure as it is right" if abs(gap) < 0.005 else "too sure" if gap > 0 else "not sure enough"
    return (
        f"<p>The answers are on average {percent(mean, 1)} sure and {percent(result['accuracy'], 1)} right: "
        f"the model is {lean}. The expected calibration error, the mean distance of the points from the dotted line, "
        f"is {percent(result['calibration_error'])}.</p>"
    )


def _data(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[-1] == 1 else image))
    picture.thumbnail((_THUMB, _THUMB))
    packed = io.BytesIO()
    picture.save(packed, "PNG", optimize=True)
    return packed.getvalue()
