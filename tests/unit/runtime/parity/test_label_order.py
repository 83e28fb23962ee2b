"""Names in another order than a model's outputs are found; a weak model whose names are right is left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_fm_runtime.parity.label_order import find_label_order

Counts = np.ndarray[Any, Any]


def drawn(confusion: Counts, labels: Counts, random: np.random.Generator) -> Counts:
    """Predictions for `labels`, by a matrix that holds the chance of each prediction for each true class."""
    edges = confusion.cumsum(axis=1)[labels]
    picked = (random.random(len(labels))[:, None] > edges).sum(axis=1)
    return np.minimum(picked, confusion.shape[1] - 1)


def softmax(scores: Counts) -> Counts:
    exact = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exact / exact.sum(axis=1, keepdims=True)


def weak(kind: str, classes: int, random: np.random.Generator) -> Counts:
    """How a model with the right names, good or bad, predicts: one row for each true class."""
    skill, identity = random.uniform(0, 4), np.eye(classes)
    if kind == "even":
        return softmax(skill * identity)
    if kind == "biased":
        return softmax(skill * identity + random.normal(0, 2, classes))
    if kind == "similar":  # pairs of classes that are confused with each other, up to a coin's throw
        pairs = np.arange(classes) ^ 1
        pairs[pairs >= classes] = classes - 1
        return softmax(skill * identity + random.uniform(0, 1) * skill * identity[pairs])
    if kind == "one way":  # some classes are nearly always taken for others
        scores, taken = skill * identity, random.random(classes) < 0.5
        if taken.any() and not taken.all():
            scores[taken, random.choice(np.flatnonzero(~taken), int(taken.sum()))] += 4
        return softmax(scores)
    if kind == "one class":
        scores = random.normal(0, 0.3, (classes, classes)) + 0.2 * skill * identity
        scores[:, random.integers(classes)] += 6
        return softmax(scores)
    return softmax((1 + skill) * identity + random.normal(0, 1, (classes, classes)))  # uneven


KINDS = ("even", "biased", "similar", "one way", "one class", "uneven")


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_whose_names_are_right_is_left_alone_however_weak_it_is(kind: str) -> None:
    random = np.random.default_rng(KINDS.index(kind))
    alarms = []
    for number in range(500):
        classes, n = int(random.choice([2, 3, 5, 10, 30])), int(random.choice([20, 60, 300, 2000]))
        rarity = random.dirichlet(np.full(classes, random.choice([0.5, 5.0, 100.0])))
        labels = random.choice(classes, n, p=rarity)
        if find_label_order(drawn(weak(kind, classes, random), labels, random), labels, classes) is not None:
            alarms.append(number)
    assert alarms == []


@pytest.mark.parametrize("classes", [2, 3, 10, 37, 100])
@pytest.mark.parametrize("moved", ["two", "three", "all"])
@pytest.mark.parametrize("skill", [0.85, 0.95])
def test_exchanged_names_are_found(classes: int, moved: str, skill: float) -> None:
    random = np.random.default_rng(classes)
    count = {"two": 2, "three": min(3, classes), "all": classes}[moved]
    exchanged = random.permutation(classes)[:count]
    stands_for = np.arange(classes)
    stands_for[exchanged] = np.roll(exchanged, 1)
    n = 150 * classes
    labels = np.arange(n) % classes
    confusion = np.full((classes, classes), (1 - skill) / (classes - 1))
    np.fill_diagonal(confusion, skill)
    known = drawn(confusion, labels, random)
    found = find_label_order(np.argsort(stands_for)[known], labels, classes)
    assert found is not None
    assert dict(found.renamed) == {int(o): int(stands_for[o]) for o in np.sort(exchanged)}
    assert found.order(classes) == tuple(stands_for)
    assert found.accuracy_renamed == pytest.approx((known == labels).mean())


def test_names_in_the_order_of_text_are_found() -> None:
    """Folders 1, 10, 2, ... as image_dataset_from_directory sorts them, and labels 1, 2, ... 10 in a file."""
    names = [str(number) for number in range(1, 13)]
    by_text = sorted(names)
    labels = np.arange(600) % 12
    outputs = np.array([by_text.index(name) for name in names])
    found = find_label_order(outputs[labels], labels, 12)
    assert found is not None
    assert [names[c] for c in found.order(12) or ()] == by_text


def test_an_output_that_is_never_predicted_gets_the_name_that_is_left() -> None:
    labels = np.arange(600) % 6
    seen = labels != 3
    found = find_label_order(((labels + 1) % 6)[seen], labels[seen], 6)
    assert found is not None and dict(found.renamed) == {0: 5, 1: 0, 2: 1, 3: 2, 5: 4}
    assert found.order(6) == (5, 0, 1, 2, 3, 4)


def test_few_images_tell_nothing() -> None:
    labels = np.arange(24) % 2
    assert find_label_order(1 - labels, labels, 2) is None
    labels = np.arange(60) % 2
    assert find_label_order(1 - labels, labels, 2) is not None
