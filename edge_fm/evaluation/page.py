"""The parts that all pages are made of: one style, tiles, tables, drawings. No network; light, dark, narrow, printed.

Drawings are SVG inside the page. Their text and axes take the page's own colour, so they are as readable on a dark
ground as on a light one.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edge_fm.evaluation.plots import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
"""Paul Tol's "bright" scheme: told apart by the colour-blind, and readable on light and on dark ground."""

_INK = "#010203"
"""Stands for the page's own text colour until a drawing is put into a page."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --line: #8884; --dim: #666; --soft: #8881;
  --good: #1a7f37; --bad: #c62828; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --paper: #17181b; --dim: #a5a5ad; --good: #4cc26a; --bad: #ff7b72; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p.dim, .dim { color: var(--dim); } p.dim { margin-top: .25rem; font-size: .9rem; }
.lead { font-size: 1.1rem; border-left: .25rem solid #4477aa; padding: .25rem 0 .25rem .9rem; margin: 1.25rem 0; }
.good { color: var(--good); } .bad { color: var(--bad); }
.badge { display: inline-block; font-weight: 600; border: 1px solid currentColor; border-radius: 1rem;
  padding: 0 .7rem; font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tiles div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.tiles b { display: block; font-size: 1.4rem; line-height: 1.3; } .tiles span { color: var(--dim); font-size: .85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td { white-space: nowrap; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
td.text { white-space: normal; min-width: 6.5rem; } td.text:first-child { min-width: 11rem; }
tr.best td { background: var(--soft); font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem 1.5rem; }
figure { margin: .5rem 0; min-width: 0; } figcaption { color: var(--dim); font-size: .85rem; }
svg { width: 100%; height: auto; display: block; color: var(--ink); max-width: 44rem; }
img { max-width: 100%; height: auto; background: white; border-radius: .5rem; }
ul { padding-left: 1.2rem; } details { margin: .5rem 0; } summary { cursor: pointer; }
@media (prefers-color-scheme: dark) { img { filter: brightness(.92); } }
@media (max-width: 30rem) { body { margin: 1rem auto; } th, td { padding: .25rem .4rem; } }
@media print {
  :root { color-scheme: light; --ink: #000; --paper: #fff; --dim: #555; --good: #060; --bad: #900; }
  body { max-width: none; margin: 0; font-size: 11pt; }
  h2, h3 { break-after: avoid; } figure, img, tr { break-inside: avoid; }
  .wide { overflow: visible; } td { white-space: normal; } details > * { display: block; }
}
"""


def document(title: str, *parts: str, style: str = "") -> str:
    """A whole page.

    Args:
        title: of the window; plain text.
        parts: HTML of the body, from the functions below.
        style: CSS of what only this page has.

    Example:
        >>> document("A & B", "<p>Text</p>").splitlines()[0]
        '<!doctype html>'
    """
    head = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}{style}</style></head><body>"
    )
    return "\n".join([head, *parts, "</body></html>\n"])


def tiles(figures: Mapping[str, str]) -> str:
    """The few figures that matter most: name -> value, both plain text."""
    cells = (f"<div><b>{html.escape(v)}</b><span>{html.escape(k)}</span></div>" for k, v in figures.items())
    return f"<div class='tiles'>{''.join(cells)}</div>"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[int] = (0,), best: Sequence[int] = ()
) -> str:
    """A table that scrolls sideways where it is too wide.

    Args:
        columns: headings, plain text.
        rows: cells, plain text.
        text: numbers of the columns that hold text and not figures.
        best: numbers of the rows to make stand out.

    Example:
        >>> "<td>3</td>" in table(["model", "ms"], [["a<b", "3"]])
        True
    """

    def row(tag: str, cells: Sequence[str], mark: str = "") -> str:
        inner = (
            f"<{tag}{' class=text' if i in text else ''}>{html.escape(cell)}</{tag}>" for i, cell in enumerate(cells)
        )
        return f"<tr{mark}>{''.join(inner)}</tr>"

    lines = [row("td", cells, " class=best" if i in best else "") for i, cells in enumerate(rows)]
    return f"<div class='wide'><table>{row('th', columns)}{''.join(lines)}</table></div>"


def paragraph(text: str, *, kind: str = "") -> str:
    """A paragraph of plain text; `kind` is "dim", "lead" or nothing."""
    return f"<p{f' class={kind}' if kind else ''}>{html.escape(text)}</p>"


def badge(text: str, *, good: bool) -> str:
    """A short verdict in colour."""
    return f"<span class='badge {'good' if good else 'bad'}'>{html.escape(text)}</span>"


def heading(text: str, level: int = 2) -> str:
    """A heading of plain text."""
    return f"<h{level}>{html.escape(text)}</h{level}>"


def figure(drawing: Figure, caption: str) -> str:
    """A drawing from `drawn`, with plain text below it."""
    return f"<figure>{svg(drawing, caption)}<figcaption>{html.escape(caption)}</figcaption></figure>"


def figures(*parts: str) -> str:
    """Drawings beside each other where there is room."""
    return f"<div class='figures'>{''.join(parts)}</div>"


@contextmanager
def drawn(height: float = 3.4, width: float = 5.4) -> Iterator[tuple[Figure, Any]]:
    """A figure and its axes in the page's colours, for `figure`; inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    drawing = new_figure(width, height)
    import matplotlib as mpl
    from cycler import cycler

    settings = {
        "svg.fonttype": "none",  # letters stay letters: smaller, selectable, in the page's font
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.18,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "axes.prop_cycle": cycler(color=COLOURS),
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
        "grid.color": _INK,
    }
    with mpl.rc_context(settings):
        yield drawing, drawing.subplots()


def svg(drawing: Figure, title: str) -> str:
    """A figure as an `<svg>` element for a page, in the page's colours; `title` is read to those who do not see it."""
    import matplotlib as mpl

    file = io.StringIO()
    # The salt makes the names inside differ from figure to figure, and be the same for the same figure.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        drawing.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", text)
    # Names inside one page must differ: axes and texts are numbered from 1 in each drawing.
    prefix = re.sub(r"\W+", "-", title.lower())
    text = re.sub(r'id="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    return text.replace(_INK, "currentColor").replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"', 1)
