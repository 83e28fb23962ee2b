"""`classify`: photos on this device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.common.messages import MessageFn, unheard
from edge_fm.api.common.places import choose_artifact

if TYPE_CHECKING:
    from edge_fm_runtime.classifier import Classification, Failure


def classify(
    photos: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    *,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = 32,
    top_k: int = 1,
    recursive: bool = False,
    max_pixels: int | None = None,
    note: MessageFn = unheard,
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
        max_pixels: refuse larger photos; None for 50,000,000.
        note: called with the choices that were made.

    Yields:
        A classification for each photo; a failure, whose `error` says why, for one that cannot be read. Each has the
        `to_json()` that `edgefm infer --json` prints.

    Raises:
        EdgeFMError: there is no artifact, or it cannot be run here.
    """
    from edge_fm.api.common.photo_list import PhotoList
    from edge_fm_runtime.classifier import Classifier, Failure
    from edge_fm_runtime.photos.photo import DEFAULT_MAX_PIXELS

    given = [photos] if isinstance(photos, str | Path) else photos
    listed = PhotoList(tuple(str(photo) for photo in given), recursive=recursive)
    path = choose_artifact(model, note)
    limit = max_pixels or DEFAULT_MAX_PIXELS
    with Classifier.load(path, engine=engine, device=device, threads=threads, max_pixels=limit) as classifier:
        if classifier.profile_note is not None:
            note(classifier.profile_note)
        for found in classifier.classify_many(listed, batch_size=batch_size, top_k=top_k):
            yield listed.explained(found) if isinstance(found, Failure) else found
