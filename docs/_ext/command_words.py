"""Commands wrap between their words, never within one such as `--precision`: each word gets a span of its own."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_BLOCK = re.compile(r'(<div class="highlight-bash [^>]*><div class="highlight"><pre>)(.*?)(</pre>)', re.DOTALL)


def mark_words(html: str) -> str:
    """The page with `<span class="word">` around each word of its commands.

    Example:
        >>> mark_words('<div class="highlight-bash x"><div class="highlight"><pre>a <b>-c</b></pre>').split("<pre>")[1]
        '<span class="word">a</span> <b><span class="word">-c</span></b></pre>'
    """

    def mark(block: re.Match[str]) -> str:
        pieces = re.split(r"(<[^>]*>)", block[2])
        marked = [p if p.startswith("<") else re.sub(r"\S+", r'<span class="word">\g<0></span>', p) for p in pieces]
        return block[1] + "".join(marked) + block[3]

    return _BLOCK.sub(mark, html)


def mark_page(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    if "body" in context:
        context["body"] = mark_words(context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", mark_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
