"""When measures are tried beside plain calibration, which is selected, and what is recorded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge_fm_export.context import BuildContext, EvaluationSet
from edge_fm_export.quantization.measures import estimated_drop, select_measures
from edge_fm_export.quantization.steering import SteeringImages
from edge_fm_runtime.errors import ExportError

ORIGINAL = np.tile(np.array([[0.6, 0.4], [0.45, 0.55]], np.float32), (50, 1))
LADDER: Any = (("bias correction",), ("equalization", "bias correction"))


def wrong_in(count: int) -> np.ndarray[Any, Any]:
    """The original's probabilities, with the other class in `count` of 100 images, from the second on."""
    changed = ORIGINAL.copy()
    changed[1 : count + 1] = changed[1 : count + 1, ::-1]
    return changed


def selected(results: dict[tuple[str, ...], int | str]) -> tuple[Any, list[tuple[str, ...]]]:
    images = EvaluationSet("unlabelled", np.zeros((64, 4, 4, 1), np.uint8), None, "0" * 64)
    asked: list[tuple[str, ...]] = []

    def make(measures: tuple[str, ...]) -> Any:
        asked.append(measures)
        result = results[measures]
        if isinstance(result, str):
            raise ExportError(result)
        return lambda batch: wrong_in(result)[: len(batch)]

    source: Any = SimpleNamespace(task=None)  # no model is opened here
    context = BuildContext(source, Path(), images)
    return select_measures(context, LADDER, make, lambda batch: ORIGINAL[: len(batch)]), asked


def test_the_drop_is_estimated_by_the_originals_own_probabilities() -> None:
    images = SteeringImages(np.zeros((100, 1, 1, 1), np.uint8), None)
    assert estimated_drop(ORIGINAL, ORIGINAL, images) == 0.0
    # Two other predictions: one where the original was at 0.6 to 0.4, one where it was at 0.55 to 0.45.
    assert estimated_drop(wrong_in(2), ORIGINAL, images) == pytest.approx(0.2 + 0.1)


def test_labels_count_where_they_show_more() -> None:
    labels = ORIGINAL.argmax(axis=1).astype(np.int64)
    images = SteeringImages(np.zeros((100, 1, 1, 1), np.uint8), labels)
    assert estimated_drop(wrong_in(9), ORIGINAL, images) == pytest.approx(9.0 - 3.0)


def test_within_the_aim_nothing_is_tried_nor_recorded() -> None:
    result, asked = selected({(): 1})
    assert asked == [()] and result.measures == () and result.record == {} and result.notes == ()


def test_the_first_measure_within_the_aim_ends_the_search() -> None:
    result, asked = selected({(): 20, ("bias correction",): 1})
    assert asked == [(), ("bias correction",)]
    assert result.measures == ("bias correction",)
    assert result.record["measures"] == ["bias correction"]
    assert [tried["measures"] for tried in result.record["measures_tried"]] == [[], ["bias correction"]]
    assert result.record["measures_images"] == {"count": 64, "set": "calibration"}
    assert "Used: bias correction." in result.notes[0]


def test_without_success_the_best_is_used_and_the_next_option_named() -> None:
    results: dict[tuple[str, ...], int | str] = {(): 40, ("bias correction",): 10, LADDER[1]: 20}
    result, _ = selected(results)
    assert result.measures == ("bias correction",) and "--accuracy-control" in result.notes[0]


def test_where_everything_is_lost_a_photo_more_or_less_selects_no_measure() -> None:
    result, _ = selected({(): 40, ("bias correction",): 39, LADDER[1]: 38})
    assert result.measures == () and result.record["measures"] == []
    assert "Nothing did clearly better than calibration alone." in result.notes[0]


def test_a_measure_that_is_impossible_is_named_and_left_out() -> None:
    results: dict[tuple[str, ...], int | str] = {(): 40, ("bias correction",): "other layers", LADDER[1]: 50}
    result, _ = selected(results)
    assert result.measures == () and result.record["measures"] == []
    assert "did clearly better" in result.notes[0]
    assert result.notes[1] == "bias correction could not be tried: other layers"
