"""`classify`: photos on this device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_fm.api.common.photo_list import PhotoList, lone_file
from edge_fm.api.common.places import select_artifact
from edge_fm_runtime.classification import Classification, Failure
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.progress import MessageFn, ignore_message
from edge_fm_runtime.system.allocator import keep_freed_memory
from edge_fm_runtime.system.garbage_collection import uncollected_import


@dataclass(frozen=True, eq=False)
class OpenedPhotos:
    """Photos that are being classified.

    Attributes:
        classifier: the opened artifact.
        photos: the listed photos.
        predictions: one classification or failure for each photo, in order.
        lone: whether a single file was given.
    """

    classifier: Classifier
    photos: PhotoList
    predictions: Iterator[Classification | Failure]
    lone: bool


def classify(
    photos: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    *,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = BATCH_SIZE,
    top_k: int = 1,
    recursive: bool = False,
    max_pixels: int | None = None,
    min_score: float | Literal["auto"] | None = None,
    note: MessageFn = ignore_message,
) -> Iterator[Classification | Failure]:
    """Classify photos with an exported artifact, lazily and in order.

    To keep an artifact open between calls, use `Classifier.load`.

    Args:
        photos: files, folders or glob patterns; "-" for a list of paths on stdin, one a line.
        model: the artifact; None for $EDGEFM_MODEL, else the newest export under runs/, else the one in the package.
        engine: library that runs the artifact.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        batch_size: images through the engine at once.
        top_k: how many classes each photo gets.
        recursive: look into subfolders too.
        max_pixels: refuse larger photos; None for `DEFAULT_MAX_PIXELS`, 50,000,000.
        min_score: give no label to a photo whose best score is below this; "auto" for the threshold that the artifact
            records, None to label every photo.
        note: called with the choices that were made.

    Yields:
        A classification for each photo; a failure, whose `error` says why, for one that cannot be read. Each has the
        `to_json()` that `edgefm infer --json` prints.

    Raises:
        EdgeFMError: there is no artifact, or it cannot be run here.
    """
    with open_photos(
        photos,
        model,
        engine=engine,
        device=device,
        threads=threads,
        batch_size=batch_size,
        top_k=top_k,
        recursive=recursive,
        max_pixels=max_pixels,
        min_score=min_score,
        note=note,
    ) as opened:
        yield from opened.predictions


@contextmanager
def open_photos(
    photos: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    *,
    batch_size: int = BATCH_SIZE,
    top_k: int = 1,
    recursive: bool = False,
    max_pixels: int | None = None,
    one_shot: bool = False,
    heatmap: bool = False,
    note: MessageFn = ignore_message,
    **engine_options: Any,
) -> Iterator[OpenedPhotos]:
    """Open the artifact and list the photos; arguments as for `classify`, `engine_options` for `Classifier.load`.

    `one_shot` is for a process that does nothing else. A lone file then starts no thread pool and follows no device
    profile, as what is fastest when warm may take longer to start than one photo takes. Threads of the engine do not
    spin while they wait, which would take the cores from decoding. Photos are decoded in processes where threads leave
    cores idle. Libraries are imported without garbage collections, and memory of one photo is kept for the next.
    `heatmap` is that of `Classifier.classify`.
    """
    given = tuple(map(str, [photos] if isinstance(photos, str | Path) else photos))
    lone = lone_file(given) if one_shot else None
    listed = PhotoList(given, recursive=recursive)
    if one_shot and lone is None:
        keep_freed_memory()
    with uncollected_import() if one_shot else nullcontext():
        loaded = Classifier.load(
            select_artifact(model, note),
            one_shot=one_shot,
            max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
            profile=lone is None,
            **engine_options,
        )
    with loaded as classifier:
        if classifier.profile_note is not None:
            note(classifier.profile_note)
        if lone is None:
            found = classifier.classify_many(
                listed, batch_size=batch_size, top_k=top_k, processes=one_shot and "auto", heatmap=heatmap
            )
        else:
            found = _classify_one(classifier, lone, top_k, heatmap=heatmap)
        predictions = (listed.explained(one) if isinstance(one, Failure) else one for one in found)
        yield OpenedPhotos(classifier, listed, predictions, lone is not None)


def _classify_one(
    classifier: Classifier, path: str, top_k: int, *, heatmap: bool
) -> Iterator[Classification | Failure]:
    try:
        yield classifier.classify(path, top_k=top_k, heatmap=heatmap)
    except PhotoError as error:
        yield Failure(path, error)
