"""The notebooks of the documentation, and a program that runs their cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markdown_blocks import ROOT

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def read_notebook(file: Path) -> dict[str, Any]:
    """The notebook's JSON."""
    notebook: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return notebook


def code_cells(file: Path) -> list[str]:
    """The code of a notebook, cell by cell."""
    return ["".join(cell["source"]) for cell in read_notebook(file)["cells"] if cell["cell_type"] == "code"]


RUNNER = """
import contextlib, io, json, os, sys, time, traceback

for name, cells in json.load(sys.stdin).items():
    os.makedirs(name)
    os.chdir(name)
    names, printed, error, start = {"__name__": "__main__"}, [], None, time.perf_counter()
    for cell in cells:
        with contextlib.redirect_stdout(io.StringIO()) as stdout:
            try:
                exec(compile(cell, name, "exec"), names)
            except BaseException:
                error = cell + "\\n" + traceback.format_exc()
        printed.append(stdout.getvalue())
        if error:
            break
    os.chdir("..")
    seconds = time.perf_counter() - start
    print(json.dumps({"name": name, "printed": printed, "error": error, "seconds": seconds}), flush=True)
"""
"""Runs the cells of each notebook in a folder and with names of its own; all in one process, which loads Keras once."""
