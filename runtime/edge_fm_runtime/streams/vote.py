"""A vote over the last predictions of a stream: the mean of their probabilities."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.classification import Best, Prediction, classification_of
from edge_fm_runtime.errors import EngineError

LONGEST_WINDOW = 10_000


@dataclass(frozen=True)
class Vote(Best):
    """What the frames of a window show together: the mean of their probabilities (soft voting).

    Attributes:
        frames: how many predictions the window holds; fewer than its length at the beginning of a stream.
        top: the classes with the highest mean probability, best first.
        rejected: whether the best mean is below the classifier's `min_score`; None where it has none.
        labels: of a multi-label model, the labels whose mean score is at least their threshold, best first; None for a
            model of one class of many.
    """

    frames: int
    top: tuple[Prediction, ...]
    rejected: bool | None = None
    labels: tuple[Prediction, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm infer --video --json` prints as `vote`."""
        return {"frames": self.frames, **self.best_json()}


class Window:
    """The probabilities of the last frames.

    Args:
        length: how many frames, at most.
        metadata: of the artifact that classifies them.
        top_k: how many classes a vote names.
        min_score: a vote whose best mean is below this is rejected; None rejects none.

    Raises:
        EngineError: the length is out of range.
    """

    def __init__(self, length: int, metadata: Metadata, top_k: int, min_score: float | None) -> None:
        if not 1 <= length <= LONGEST_WINDOW:
            raise EngineError(
                f"window is {length}; a vote is over 1 to {LONGEST_WINDOW:,} frames.", hint="Such as 15, half a second."
            )
        self._rows: deque[npt.NDArray[np.float32]] = deque(maxlen=length)
        self._metadata, self._top_k, self._min_score = metadata, top_k, min_score

    def add(self, row: npt.NDArray[np.float32]) -> Vote:
        """The vote once a frame's probabilities, float32 `[classes]`, are in the window, and the oldest left it.

        The mean is computed in float64 from what the window holds, so that it does not depend on what left it.
        """
        self._rows.append(row)
        mean: npt.NDArray[np.float32] = np.stack(self._rows).mean(axis=0, dtype=np.float64).astype(np.float32)
        found = classification_of(self._metadata, mean, "", self._top_k, self._min_score, 0.0, 0.0)
        return Vote(len(self._rows), found.top, found.rejected, found.labels)
