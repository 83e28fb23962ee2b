"""What is seen of photos or canvases: predictions, embeddings and image statistics, without the pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Floats, Pixels
from edge_fm_runtime.artifacts.metadata import MULTI_LABEL
from edge_fm_runtime.classification import Failure, check_batches, photo_name
from edge_fm_runtime.drift.image_statistics import image_statistics
from edge_fm_runtime.drift.partitions import log_odds, unit_length
from edge_fm_runtime.drift.reference import SPACES, STATISTIC_TYPE
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.model_outputs import run_checked
from edge_fm_runtime.photos.canvas import check_shape
from edge_fm_runtime.photos.decoding import ParallelDecoder
from edge_fm_runtime.system.machine import usable_cpus

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.artifact import Artifact
    from edge_fm_runtime.classifier import Classifier, Photo
    from edge_fm_runtime.engines import Engine
    from edge_fm_runtime.photos.decode_worker import DecodeWorker


@dataclass(frozen=True, eq=False)
class Observation:
    """Images in numbers.

    Attributes:
        classes: int64 `[N]`, the most probable class of each image; None of multi-label models.
        statistics: float16 `[N]` by name, as in `DriftReference.statistics`.
        vectors: float32 `[N,D]`: `predictions`, and `embedding` where the artifact returns it.
        copies: how many images have the very pixels of an earlier one.
    """

    classes: npt.NDArray[np.int64] | None
    statistics: dict[str, npt.NDArray[np.float16]]
    vectors: dict[str, Floats]
    copies: int = 0

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.vectors[SPACES[0]])


def observe_batch(engine: Engine, artifact: Artifact, images: Pixels) -> Observation:
    """Run a model on canvases uint8 `[N,H,W,C]`, at least one, and describe them.

    Raises:
        EngineError: the model computes no finite numbers of the recorded shapes.
    """
    with_embedding = SPACES[1] in [output.name for output in artifact.metadata.extra_outputs]
    probabilities, outputs = run_checked(engine, images, (SPACES[1],) if with_embedding else (), artifact)
    multi_label = artifact.metadata.task == MULTI_LABEL
    statistics = image_statistics(images)
    if not multi_label:
        statistics = {"scores": probabilities.max(axis=1), **statistics}
    vectors = {SPACES[0]: log_odds(probabilities, multi_label=multi_label)}
    if with_embedding:
        vectors[SPACES[1]] = unit_length(outputs[SPACES[1]])
    return Observation(
        None if multi_label else probabilities.argmax(axis=1).astype(np.int64),
        {name: values.astype(STATISTIC_TYPE) for name, values in statistics.items()},
        vectors,
    )


def joined(parts: Sequence[Observation]) -> Observation:
    """The observations of several batches, at least one, as one."""
    classes = [part.classes for part in parts if part.classes is not None]
    return Observation(
        np.concatenate(classes) if classes else None,
        {name: np.concatenate([part.statistics[name] for part in parts]) for name in parts[0].statistics},
        {name: np.concatenate([part.vectors[name] for part in parts]) for name in parts[0].vectors},
        sum(part.copies for part in parts),
    )


def observe(engine: Engine, artifact: Artifact, images: Pixels, *, batch: int) -> Iterator[Observation]:
    """Describe canvases uint8 `[N,H,W,C]`, so many at once; one observation for each batch."""
    for start in range(0, len(images), batch):
        yield observe_batch(engine, artifact, np.asarray(images[start : start + batch]))


def observe_photos(
    classifier: Classifier, photos: Iterable[Photo], *, batch_size: int, failed: Callable[[Failure], None]
) -> Iterator[Observation]:
    """Describe photos as they come; decoding runs beside inference, and no more than some batches are held.

    Args:
        classifier: the artifact, opened.
        photos: as `Classifier.classify_many` takes them.
        batch_size: canvases that go through the engine at once, at most.
        failed: called with each photo that cannot be read.

    Yields:
        an observation for each batch.
    """
    artifact = classifier.artifact
    shape, spec = artifact.metadata.input.shape, artifact.metadata.photo
    check_batches(photos, batch_size)
    check_shape(shape)

    def decode(photo: Photo, worker: DecodeWorker | None) -> Pixels | Failure:
        name = photo_name(photo)
        try:
            return classifier.canvas(photo) if worker is None else worker.canvas(name)[0]
        except PhotoError as error:
            return Failure(name, error)

    def start() -> DecodeWorker:
        from edge_fm_runtime.photos.decode_worker import DecodeWorker

        return DecodeWorker(shape, spec, classifier.max_pixels)

    workers = usable_cpus()
    decoder = ParallelDecoder(
        photos, decode, workers=workers, ahead=2 * batch_size + 2 * workers, start=start if workers > 1 else None
    )
    seen: set[bytes] = set()
    try:
        for ready in decoder.batches(batch_size):
            canvases = []
            for one in ready:
                if isinstance(one, Failure):
                    failed(one)
                else:
                    canvases.append(one)
            if canvases:
                digests = [hashlib.sha256(canvas.tobytes()).digest() for canvas in canvases]
                new = len({*digests} - seen)
                seen.update(digests)
                yield replace(
                    observe_batch(classifier.engine, artifact, np.stack(canvases)), copies=len(canvases) - new
                )
    finally:
        decoder.close()
