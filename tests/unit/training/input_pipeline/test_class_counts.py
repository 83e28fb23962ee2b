"""A dataset that cannot be trained on is refused before a run begins, and `data info` says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from datafiles import write_images

from edge_fm.api.train import TrainOptions, prepare_training
from edge_fm.cli import cli
from edge_fm.data import load_dataset
from edge_fm.training.input_pipeline.checks import why_not_trainable
from edge_fm_runtime.errors import DataError, TrainingError


@pytest.mark.parametrize(
    ("counts", "message", "hint"),
    [
        ({"a": 10}, "has 1 class; a classifier takes at least 2", "Add images of another class"),
        (
            {"a": 2, "b": 2},
            r"2 of 2 classes of photos have fewer than 2 training images: a \(1, and 1 for the test\), b \(1, and 1",
            "needs 3 images or more: one each for training, validation and the test",
        ),
        (
            {"a": 9, "b": 2},
            r"1 of 2 classes of photos have fewer than 2 training images: b \(1, and 1",
            "3 images or more",
        ),
    ],
)
def test_too_few_classes_or_images_are_refused_before_a_run_is_announced(
    counts: dict[str, int], message: str, hint: str, tmp_path: Path
) -> None:
    folder = write_images(tmp_path / "photos", counts)
    with pytest.raises(TrainingError, match=message) as error:
        prepare_training("quickstart", str(folder), options=TrainOptions(size=(8, 8, 1)))
    assert hint in (error.value.hint or "")
    result = CliRunner().invoke(cli, ["data", "info", str(folder)])
    assert result.exit_code == 0
    assert "edgefm train would refuse it: " in result.stderr and hint in result.stderr
    assert "Next: edgefm data show" in result.stderr and "Next: edgefm train" not in result.stderr


def test_three_images_of_each_class_are_enough(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos", {"a": 3, "b": 3})
    assert why_not_trainable(load_dataset(str(folder))) is None
    assert "Next: edgefm train" in CliRunner().invoke(cli, ["data", "info", str(folder)]).stderr


def test_one_image_of_a_class_is_too_few_for_the_test_and_more_so_for_training(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "photos", {"a": 3, "b": 1})
    with pytest.raises(
        DataError, match=r"at least 2, one for training and one for the test \(and edgefm train one for v"
    ):
        load_dataset(str(folder))
