"""Examples in the runtime's docstrings run as they stand; those of Markdown files in
tests/integration/test_documented_commands.py."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import edge_fm_runtime

MODULES = [m.name for m in pkgutil.walk_packages(edge_fm_runtime.__path__, "edge_fm_runtime.")]


@pytest.mark.parametrize("name", ["edge_fm_runtime", *MODULES])
def test_docstring_examples(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
