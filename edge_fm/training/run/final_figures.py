"""What a finished run is worth on its splits: figures, the scores fitted on validation images, advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.training.run.advice import advice_of, notes_of_missing_classes
from edge_fm.training.run.score_calibration import calibrate_scores
from edge_fm.training.run.selection import LabelScores, Scores, score, score_labels
from edge_fm_export.task import thresholds_record
from edge_fm_runtime.parity.label_suspects import LabelSuspect, label_suspects
from edge_fm_runtime.parity.multi_label import best_thresholds
from edge_fm_runtime.progress import MessageFn

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split
    from edge_fm.training.run.learner import Learner


@dataclass(frozen=True, eq=False)
class FinalFigures:
    """The figures of the weights that a run selected.

    Attributes:
        learned: on the training images, by their names in metrics.json.
        validation: on the validation images likewise.
        tested: on the test images likewise; each None where the test split was left alone.
        test_probabilities: float32 `[N,classes]`; no rows where it was left alone.
        scores: the section `scores` of metrics.json: a temperature, or the thresholds of a multi-label model; None
            where neither was fitted.
        advice: which classes the figures do not cover, and what would have helped, one sentence each.
        suspects: validation images whose labels may be wrong; of a multi-label model none are looked for.
    """

    learned: Mapping[str, Any]
    validation: Mapping[str, Any]
    tested: Mapping[str, Any]
    test_probabilities: NDArray[np.float32]
    scores: Mapping[str, Any] | None
    advice: tuple[str, ...] = ()
    suspects: tuple[LabelSuspect, ...] = ()


def evaluate_run(
    learner: Learner, train: Split, validation: Split, dataset: Dataset, *, test: bool, note: MessageFn
) -> FinalFigures:
    """Evaluate the selected weights, and fit their temperature, or the thresholds of a multi-label model.

    Args:
        learner: with these weights in its evaluated model; its logits are divided by the temperature.
        train: what was learned from.
        validation: what selected the epoch, and what scores are fitted on.
        dataset: whose test split is used.
        test: whether it is.
        note: called with the temperature.
    """
    evaluate = _several_labels if learner.multi_label else _one_class
    found = evaluate(learner, train, validation, dataset, test=test, note=note)
    missing = notes_of_missing_classes(dataset, validation, test=test)
    return replace(found, advice=(*missing, *found.advice))


def _one_class(
    learner: Learner, train: Split, validation: Split, dataset: Dataset, *, test: bool, note: MessageFn
) -> FinalFigures:
    learned = score(learner.probabilities(train.images), train.labels)
    calibrated = calibrate_scores(learner, validation, dataset=f"{dataset.name} validation")
    if calibrated is not None:
        note(calibrated.sentence())
    tested: dict[str, Any] = dict.fromkeys(Scores(0.0, 0.0, 0.0, 0.0).named("test"))
    probabilities = np.zeros((0, learner.classes), np.float32)
    if test:
        probabilities = learner.probabilities(dataset.test.images)
        tested = dict(score(probabilities, dataset.test.labels).named("test"))
    of_validation = learner.probabilities(validation.images)
    validated = score(of_validation, validation.labels)
    suspects = label_suspects(of_validation, validation.labels, dataset.label_names, files=validation.files)
    advice = advice_of(
        learner.recipe,
        train.labels,
        dataset.label_names,
        learned=learned,
        validation=validated,
        validation_images=len(validation),
        suspects=suspects,
    )
    return FinalFigures(
        learned.named("train"),
        validated.named("val"),
        tested,
        probabilities,
        None if calibrated is None else calibrated.to_json(),
        advice,
        tuple(suspects),
    )


def _several_labels(
    learner: Learner, train: Split, validation: Split, dataset: Dataset, *, test: bool, note: MessageFn
) -> FinalFigures:
    of_validation, truth = learner.probabilities(validation.images), learner.targets[validation.labels]
    thresholds = best_thresholds(of_validation, truth.astype(np.bool_))
    tested: dict[str, Any] = dict.fromkeys(LabelScores(0.0, 0.0, 0.0, 0.0).named("test"))
    probabilities = np.zeros((0, learner.classes), np.float32)
    if test:
        probabilities = learner.probabilities(dataset.test.images)
        tested = dict(score_labels(probabilities, learner.targets[dataset.test.labels], thresholds).named("test"))
    shown = ", ".join(f"{name} {value:.3f}" for name, value in zip(learner.labels, thresholds, strict=True))
    note(f"Thresholds with the best F1 on {len(validation):,} validation images: {shown}.")
    return FinalFigures(
        score_labels(learner.probabilities(train.images), learner.targets[train.labels], thresholds).named("train"),
        score_labels(of_validation, truth).named("val"),
        tested,
        probabilities,
        thresholds_record(thresholds, n=len(validation), dataset=f"{dataset.name} validation"),
    )
