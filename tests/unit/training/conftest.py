"""Fixtures of the training tests."""

from __future__ import annotations

import pytest
from strokes_data import make_recipe, make_strokes

from edge_fm.data import Dataset
from edge_fm.training import Recipe


@pytest.fixture(scope="session")
def strokes() -> Dataset:
    return make_strokes()


@pytest.fixture
def tiny_recipe() -> Recipe:
    return make_recipe()
