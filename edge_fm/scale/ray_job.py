"""Photos over the workers of Ray: a worker classifies a block and writes it whole, Ray repeats what a dead one had."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_fm.scale.inputs import Patterns, Photo, read_block, read_contents, store_inputs
from edge_fm.scale.manifest import MANIFEST_FILE
from edge_fm.scale.ray_session import require_ray
from edge_fm.scale.result_rows import FileFormat, decode_rows, encode_rows
from edge_fm.scale.storage import open_folder
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import list_files
from edge_fm_runtime.artifacts.metadata import METADATA_FILE
from edge_fm_runtime.classification import Classification, Failure
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.errors import ClusterError, EdgeFMError, PhotoError
from edge_fm_runtime.signatures.bundle import SIGNATURE_FILE
from edge_fm_runtime.system.scratch import scratch_folder


@dataclass(frozen=True)
class RayJob:
    """What a worker has to know.

    Attributes:
        files: name -> bytes of the artifact's files.
        entry: name of the one that is loaded, of a bare payload; empty for the folder.
        load: options of `Classifier.load`.
        out: folder of the results, absolute or a URL.
        cwd: where relative paths of photos begin.
        file_format: of the results.
        batch_size, top_k: of `Classifier.classify_many`.
        column: of tables.
        photos_per_block: what one file of results holds, and what a worker that dies has to do again at most.
    """

    files: Mapping[str, bytes]
    entry: str
    load: Mapping[str, Any]
    out: str
    cwd: str
    file_format: FileFormat
    batch_size: int
    top_k: int
    column: str | None
    photos_per_block: int

    def enter(self) -> None:
        """Go where relative paths begin, and see that the folder of the results is the same here.

        Raises:
            ClusterError: this machine does not share the files of the one that gave the command.
        """
        try:
            os.chdir(self.cwd)
            open_folder(self.out).read(MANIFEST_FILE)
        except OSError as error:
            raise ClusterError(
                f"The machine {os.uname().nodename} does not have {error.filename or self.out}.",
                hint="Keep photos and results on a file system that all machines share, or in a bucket (s3://, gs://).",
            ) from error


def artifact_files(artifact: Artifact) -> tuple[dict[str, bytes], str]:
    """The files of an artifact, which the workers get, and the one that is loaded; see `RayJob`."""
    if artifact.bare:
        weights = artifact.payload.with_suffix(".bin")
        more = [weights] if artifact.payload.suffix.lower() == ".xml" and weights.is_file() else []
        return {file.name: file.read_bytes() for file in [artifact.payload, *more]}, artifact.payload.name
    files = {}
    for name in (METADATA_FILE, *artifact.metadata.files):
        content = artifact.content(name)
        files[name] = (artifact.path / name).read_bytes() if content is None else content
    signature = artifact.path / SIGNATURE_FILE
    if signature.is_file():  # a worker's machine may require one, too, which covers all files of the folder
        for name in {*list_files(artifact.path), SIGNATURE_FILE} - set(files):
            if not (artifact.path / name).is_symlink() and (artifact.path / name).is_file():
                files[name] = (artifact.path / name).read_bytes()
    return files, ""


def result_name(number: int, file_format: str) -> str:
    """The file of a block's results."""
    return f"results-{number:06d}.{file_format}"


def list_photos(job: RayJob, patterns: Patterns) -> tuple[int, int]:
    """Store the blocks of a job; run in a worker, so that the memory of the process that waits stays what it is."""
    job.enter()
    return store_inputs(open_folder(job.out), patterns, job.photos_per_block)


def open_artifact(job: Sequence[Any]) -> int:
    """Open the artifact in a worker, before it gets blocks; returns the number of the process.

    Args:
        job: one reference to a `RayJob`, in a list, so that Ray does not send it with every call.
    """
    _open(job)
    return os.getpid()


def classify_block(
    job: Sequence[Any], number: int, contents: Mapping[int, bytes], failed_only: bool
) -> tuple[int, int]:
    """Classify a block in a worker and write its results; returns how many photos were classified and how many failed.

    Args:
        job: as for `open_artifact`; a process that takes the place of a dead one has not opened the artifact yet.
        number: of the block.
        contents: place in the block -> bytes, of photos that this process cannot read.
        failed_only: the block has results; only photos that failed are classified again, and counted.
    """
    known, classifier = _open(job)
    folder, name = open_folder(known.out), result_name(number, known.file_format)
    photos = read_block(folder, number)
    rows = decode_rows(folder.read(name), name, known.file_format, len(photos)) if failed_only else [{} for _ in photos]
    places = [place for place, row in enumerate(rows) if not failed_only or row["error"] is not None]
    given = {new: contents[place] for new, place in enumerate(places) if place in contents}
    again = [photos[place] for place in places]
    found = list(
        _classified(classifier, [replace(p, error=None) for p in again] if failed_only else again, given, known)
    )
    for place, photo, one in zip(places, again, found, strict=True):
        if isinstance(one, Failure) and photo.error is not None:  # which says more than that it cannot be read
            rows[place] = Failure(photo.name, PhotoError(photo.error, hint=photo.hint)).to_json()
        else:
            rows[place] = one.to_json()
    folder.write(name, encode_rows(rows, known.file_format))
    failed = sum(isinstance(one, Failure) for one in found)
    return len(found) - failed, failed


_opened: list[tuple[Any, RayJob, Classifier, Any]] = []
"""What this process has opened last: reference of the job, the job, its classifier and the folder of the artifact."""


def _open(job: Sequence[Any]) -> tuple[RayJob, Classifier]:
    if not _opened or _opened[0][0] != job[0]:
        if _opened:  # of another job of the same program
            _, _, before, scratch = _opened.pop()
            before.close()
            scratch.__exit__(None, None, None)
        known: RayJob = require_ray().get(job[0])
        known.enter()
        scratch = scratch_folder()
        folder = scratch.__enter__()  # for as long as this process lives
        for name, content in known.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        classifier = Classifier.load(folder / known.entry, profile=False, one_shot=True, **known.load)
        _opened.append((job[0], known, classifier, scratch))
    return _opened[0][1], _opened[0][2]


def _classified(
    classifier: Classifier, photos: Sequence[Photo], contents: Mapping[int, bytes], job: RayJob
) -> Iterator[Classification | Failure]:
    failures: dict[int, Failure] = {}

    def readable() -> Iterator[str | bytes]:
        for place, content in enumerate(read_contents(photos, job.column, contents)):
            if isinstance(content, EdgeFMError):
                failures[place] = Failure(photos[place].name, content)
            else:
                yield content

    found = iter(list(classifier.classify_many(readable(), batch_size=job.batch_size, top_k=job.top_k)))
    for place, photo in enumerate(photos):
        one = failures.get(place) or next(found)
        yield one if one.input == photo.name else replace(one, input=photo.name)
