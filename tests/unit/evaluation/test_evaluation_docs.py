"""The examples in the docstrings of the measuring modules run."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

MODULES = (
    "benchmark.conditions",
    "benchmark.recommendation",
    "benchmark.roofline",
    "benchmark.statistics",
    "page",
)


@pytest.mark.needs("jinja2", "matplotlib")
@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(import_module(f"edge_fm.evaluation.{name}"))
    assert result.attempted > 0 and result.failed == 0
