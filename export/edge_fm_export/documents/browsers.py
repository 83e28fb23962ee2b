"""The part of the model card on browsers: how the folder is opened as a page."""

from __future__ import annotations

from edge_fm_runtime.artifacts.metadata import Metadata


def browser_lines(metadata: Metadata, folder: str) -> list[str]:
    """Lines of Markdown; none for formats that are not for browsers.

    Args:
        metadata: of the artifact.
        folder: its name as one word of a shell.
    """
    if metadata.format != "web":
        return []
    return [
        "",
        "## In a browser",
        "",
        "Any static host serves this folder as a page that classifies photos in the visitor's browser. To look at it "
        "on this machine, open http://localhost:8000/ while this runs:",
        "",
        "```",
        f"python -m http.server --directory {folder} 8000",
        "```",
        "",
        "The button Verify replays there what the model predicted on the machine that exported it. `edgefm.js` is a "
        "module for pages of your own; `edgefm.d.ts` says what it offers.",
    ]
