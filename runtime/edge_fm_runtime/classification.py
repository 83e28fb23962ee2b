"""The results of classifying photos."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.errors import EdgeFMError, EngineError, PhotoError


@dataclass(frozen=True)
class Prediction:
    """One class and its probability.

    Attributes:
        label: the class's label.
        index: the class's number.
        score: probability, 0..1.
    """

    label: str
    index: int
    score: float


class Best:
    """What the classes of a result say: of a photo, or of several frames together."""

    top: tuple[Prediction, ...]
    rejected: bool | None
    labels: tuple[Prediction, ...] | None

    @property
    def label(self) -> str | None:
        """Label of the most probable class; None where the classification is rejected, or no label applies."""
        if self.labels is not None:
            return self.labels[0].label if self.labels else None
        return None if self.rejected else self.top[0].label

    @property
    def index(self) -> int:
        """Number of the most probable class."""
        return self.top[0].index

    @property
    def score(self) -> float:
        """Probability of the most probable class."""
        return self.top[0].score

    def best_json(self, **more: Any) -> dict[str, Any]:
        """Label, index, score and classes as JSON has them; `more` stands before what only some models have."""
        row: dict[str, Any] = {"label": self.label, "index": self.index, "score": round(self.score, 6)}
        row |= {"top": [_json(p) for p in self.top]} | more
        if self.labels is not None:
            row["labels"] = [_json(p) for p in self.labels]
        return row if self.rejected is None else row | {"rejected": self.rejected}


@dataclass(frozen=True)
class Classification(Best):
    """The result for one photo.

    Attributes:
        input: the path as given, or "<image>" for what came without one.
        top: the most probable classes, best first.
        decode_ms: time from file to canvas.
        infer_ms: time in the engine; in a batch, the batch's time divided by its size.
        rejected: whether the best score is below the classifier's `min_score`; None where it has none.
        embedding: float32 `[features]`, the model's feature vector of the photo; None where it was not requested.
        heatmap: float32 `[h,w]`, what each place of the canvas adds to the logit of the most probable class, in the
            resolution of the model's last feature map; None where it was not requested.
        labels: of a multi-label model, the labels whose score is at least their threshold, best first; None for a model
            of one class of many.
    """

    input: str
    top: tuple[Prediction, ...]
    decode_ms: float
    infer_ms: float
    rejected: bool | None = None
    embedding: npt.NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    heatmap: npt.NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    labels: tuple[Prediction, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm infer --json` prints."""
        times = {"decode_ms": round(self.decode_ms, 3), "infer_ms": round(self.infer_ms, 3)}
        return {"input": utf8_name(self.input), **self.best_json(error=None, **times)}


@dataclass(frozen=True, eq=False)
class Decoded:
    """A photo that is ready to be classified.

    Attributes:
        name: the path as given, or "<image>" for what came without one.
        canvas: uint8 `[H,W,C]`, what the model sees.
        decode_ms: time from file to canvas.
    """

    name: str
    canvas: Pixels
    decode_ms: float


@dataclass(frozen=True)
class Failure:
    """A photo that could not be classified.

    Attributes:
        input: the path as given.
        error: why.
    """

    input: str
    error: EdgeFMError

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm infer --json` prints."""
        row: dict[str, Any] = {"input": utf8_name(self.input), "label": None, "index": None, "score": None, "top": []}
        return row | {"error": str(self.error), "decode_ms": None, "infer_ms": None}


def _json(prediction: Prediction) -> dict[str, Any]:
    return {"label": prediction.label, "index": prediction.index, "score": round(prediction.score, 6)}


def utf8_name(name: str) -> str:
    """The name of a file as text, with bytes that are no UTF-8 escaped, as `to_json` gives it."""
    return name.encode("utf-8", "backslashreplace").decode()


def best_classes(labels: Sequence[str], row: npt.NDArray[np.float32], top_k: int) -> tuple[Prediction, ...]:
    """The `top_k` most probable classes of one image's probabilities `[classes]`, best first.

    Raises:
        EngineError: `top_k` is less than 1.
    """
    order = np.argsort(-row, kind="stable")[: checked_top_k(top_k)]
    return tuple(Prediction(labels[i], int(i), float(row[i])) for i in order)


def classification_of(
    metadata: Metadata,
    row: npt.NDArray[np.float32],
    name: str,
    top_k: int,
    min_score: float | None,
    decode_ms: float,
    infer_ms: float,
) -> Classification:
    """The result for one photo whose probabilities have been computed.

    Args:
        metadata: of the artifact.
        row: `[classes]`, the probabilities.
        name: of the photo.
        top_k: how many classes to return.
        min_score: a photo whose best score is below this is rejected; None rejects none.
        decode_ms: time from file to canvas.
        infer_ms: time in the engine.

    Raises:
        EngineError: `top_k` is less than 1.
    """
    top = best_classes(metadata.labels, row, top_k)
    rejected = None if min_score is None else top[0].score < min_score
    return Classification(name, top, decode_ms, infer_ms, rejected, labels=applying(metadata, row))


def photo_name(photo: object) -> str:
    """What to call a photo: its path, or "<image>" for what came without one."""
    return os.fspath(photo) if isinstance(photo, str | os.PathLike) else "<image>"


def applying(metadata: Metadata, row: npt.NDArray[np.float32]) -> tuple[Prediction, ...] | None:
    """The labels of a multi-label artifact whose score is at least their threshold, best first; None for other models.

    Args:
        metadata: of the artifact.
        row: `[labels]`, the probabilities of one image.
    """
    if metadata.task is None:
        return None
    from edge_fm_runtime.multi_label import label_thresholds

    thresholds, order = label_thresholds(metadata), np.argsort(-row, kind="stable")
    best = (Prediction(metadata.labels[i], int(i), float(row[i])) for i in order)
    return tuple(one for one in best if one.score >= thresholds[one.index])


def checked_top_k(top_k: int) -> int:
    """`top_k`, if it asks for at least one class.

    Raises:
        EngineError: it asks for less, and there would be no label.
    """
    if top_k < 1:
        raise EngineError(f"top_k is {top_k}; a photo gets at least one class.", hint="Leave it out for the best one.")
    return top_k


def check_batches(photos: Iterable[Any], batch_size: int) -> None:
    """Refuse one photo where several are expected (a path would be taken apart into its letters), and empty batches.

    Raises:
        PhotoError: `photos` is a single path, the bytes of a file, or an image.
        EngineError: `batch_size` is less than 1.
    """
    one_image = isinstance(photos, np.ndarray) and (photos.ndim < 3 or (photos.ndim == 3 and photos.shape[2] in (3, 4)))
    if one_image or isinstance(photos, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        raise PhotoError(
            f"Several photos are expected, such as a list; got one {type(photos).__name__}.",
            hint="Put it into a list, [photo], or call classify(photo).",
        )
    if batch_size < 1:
        raise EngineError(f"batch_size is {batch_size}; a batch has at least one image.", hint="Leave it out.")
