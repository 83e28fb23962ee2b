"""The comparison of LiteRT's quantizers: each way makes a model of its own that predicts as the original does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import TINY_SHAPES, tiny_set

from benchmarks.artifacts import litert_quantizers

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow", "ai_edge_litert", "ai_edge_quantizer")]


def test_each_way_predicts_as_the_original_does(tiny_sources: Any, tmp_path: Path) -> None:
    from edge_fm_export.context import BuildContext

    source, images = tiny_sources["colour"], tiny_set(TINY_SHAPES["colour"], 24, seed=3)
    before = np.asarray(source.model(images.images, training=False))
    made = {n: make() for n, make in litert_quantizers.variants(BuildContext(source, tmp_path, images)).items()}
    runners = {name: litert_quantizers.Runner(content) for name, content in made.items()}
    for name, runner in runners.items():
        assert np.abs(runner.predict(images.images) - before).max() < 0.1, name
    assert len(set(made.values())) == len(made)
    times = litert_quantizers.latencies(runners, images.images, 3)
    assert set(times) == set(made) and min(times.values()) > 0


def test_a_row_for_a_person_keeps_every_figure() -> None:
    row = {
        **{"quantizer": "w8a16", "accuracy": 0.5, "drop_points": 0.25, "drop_ci95": (-1.0, 1.5), "agreement": 0.75},
        **{
            "mean_abs_diff": 0.125,
            "bytes": 1234,
            "float_operators": 2,
            "p50_ms": 0.5,
            "p50_ratio": 2.0,
            "seconds": 3.0,
        },
    }
    texts = litert_quantizers.as_text(row)
    assert list(texts.values()) == [
        *("w8a16", "50.00", "+0.25", "-1.00 to +1.50", "75.00", "0.12500", "1,234", "2", "0.500", "2.00", "3.0")
    ]
