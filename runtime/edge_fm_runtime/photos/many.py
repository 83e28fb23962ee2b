"""Many photos: decoded on every core while a batch is in the engine, in input order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from edge_fm_runtime.classification import Classification, Decoded, Failure, photo_name
from edge_fm_runtime.errors import EngineError, PhotoError
from edge_fm_runtime.model_outputs import ClassifyFn
from edge_fm_runtime.photos.decode_worker import DecodeWorker
from edge_fm_runtime.photos.decoding import ParallelDecoder
from edge_fm_runtime.system.machine import usable_cpus

Photo = TypeVar("Photo")


def classify_batches(
    photos: Iterable[Photo],
    decode: Callable[[Photo], Decoded],
    classify: ClassifyFn,
    calls: AbstractContextManager[None],
    *,
    batch_size: int,
    start: Callable[[], DecodeWorker],
    processes: bool | str,
) -> Iterator[Classification | Failure]:
    """Classify photos as they come; see `Classifier.classify_many`.

    Args:
        photos: drawn lazily.
        decode: from a photo to what the model sees; raises PhotoError.
        classify: a batch.
        calls: counts a call in flight.
        batch_size: how many photos a batch has, at most.
        start: makes a child process that decodes.
        processes: whether to start them; "auto": where threads leave cores idle.

    Raises:
        EngineError: `processes` is something else.
    """

    def try_decode(photo: Photo, worker: DecodeWorker | None = None) -> Decoded | Failure:
        name = photo_name(photo)
        try:
            return decode(photo) if worker is None else Decoded(name, *worker.canvas(name))
        except PhotoError as error:
            return Failure(name, error)

    if processes not in (True, False, "auto"):
        raise EngineError(f"processes is {processes!r}; it is True, False or 'auto'.", hint="Leave it out for threads.")
    workers = usable_cpus()
    decoder = ParallelDecoder(
        photos,
        try_decode,
        workers=workers,
        ahead=2 * batch_size + 2 * workers,  # decoding goes on while a batch is in the engine
        start=start if processes and workers > 1 else None,
        only_if_idle=processes == "auto",
    )
    try:
        for ready in decoder.batches(batch_size):
            decoded = [one for one in ready if isinstance(one, Decoded)]
            with calls:
                classified = iter(classify(decoded)[0] if decoded else [])
            for item in ready:
                yield item if isinstance(item, Failure) else next(classified)
    finally:
        decoder.close()
