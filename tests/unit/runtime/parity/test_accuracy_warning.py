"""What is said of a model that guesses fits the model: a third-party one, or one that `edgefm train` made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_fm_runtime.parity.chance import accuracy_warning
from edge_fm_runtime.parity.own_training import OwnTraining, own_training

NAMES = ("a", "b", "c", "d")
TRUTH = np.arange(400) % 4
GUESSED = np.random.default_rng(0).integers(0, 4, 400)
CONSTANT = np.zeros(400, np.int64)
OWN = OwnTraining("lenet5", "clothes", "data/clothes", epochs=1, accuracy=0.26)


def warning_text(predicted: np.ndarray, trained: OwnTraining | None, data: str = "clothes test") -> str:
    text = accuracy_warning(predicted, TRUTH, NAMES, who="The model", data=data, trained=trained)
    assert text is not None
    return text


@pytest.mark.parametrize("predicted", [GUESSED, CONSTANT])
def test_a_third_party_model_is_warned_of_scaling_and_labels(predicted: np.ndarray) -> None:
    text = warning_text(predicted, None)
    assert "--input-scale" in text and "--labels FILE" in text and "epoch" not in text


@pytest.mark.parametrize("predicted", [GUESSED, CONSTANT, (TRUTH + 1) % 4])
def test_a_run_of_ours_on_its_own_data_is_advised_to_train_longer(predicted: np.ndarray) -> None:
    text = warning_text(predicted, OWN)
    assert "It was trained for 1 epoch on clothes. Usual causes: too few epochs, or a learning rate" in text
    assert text.endswith("edgefm train --model lenet5 --data data/clothes --epochs 10")
    assert not any(word in text for word in ("--input-scale", "--preset", "--labels", "another order", "another kind"))


def test_a_run_of_ours_on_other_data_is_asked_whether_these_are_of_its_kind() -> None:
    text = warning_text(GUESSED, replace(OWN, epochs=7), data="photos test")
    assert "for 7 epochs on clothes. Usual causes: images of another kind or colour than those of clothes; " in text
    assert text.endswith("--epochs 35")
    assert "another order" in warning_text((TRUTH + 1) % 4, OWN, data="photos test")


def test_a_run_that_knows_its_training_images_is_not_advised_to_train_longer() -> None:
    text = warning_text(GUESSED, replace(OWN, accuracy=0.995))
    assert "is right on 99.5% of its training images. Usual causes: too few training images, learned by heart" in text
    assert text.endswith("edgefm data show data/clothes") and "--epochs" not in text


def test_a_good_model_gets_no_warning() -> None:
    for trained in (None, OWN):
        assert accuracy_warning(TRUTH, TRUTH, NAMES, who="The model", data="clothes test", trained=trained) is None


def test_two_classes_near_chance_are_not_taken_for_exchanged() -> None:
    truth = np.arange(40) % 2
    predicted = np.where(np.arange(40) < 22, 1 - truth, truth)  # 45% right
    text = accuracy_warning(predicted, truth, ("cat", "dog"), who="The model", data="pets test")
    assert text is not None and "probably" not in text


def test_metadata_without_a_training_are_of_a_third_party_model() -> None:
    assert own_training(None, None) is None
    assert own_training({"epochs": 3}, None) is None
