"""One self-contained page about a run or an artifact: figures and pictures, no network, prints well."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.evaluation.plots import plot_confusion, plot_curves, plot_samples

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2rem; }
p.dim { color: var(--dim); margin-top: .25rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tiles div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.tiles b { display: block; font-size: 1.4rem; } .tiles span { color: var(--dim); font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; height: auto; background: white; border-radius: .5rem; }
@media (prefers-color-scheme: dark) { :root { --dim: #aaa; } img { filter: brightness(.92); } }
@media print {
  :root { color-scheme: light; }
  body { max-width: none; margin: 0; }
  h2 { break-after: avoid; }
  img, table { break-inside: avoid; }
}
"""


def write_report(
    folder: Path,
    result: dict[str, Any],
    *,
    images: npt.NDArray[np.uint8],
    labels: Sequence[str],
    history: Sequence[Mapping[str, float]] = (),
) -> Path:
    """Write evaluation.json, confusion.png, worst.png and report.html.

    Args:
        folder: made where it is missing.
        result: what `edgefm evaluate --json` prints.
        images: uint8 `[N,H,W,C]`, the images that were evaluated, in order.
        labels: label names.
        history: of a run, for its learning curves (curves.png); see `plot_curves`.

    Returns:
        the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    pictures = {}
    if history:
        pictures["Training"] = plot_curves(history, folder / "curves.png")
    pictures["Confusion matrix"] = plot_confusion(result["confusion"], labels, folder / "confusion.png")
    worst = result["worst"]
    if worst and images.shape[-1] in (1, 3):
        titles = [f"{w['answered']} {100 * w['score']:.0f}%\nis {w['true']} ({w['index']})" for w in worst]
        shown = images[[w["index"] for w in worst]]
        pictures["Wrong, and most confident"] = plot_samples(shown, titles, folder / "worst.png")
    page = folder / "report.html"
    page.write_text(_page(result, pictures), encoding="utf-8")
    return page


def _page(result: dict[str, Any], pictures: dict[str, Path]) -> str:
    escape = html.escape
    tiles = {
        "accuracy": f"{100 * result['accuracy']:.2f}%",
        "accuracy, 95% interval": "{:.2f}–{:.2f}%".format(*(100 * end for end in result["accuracy_ci95"])),
        "loss": f"{result['loss']:.4f}",
        "calibration error": f"{100 * result['calibration_error']:.2f}%",
        "images": f"{result['n']:,}",
    }
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(result['model'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(result['model'])}</h1>",
        f"<p class='dim'>{escape(result['data'])} {escape(result['split'])}, {escape(result['engine'])} on "
        f"{escape(result['device'])} at {escape(result['precision'])}</p>",
        "<div class='tiles'>",
        *(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for name, value in tiles.items()),
        "</div><h2>Classes</h2><div class='wide'><table>",
        "<tr><th>class</th><th>precision</th><th>recall</th><th>F1</th><th>images</th></tr>",
    ]
    for label, score in result["per_class"].items():
        figures = "".join(f"<td>{100 * score[k]:.2f}%</td>" for k in ("precision", "recall", "f1"))
        parts.append(f"<tr><td>{escape(label)}</td>{figures}<td>{score['support']}</td></tr>")
    parts.append("</table></div>")
    if result["most_confused"]:
        parts.append(
            "<h2>Most confused</h2><div class='wide'><table><tr><th>true</th><th>answered</th><th>times</th></tr>"
        )
        for pair in result["most_confused"]:
            cells = f"<td>{escape(pair['true'])}</td><td>{escape(pair['answered'])}</td><td>{pair['count']}</td>"
            parts.append(f"<tr>{cells}</tr>")
        parts.append("</table></div>")
    for title, path in pictures.items():
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(f"<h2>{escape(title)}</h2><img alt='{escape(title)}' src='data:image/png;base64,{data}'>")
    return "\n".join([*parts, "</body></html>\n"])
