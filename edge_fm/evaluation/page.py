"""The parts that all pages are made of: one style, tiles, tables, drawings. No network; light, dark, narrow, printed.

All HTML comes from Jinja2 templates that escape whatever they are given: names, labels, paths and notes are text, never
markup. Drawings are SVG inside the page. Their text and axes take the page's own colour, so they are as readable on a
dark ground as on a light one.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edge_fm.evaluation.plots import new_figure
from edge_fm_runtime.errors import MissingDependencyError

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
"""Paul Tol's "bright" scheme: distinct for the colour-blind, and readable on light and on dark ground."""

_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What a page shows as escapes: controls, which HTML has none of, and what turns the direction of all that follows."""
_INK = "#010203"
"""Stands for the page's own text colour until a drawing is put into a page."""


def require_pages() -> None:
    """Raise unless what pages are made with is installed; checked before anything is measured or evaluated for a page.

    Raises:
        MissingDependencyError: names what is missing.
    """
    for package in ("jinja2", "matplotlib"):
        if find_spec(package) is None:
            raise MissingDependencyError.for_extra(package, "train", "A page")


@functools.cache
def _environment() -> Environment:
    require_pages()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("edge_fm.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def part(macro: str, *values: Any) -> Markup:
    """Render a macro of `templates/parts.html.jinja`; every value that is not itself a rendered part is escaped.

    Example:
        >>> part("paragraph", "a < b", "")
        Markup('<p>a &lt; b</p>')
    """
    rendered: Markup = getattr(_environment().get_template("parts.html.jinja").module, macro)(*values)
    return rendered


def document(title: str, *parts: Markup | None) -> str:
    """A whole page.

    Args:
        title: of the window.
        parts: of the body, from the functions below; None is left out, and plain text is escaped.

    Example:
        >>> document("A & B", paragraph("Text")).splitlines()[0]
        '<!doctype html>'
    """
    shown = [piece for piece in parts if piece]
    text = _environment().get_template("page.html.jinja").render(title=title, parts=shown) + "\n"
    return _ACTING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def tiles(values: Mapping[str, str]) -> Markup:
    """The few figures that matter most: name -> value."""
    return part("tiles", values)


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, text: Sequence[int] = (0,), best: Sequence[int] = ()
) -> Markup:
    """A table that scrolls sideways where it is too wide.

    Args:
        columns: headings; all empty for none.
        rows: cells.
        text: numbers of the columns that hold text and not figures.
        best: numbers of the rows to make stand out.

    Example:
        >>> "<td>3</td>" in table(["model", "ms"], [["a<b", "3"]])
        True
    """
    return part("table", columns, rows, text, best)


def facts(values: Mapping[str, object]) -> Markup:
    """Names and values, a row each; what is None is left out."""
    return part("facts", values)


def paragraph(text: str, *, kind: str = "") -> Markup:
    """A paragraph; `kind` is "dim", "lead", "bad" or nothing."""
    return part("paragraph", text, kind)


def badge(text: str, *, good: bool) -> Markup:
    """A short verdict in colour."""
    return part("badge", text, good)


def heading(text: str, level: int = 2) -> Markup:
    """A heading."""
    return part("heading", text, level)


def listing(items: Sequence[str]) -> Markup:
    """A list, an item each."""
    return part("listing", items)


def folded(summary: str, inside: Markup) -> Markup:
    """What is shown when a person opens it."""
    return part("folded", summary, inside)


def figure(drawing: Figure, caption: str, *, kind: str = "", shown: bool = True) -> Markup:
    """A drawing from `drawn`.

    Args:
        drawing: the figure.
        caption: below it; in any case read to those who do not see it.
        kind: how wide it may be: "wide-plot", "middle", or nothing.
        shown: whether the caption is shown.
    """
    return part("figure", svg(drawing, caption), caption if shown else "", kind)


def figures(*parts: Markup | None) -> Markup:
    """Drawings beside each other where there is room; None is left out."""
    return part("figures", [piece for piece in parts if piece])


def together(*parts: Markup | None) -> Markup:
    """Parts one after another; None is left out, and plain text is escaped."""
    from markupsafe import Markup

    return Markup("\n").join(piece for piece in parts if piece)


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


def label_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write names beside points: towards the middle, so that none crosses an axis, above and below in turn.

    Args:
        axes: whose limits are settled, and leave room above and below.
        points: x, y, name; on a logarithmic or linear x axis.
    """
    from math import log

    scale = log if axes.get_xscale() == "log" else float
    middle = sum(map(scale, axes.get_xlim())) / 2
    for number, (x, y, name) in enumerate(points):
        left = scale(x) <= middle
        axes.annotate(
            name,
            (x, y),
            xytext=(3 if left else -3, 8 if number % 2 == 0 else -14),
            textcoords="offset points",
            ha="left" if left else "right",
            fontsize=7.5,
        )


def svg(drawing: Figure, title: str) -> Markup:
    """A figure as an `<svg>` element for a page, in the page's colours; `title` is read to those who do not see it."""
    import matplotlib as mpl
    from markupsafe import Markup

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
    labelled = Markup('<svg role="img" aria-label="{}"').format(title)
    # Matplotlib escapes the texts inside.
    return Markup(text.replace(_INK, "currentColor").replace("<svg", labelled, 1))
