"""Notebooks as pages: their cells become Markdown when Sphinx reads them. Nothing is run; a test runs them."""

from __future__ import annotations

import json

from sphinx.application import Sphinx


def markdown_of(notebook: str, name: str) -> str:
    """The cells of a notebook as MyST Markdown, with a link to the notebook itself below the title."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    title, _, rest = parts[0].partition("\n")
    parts[0] = f"{title}\n\n{{download}}`Download this notebook <{name}.ipynb>`\n{rest}"
    return "\n\n".join(parts) + "\n"


def read_notebook(app: Sphinx, docname: str, source: list[str]) -> None:
    if str(app.env.doc2path(docname)).endswith(".ipynb"):
        source[0] = markdown_of(source[0], docname.rpartition("/")[2])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", read_notebook)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
