"""Examples in the runtime's docstrings and in README run as they stand."""

from __future__ import annotations

import doctest
import pkgutil
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edge_fm_runtime

README = Path(__file__).parents[3] / "README.md"
MODULES = [m.name for m in pkgutil.walk_packages(edge_fm_runtime.__path__, "edge_fm_runtime.")]
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("name", ["edge_fm_runtime", *MODULES])
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_readme_has_examples() -> None:
    assert any("Classifier.load" in block for block in BLOCKS)


@pytest.mark.parametrize("block", BLOCKS)
def test_readme_example(
    block: str,
    make_artifact: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in set(re.findall(r'load\("([^"]+)"', block)):
        make_artifact(name)
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(tmp_path / "photo.jpg")
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(tmp_path / "photos" / "a.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(README), "exec"), {})
    assert capsys.readouterr().out
