"""Multi-label predictions: average precision, thresholds by F1, and how far two models are apart.

Average precision is that of scikit-learn's `average_precision_score`: the sum over the thresholds of precision times
the recall that is won there, without interpolation; equal scores count at once. mAP is its mean over the labels that
occur among the images ("macro"); a label without a positive image has no average precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.multi_label import DEFAULT_THRESHOLD
from edge_fm_runtime.parity.binomial import exact_interval
from edge_fm_runtime.parity.comparison import FloatArray, IntArray, Parity, WorstSample, check_comparable

_WORST = 10
_TAIL = 0.025
_RESAMPLES, _FEWEST_RESAMPLES, _MOST_WORK = 1000, 200, 40_000_000
"""Resamples of the bootstrap: fewer where images times labels are many."""
_AT_ONCE = 50
_BETTER, _TOO_MANY = 0.1, 0.9
"""A tenth of the way from drawn scores to perfect ones; nothing can be told where nearly all images have each label."""


@dataclass(frozen=True)
class MultiLabelParity(Parity):
    """How far a multi-label model's predictions are from the original's.

    Both decide each label at the artifact's own threshold. Of the attributes of `Parity`, `top1_agreement` is the least
    share, over the labels, of images on which both decide the same about a label, and its interval holds for all labels
    together (Bonferroni); `accuracy` and `accuracy_reference` are mAPs, `drop_points` and `per_class_drop` what mAP and
    average precision lose in points; `drop_ci95` is the paired percentile bootstrap interval over images (Efron 1979).

    Attributes:
        per_label_agreement: label -> share of images on which both decide the same about it.
    """

    per_label_agreement: dict[str, float]

    @property
    def agreement_name(self) -> str:
        """What `top1_agreement` is called in checks and JSON."""
        return "label_agreement"

    @property
    def measure(self) -> str:
        """What `accuracy` measures."""
        return "mAP"

    @property
    def agreement_ci95(self) -> tuple[float, float]:
        """Interval of the least agreement (Clopper and Pearson 1934), 95% for all labels together."""
        return exact_interval(self.agreeing, self.n, tail=_TAIL / len(self.per_label_agreement))

    def describe_disagreement(self) -> str:
        """How many decisions differ of the label with the least agreement, for a person."""
        label = min(self.per_label_agreement, key=lambda name: self.per_label_agreement[name])
        return f"{self.n - self.agreeing:,} of {self.n:,} decisions on {label!r} differ"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "n": self.n,
            "max_abs_diff": self.max_abs_diff,
            "mean_abs_diff": self.mean_abs_diff,
            "label_agreement": self.top1_agreement,
            "per_label_agreement": dict(self.per_label_agreement),
            "map_reference": self.accuracy_reference,
            "map": self.accuracy,
            "drop_points": self.drop_points,
            "drop_ci95": None if self.drop_ci95 is None else list(self.drop_ci95),
            "per_label_drop": self.per_class_drop,
            "agreement_ci95": list(self.agreement_ci95),
            "worst": [{"index": w.index, "max_abs_diff": w.max_abs_diff, "label": w.reference} for w in self.worst],
        }


def compare_multi_label(
    reference: FloatArray,
    candidate: FloatArray,
    thresholds: Sequence[float],
    label_names: Sequence[str],
    *,
    truth: IntArray | None = None,
) -> MultiLabelParity:
    """Compare two multi-label models' predictions for the same images.

    Args:
        reference: `[N, labels]` probabilities of the original.
        candidate: `[N, labels]` probabilities of the exported model.
        thresholds: from which score on a label applies, one for each label.
        label_names: one for each label.
        truth: `[N, labels]`, 1 where a label applies, else 0; None where that is not known.

    Raises:
        EngineError: the shapes differ, there is nothing to compare, or a probability is not finite.

    Example:
        >>> p = np.array([[0.9, 0.8], [0.2, 0.7]])
        >>> compare_multi_label(p, p, [0.5, 0.5], ["cat", "dog"], truth=np.array([[1, 1], [0, 1]])).accuracy
        1.0
    """
    check_comparable(reference, candidate)
    diff = np.abs(reference.astype(np.float64) - candidate.astype(np.float64))
    per_sample, moved = diff.max(axis=1), diff.argmax(axis=1)
    same = (decide(reference, thresholds) == decide(candidate, thresholds)).mean(axis=0)
    worst = np.argsort(-per_sample, kind="stable")[:_WORST]
    before = after = drop = interval = per_label = None
    if truth is not None and truth.any():
        applies = truth.astype(np.bool_)
        ours, theirs = average_precisions(candidate, applies), average_precisions(reference, applies)
        before, after = float(np.nanmean(theirs)), float(np.nanmean(ours))
        drop, interval = 100.0 * (before - after), map_drop_interval(reference, candidate, applies)
        per_label = {
            name: 100.0 * float(theirs[i] - ours[i]) for i, name in enumerate(label_names) if applies[:, i].any()
        }
    return MultiLabelParity(
        n=len(reference),
        max_abs_diff=float(diff.max()),
        mean_abs_diff=float(diff.mean()),
        top1_agreement=float(same.min()),
        accuracy_reference=before,
        accuracy=after,
        drop_points=drop,
        drop_ci95=interval,
        per_class_drop=per_label,
        worst=tuple(WorstSample(int(i), float(per_sample[i]), int(moved[i]), int(moved[i])) for i in worst),
        per_label_agreement={name: float(same[i]) for i, name in enumerate(label_names)},
    )


def decide(probabilities: FloatArray, thresholds: Sequence[float]) -> npt.NDArray[np.bool_]:
    """Which labels apply: bool `[N, labels]`, where a score of `[N, labels]` is at least its label's threshold."""
    return np.asarray(probabilities.astype(np.float64) >= np.asarray(thresholds, np.float64))


def average_precisions(probabilities: FloatArray, truth: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The average precision of each label, float64 `[labels]`; NaN of a label that no image has.

    Args:
        probabilities: `[N, labels]`.
        truth: `[N, labels]`, which labels apply.

    Example:
        >>> scores, truth = np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[False], [False], [True], [True]])
        >>> round(float(average_precisions(scores, truth)[0]), 4)
        0.8333
    """
    once = np.ones((1, len(truth)))
    return np.array([_Ranking(probabilities[:, i], truth[:, i]).precision(once)[0] for i in range(truth.shape[1])])


def mean_average_precision(probabilities: FloatArray, truth: npt.NDArray[np.bool_]) -> float:
    """The mean of `average_precisions` over the labels that occur; NaN where none does."""
    found = average_precisions(probabilities, truth)
    return float(found[~np.isnan(found)].mean()) if not np.isnan(found).all() else float("nan")


def best_thresholds(probabilities: FloatArray, truth: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """For each label the threshold with the best F1, half way between the scores on its two sides.

    Of equals the highest is taken. A label that no image has, or every image, gets 0.5: there is nothing to tell apart.

    Args:
        probabilities: `[N, labels]`, of images that nothing was learned from.
        truth: `[N, labels]`, which labels apply.

    Example:
        >>> best_thresholds(np.array([[0.9], [0.6], [0.2]]), np.array([[True], [True], [False]]))
        (0.4,)
    """
    return tuple(_best_threshold(probabilities[:, i], truth[:, i]) for i in range(truth.shape[1]))


def multi_label_warning(probabilities: FloatArray, truth: npt.NDArray[Any], *, who: str, data: str) -> str | None:
    """A warning where the scores of labels are no better than drawn ones; None where they are.

    Scores that say nothing have a mAP of about the share of images that have a label.

    Args:
        probabilities: `[N, labels]`.
        truth: `[N, labels]`, 1 where a label applies, else 0.
        who: what to call the model.
        data: what to call the images.
    """
    applies = truth.astype(np.bool_)
    if not applies.any():
        return f"No image of {data} has a label: mAP and F1 cannot be computed."
    found = mean_average_precision(probabilities, applies)
    shares = applies.mean(axis=0)
    by_chance = float(shares[shares > 0].mean())
    if by_chance > _TOO_MANY or found > by_chance + _BETTER * (1.0 - by_chance):
        return None
    return (
        f"{who} has a mAP of {found:.3f} on {data}, hardly better than drawn scores, which have {by_chance:.3f}. "
        "Look at the order of the labels and at the scaling of pixels."
    )


def _best_threshold(scores: FloatArray, truth: npt.NDArray[np.bool_]) -> float:
    if truth.all() or not truth.any():
        return DEFAULT_THRESHOLD
    ranking = _Ranking(scores, truth)
    hits = np.cumsum(ranking.truth)[ranking.ends]
    f1 = 2 * hits / (ranking.ends + 1 + int(truth.sum()))
    cut = int(f1.argmax())
    last = float(ranking.scores[ranking.ends[cut]])
    below = float(ranking.scores[ranking.ends[cut] + 1]) if cut + 1 < len(ranking.ends) else 0.0
    return (last + below) / 2


class _Ranking:
    """Images by the score of one label, the highest first; `ends` are the last places of equal scores."""

    def __init__(self, scores: FloatArray, truth: npt.NDArray[np.bool_]) -> None:
        self.order = np.argsort(-scores.astype(np.float64), kind="stable")
        self.scores, self.truth = scores[self.order], truth[self.order]
        self.ends = np.append(np.flatnonzero(np.diff(self.scores)), len(scores) - 1)

    def precision(self, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Average precision `[R]` where image i counts `weights[:, i]` times, of `[R, N]`; NaN without a positive."""
        ordered = weights[:, self.order]
        hits = np.cumsum(ordered * self.truth, axis=1)[:, self.ends]
        seen = np.cumsum(ordered, axis=1)[:, self.ends]
        won = np.diff(hits, axis=1, prepend=0.0)
        total = hits[:, -1]
        sums = (won * hits / np.maximum(seen, 1.0)).sum(axis=1)
        return np.asarray(np.where(total > 0, sums / np.maximum(total, 1.0), np.nan))


def map_drop_interval(
    reference: FloatArray, candidate: FloatArray, truth: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """95% interval of the drop of mAP in points: the same images are drawn again for both models, with a fixed seed."""
    n, labels = truth.shape
    wanted = int(np.clip(_MOST_WORK // (n * labels), _FEWEST_RESAMPLES, _RESAMPLES))
    rankings = [
        [_Ranking(scores[:, i], truth[:, i]) for scores in (reference, candidate)]
        for i in range(labels)
        if truth[:, i].any()
    ]
    rng = np.random.default_rng(0)
    drops = []
    for start in range(0, wanted, _AT_ONCE):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(_AT_ONCE, wanted - start)).astype(np.float64)
        lost = np.array([before.precision(drawn) - after.precision(drawn) for before, after in rankings])
        known = ~np.isnan(lost)
        count = known.sum(axis=0)
        drops.append((np.where(known, lost, 0.0).sum(axis=0) / np.maximum(count, 1))[count > 0])
    low, high = np.quantile(100.0 * np.concatenate(drops), [_TAIL, 1 - _TAIL])
    return float(low), float(high)
