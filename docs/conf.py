"""How Sphinx builds the documentation: `make docs`, without network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent), str(HERE.parent / "export"), str(HERE.parent / "runtime")]

from edge_fm_runtime import __version__  # noqa: E402

project = "EdgeFM"
author = "The EdgeFM authors"
project_copyright = "The EdgeFM authors"
release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "generated_tables",
    "notebook_pages",
    "command_words",
]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
highlight_language = "text"
default_role = "code"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"EdgeFM {release}"
html_static_path = ["_static"]
html_css_files = ["edgefm.css"]
html_copy_source = False
html_show_sourcelink = False
