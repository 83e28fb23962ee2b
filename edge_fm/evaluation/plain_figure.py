"""A figure in which no text is markup: labels and names come from users, and may look like formulas."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from edge_fm_runtime.errors import EdgeFMWarning

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _pass_on(caught: list[warnings.WarningMessage]) -> None:
    """Warn of what was warned of while drawing; of characters that no font has in one line for all."""
    # Matplotlib gives no category of its own to these, and one warning for each character.
    missing = [one for one in caught if str(one.message).startswith("Glyph ")]
    if missing:
        count = len({str(one.message) for one in missing})
        warnings.warn(
            f"A plot shows boxes for {count} characters that none of its fonts has. Pages show them in full.",
            EdgeFMWarning,
            stacklevel=2,
        )
    for one in caught:
        if one not in missing:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


@cache
def plain_figure() -> type[Figure]:
    """The class of figures that show text as it is, where Matplotlib would read `$...$` as a formula.

    Tick labels that Matplotlib itself makes, such as powers of ten on a logarithmic axis, stay formulas.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter, FuncFormatter

    class PlainFigure(Figure):
        def draw(self, renderer: Any) -> None:
            axes = [axis for one in self.get_axes() for axis in one.get_children() if isinstance(axis, Axis)]
            ticks = {id(text) for axis in axes for minor in (False, True) for text in axis.get_ticklabels(minor=minor)}
            for text in self.findobj(Text):
                if id(text) not in ticks:
                    text.set_parse_math(False)
            for axis in axes:
                if isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):  # labels that were given
                    for label in axis.get_ticklabels():
                        label.set_parse_math(False)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                super().draw(renderer)
            _pass_on(caught)

    return PlainFigure
