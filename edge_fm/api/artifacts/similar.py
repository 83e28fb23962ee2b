"""`similar`: the photos of a folder that look most like one photo, by the embeddings of a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm.api.common.photo_list import PhotoList
from edge_fm.api.common.places import select_artifact
from edge_fm_runtime.classification import Classification, Failure
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent


@dataclass(frozen=True)
class SimilarPhoto:
    """A photo of the folder.

    Attributes:
        similarity: cosine of the angle between its embedding and that of the photo that was given, -1 to 1.
        photo: what the model says it shows, and its path as `photo.input`.
    """

    similarity: float
    photo: Classification


@dataclass(frozen=True, eq=False)
class SimilarResult:
    """The photos of a folder, ranked.

    Attributes:
        photo: the photo that was given, classified.
        artifact: the model's artifact.
        compared: how many photos of the folder were compared.
        similar: the most similar ones, best first.
        failures: the photos that could not be read.
    """

    photo: Classification
    artifact: Path
    compared: int
    similar: tuple[SimilarPhoto, ...]
    failures: tuple[Failure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm similar --json` prints."""
        return {
            **_shown(self.photo),
            "artifact": str(self.artifact),
            "compared": self.compared,
            "similar": [{"similarity": round(one.similarity, 6), **_shown(one.photo)} for one in self.similar],
            "failed": [{"input": row["input"], "error": row["error"]} for row in (f.to_json() for f in self.failures)],
        }


def similar(
    photo: str | Path,
    folder: str | Path | Sequence[str | Path],
    model: str | Path | None = None,
    *,
    top: int = 10,
    recursive: bool = False,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = BATCH_SIZE,
    max_pixels: int | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> SimilarResult:
    """Rank the photos of a folder by how similar a model finds them to one photo.

    The model's feature vector of each photo is compared, by the cosine of the angle between two vectors. The artifact
    must have been exported with `--outputs embedding`. The photo itself is left out where it lies in the folder.

    Args:
        photo: a file.
        folder: folders, files or glob patterns.
        model: the artifact; None for $EDGEFM_MODEL, else the newest export under runs/, else the one in the package.
        top: how many photos to return.
        recursive: look into subfolders too.
        engine: library that runs the artifact.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        batch_size: images through the engine at once.
        max_pixels: refuse larger photos; None for `DEFAULT_MAX_PIXELS`, 50,000,000.
        progress: called as photos are compared.
        note: called with the choices that were made.

    Raises:
        EngineError: the artifact returns no embeddings; the hint is the command that exports one that does.
        PhotoError: the photo cannot be read, or the folder holds no photos.
        EdgeFMError: there is no artifact, or it cannot be run here.
    """
    from edge_fm_runtime.parity.extra_outputs import cosine

    if top < 1:
        raise PhotoError(f"top is {top}; at least one photo is ranked.", hint="Leave it out for 10.")
    paths = tuple(map(str, [folder] if isinstance(folder, str | Path) else folder))
    listed = PhotoList(paths, recursive=recursive)
    with Classifier.load(
        select_artifact(model, note), engine, device, threads, max_pixels=max_pixels or DEFAULT_MAX_PIXELS
    ) as classifier:
        query = classifier.classify(str(photo), embedding=True)
        assert query.embedding is not None
        found: list[SimilarPhoto] = []
        failures: list[Failure] = []
        total = listed.count()
        others = (path for path in listed if not _same_file(path, photo))
        for done, other in enumerate(classifier.classify_many(others, batch_size=batch_size, embedding=True)):
            progress("comparing photos", done, total)
            if isinstance(other, Failure):
                failures.append(listed.explained(other))
                continue
            assert other.embedding is not None
            (likeness,) = cosine(query.embedding[None], other.embedding[None])
            found.append(SimilarPhoto(float(likeness), other))
        progress("comparing photos", total or 0, total)
        artifact = classifier.artifact.path
    if passed_over := listed.describe_passed_over():
        note(f"Passed over: {passed_over}.")
    if not found and not failures:
        from edge_fm_runtime.photos.suffixes import LISTED

        raise PhotoError(
            f"Found no photo to compare in {', '.join(paths)}; taken from folders: {LISTED}.",
            hint="Name another folder, or add --recursive.",
        )
    found.sort(key=lambda one: -one.similarity)
    return SimilarResult(query, artifact, len(found), tuple(found[:top]), tuple(failures))


def _same_file(path: str, photo: str | Path) -> bool:
    try:
        return os.path.samefile(path, photo)  # noqa: PTH121 - of a path that may be too long, or in a closed folder
    except OSError:
        return False


def _shown(photo: Classification) -> dict[str, Any]:
    row = photo.to_json()
    return {key: row[key] for key in ("input", "label", "index", "score")}
