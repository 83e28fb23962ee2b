"""`drift`: whether what a device sees has changed since the export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.api.common.photo_list import PhotoList
from edge_fm_runtime.artifacts.metadata import MULTI_LABEL
from edge_fm_runtime.classification import Failure
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.drift.comparison import DriftTest, compare
from edge_fm_runtime.drift.limits import ALPHA, FEW_PHOTOS, LEAST_ALPHA, LEAST_PHOTOS, MOST_ALPHA
from edge_fm_runtime.drift.observation import Observation, joined, observe, observe_photos
from edge_fm_runtime.drift.reference import SPACES, load_reference
from edge_fm_runtime.errors import EngineError, PhotoError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent


@dataclass(frozen=True, eq=False)
class DriftResult:
    """Photos beside the held-out images that an artifact records.

    Attributes:
        artifact: its path.
        changed: whether any test says so.
        alpha: the false-alarm rate of all tests together.
        photos: how many photos were compared.
        copies: how many of them have the very pixels of another.
        held_out: how many images they were compared with.
        dataset: what these are called.
        tests: what was compared, each with its p-value.
        notes: what the result depends on, a sentence each: too few photos, copies, tests that could not be made.
        failures: the photos that could not be read.
    """

    artifact: Path
    changed: bool
    alpha: float
    photos: int
    copies: int
    held_out: int
    dataset: str
    tests: tuple[DriftTest, ...]
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm drift --json` prints."""
        return {
            "artifact": str(self.artifact),
            "changed": self.changed,
            "alpha": self.alpha,
            "photos": self.photos,
            "copies": self.copies,
            "held_out": self.held_out,
            "dataset": self.dataset,
            "tests": [test.to_json() for test in self.tests],
            "notes": list(self.notes),
            "failed": [{"input": row["input"], "error": row["error"]} for row in (f.to_json() for f in self.failures)],
        }


def drift(
    artifact: str | Path,
    photos: str | Path | Sequence[str | Path] | npt.NDArray[np.uint8],
    *,
    alpha: float = ALPHA,
    recursive: bool = False,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = BATCH_SIZE,
    max_pixels: int | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> DriftResult:
    """Compare photos with the held-out images that an artifact records, by two-sample tests.

    Compared are the predicted classes, the scores, the probabilities of all classes together, the embeddings (of an
    artifact that was exported with `--outputs embedding`), brightness, contrast, sharpness, highlights and, of colour
    images, colours. The tests are right for independent photos: frames of one scene are not.

    Args:
        artifact: folder of an artifact that records held-out images, or the name of one in the package.
        photos: files, folders or glob patterns, "-" for a list of paths on stdin; or canvases uint8 `[N,H,W,C]` of the
            model's size.
        alpha: chance of "changed" where nothing has changed, all tests together, from 0.01 to 0.5.
        recursive: look into subfolders too.
        engine: library that runs the artifact.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        batch_size: images through the engine at once.
        max_pixels: refuse larger photos; None for `DEFAULT_MAX_PIXELS`, 50,000,000.
        progress: called as photos are compared.
        note: called with the choices that were made.

    Raises:
        ArtifactError: there is no artifact, or it records no held-out images; the hint says how to export one.
        PhotoError: fewer than 30 photos can be read.
        EdgeFMError: the artifact cannot be run here.
    """
    if not LEAST_ALPHA <= alpha <= MOST_ALPHA:
        raise EngineError(
            f"The false-alarm rate is {alpha!r}; supported: {LEAST_ALPHA:g} to {MOST_ALPHA:g}.",
            hint=f"Leave it out for {ALPHA:g}.",
        )
    failures: list[Failure] = []
    with Classifier.load(
        artifact, engine, device, threads, one_shot=True, max_pixels=max_pixels or DEFAULT_MAX_PIXELS
    ) as classifier:
        opened = classifier.artifact
        reference = load_reference(opened)
        if isinstance(photos, np.ndarray):
            parts = _observe_canvases(classifier, photos, batch_size, progress)
        else:
            paths = tuple(map(str, [photos] if isinstance(photos, str | Path) else photos))
            parts = _observe_listed(
                classifier, PhotoList(paths, recursive=recursive), batch_size, failures, progress, note
            )
    n = sum(part.n for part in parts)
    if n < LEAST_PHOTOS:
        unread = f", and {len(failures):,} that could not be read" if failures else ""
        first = f" The first: {failures[0].error.message}" if failures else ""
        raise PhotoError(
            f"Got {n:,} {'photo' if n == 1 else 'photos'}{unread}; at least {LEAST_PHOTOS} are compared.{first}",
            hint=f"Give more photos, taken independently of each other; {FEW_PHOTOS * 3} show most changes.",
        )
    seen = joined(parts)
    metadata = opened.metadata
    tests = compare(reference, seen, metadata.labels, alpha=alpha)
    return DriftResult(
        opened.path,
        any(test.changed for test in tests),
        alpha,
        n,
        seen.copies,
        reference.n,
        str((metadata.drift or {}).get("dataset", "held-out images")),
        tests,
        _notes(n, seen.copies, reference.n, tests, multi_label=metadata.task == MULTI_LABEL),
        tuple(failures),
    )


def _observe_canvases(
    classifier: Classifier, canvases: npt.NDArray[np.uint8], batch_size: int, progress: ProgressFn
) -> list[Observation]:
    shape = classifier.artifact.metadata.input.shape
    if canvases.dtype != np.uint8 or canvases.shape[1:] != shape:
        raise PhotoError(
            f"Got {canvases.dtype} pixels of shape {list(canvases.shape)}; the model takes uint8 "
            f"[N, {', '.join(map(str, shape))}].",
            hint="Give the paths of photos of any size.",
        )
    parts: list[Observation] = []
    for part in observe(classifier.engine, classifier.artifact, canvases, batch=batch_size):
        progress("comparing photos", len(parts) * batch_size, len(canvases))
        parts.append(part)
    if parts:
        different = len({canvas.tobytes() for canvas in canvases})
        parts[0] = replace(parts[0], copies=len(canvases) - different)
    return parts


def _observe_listed(
    classifier: Classifier,
    listed: PhotoList,
    batch_size: int,
    failures: list[Failure],
    progress: ProgressFn,
    note: MessageFn,
) -> list[Observation]:
    total, done = listed.count(), 0
    parts: list[Observation] = []

    def failed(failure: Failure) -> None:
        failures.append(listed.explained(failure))

    for part in observe_photos(classifier, listed, batch_size=batch_size, failed=failed):
        parts.append(part)
        done += part.n
        progress("comparing photos", done, total)
    if passed_over := listed.describe_passed_over():
        note(f"Passed over: {passed_over}.")
    return parts


def _notes(n: int, copies: int, held_out: int, tests: Sequence[DriftTest], *, multi_label: bool) -> tuple[str, ...]:
    notes = []
    if n < FEW_PHOTOS:
        notes.append(f"With {n} photos only large changes are seen; {3 * FEW_PHOTOS} or more see smaller ones.")
    if held_out < FEW_PHOTOS * 3:
        notes.append(
            f"The artifact records {held_out} held-out images, with which only large changes are seen; export it with "
            "more: edgefm export --validation SOURCE"
        )
    if copies:
        notes.append(
            f"{copies:,} of the photos {'has' if copies == 1 else 'have'} the very pixels of another; the p-values are "
            "those of photos taken independently, and copies make false alarms."
        )
    if SPACES[1] not in [test.name for test in tests] and not multi_label:
        notes.append(
            "The artifact returns no embeddings, so these are not compared, and a new class that is predicted as the "
            "known ones are may not be seen. Export it with them: edgefm export --outputs embedding"
        )
    return tuple(notes)
