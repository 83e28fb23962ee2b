"""The notebooks of the documentation run from the first cell to the last, in an empty folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from notebooks import NOTEBOOKS, RUNNER, code_cells, read_notebook

NAMES = [file.stem for file in NOTEBOOKS]

SHORTENED = {
    "TrainOptions(epochs=20)": 'TrainOptions(epochs=1, settings={"data.samples": 600})',
    "epochs=30": "epochs=1",
    "max_drop=1.0": "max_drop=100.0",
}
"""What is run in place of a long form: fewer images and epochs, and the tolerance that such a training needs."""


def shortened(cell: str) -> str:
    for long, short in SHORTENED.items():
        cell = cell.replace(long, short)
    return cell


def test_there_are_three() -> None:
    assert NAMES == ["first-artifact", "your-own-model", "your-own-photos"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_kept_without_outputs(file: Path) -> None:
    notebook = read_notebook(file)
    assert notebook["nbformat"] == 4
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("code", "markdown") and cell["source"]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])


def test_every_short_form_is_needed() -> None:
    text = "".join(cell for file in NOTEBOOKS for cell in code_cells(file))
    assert [text.count(long) for long in SHORTENED] == [1] * len(SHORTENED)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    cells = json.dumps({file.stem: [shortened(cell) for cell in code_cells(file)] for file in NOTEBOOKS})
    place = tmp_path_factory.mktemp("notebooks")
    done = subprocess.run(
        [sys.executable, "-c", RUNNER], input=cells, cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {result["name"]: result for result in map(json.loads, done.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.needs("tensorflow", "tf2onnx", "openvino", "ai_edge_litert")
@pytest.mark.parametrize("file", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs(file: Path, results: dict[str, dict[str, Any]]) -> None:
    result = results[file.stem]
    assert result["error"] is None, result["error"]
    assert len(result["printed"]) == len(code_cells(file))
    for cell, printed in zip(code_cells(file), result["printed"], strict=True):
        assert bool(printed.strip()) == ("print(" in cell), cell
