"""A trained teacher."""

from __future__ import annotations

import pytest
from strokes_data import make_recipe

from edge_fm.data import Dataset
from edge_fm.training import RunResult, train


@pytest.fixture(scope="module")
def teacher(strokes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return train(make_recipe(), strokes, tmp_path_factory.mktemp("teacher") / "run")
