"""A finished run."""

from __future__ import annotations

import pytest
from strokes_data import make_recipe

from edge_fm.data import Dataset
from edge_fm.training import (
    RunResult,
    train,
)


@pytest.fixture(scope="module")
def whole(strokes: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The uninterrupted run that others are compared with."""
    return train(make_recipe(), strokes, tmp_path_factory.mktemp("whole") / "run")
