"""`classify_to_files`: the photos of a job into files, one shard of many or all of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from edge_fm.api.common.photo_list import PhotoList
from edge_fm.api.common.places import select_artifact
from edge_fm.scale.addresses import is_url
from edge_fm.scale.inputs import PHOTOS_PER_BLOCK, Patterns
from edge_fm.scale.manifest import Manifest, artifact_hash
from edge_fm.scale.result_folder import ResultFolder
from edge_fm.scale.result_rows import FileFormat, require_parquet
from edge_fm.scale.shard_job import Predictions, classify_shard
from edge_fm.scale.shards import Shard
from edge_fm_runtime.classification import Failure, checked_top_k
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.errors import ClusterError, DataError, PhotoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.photos.suffixes import LISTED
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent


@dataclass(frozen=True)
class ClassifiedFiles:
    """What a folder of results holds of a job, or of one shard of it.

    Attributes:
        out: the folder, as it was given.
        artifact: name of the artifact.
        shard: such as "3/8".
        listed: photos of the whole job, all shards.
        earlier: photos of this shard that were in files before, failures included.
        classified: photos of this shard that have a classification, earlier ones included.
        failed: photos of this shard that could not be classified, likewise.
        workers: processes that classified.
        seconds: from the first photo of this call to its last; starting Ray and opening the artifact do not count.
        images_per_s: photos of this call, over these seconds.
    """

    out: str
    artifact: str
    shard: str
    listed: int
    earlier: int
    classified: int
    failed: int
    workers: int
    seconds: float
    images_per_s: float

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm infer --out DIR --json` prints."""
        return dict(self.__dict__)


def classify_to_files(
    photos: str | Path | Sequence[str | Path],
    out: str | Path,
    model: str | Path | None = None,
    *,
    shard: Shard | str | None = None,
    on: str | None = None,
    workers: int | None = None,
    column: str | None = None,
    file_format: FileFormat = "jsonl",
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = BATCH_SIZE,
    top_k: int = 1,
    recursive: bool = False,
    max_pixels: int | None = None,
    min_score: float | Literal["auto"] | None = None,
    retry_failed: bool = False,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> ClassifiedFiles:
    """Classify photos into files of a folder, each once, however often the process is killed and started again.

    What is in a file is not classified again. A file appears when it is whole. Any number of processes, on any number
    of machines that share the folder, each classify a shard of their own.

    Args:
        photos: as for `classify`; every process of a job gets the same ones. One that is named twice counts once.
        out: the folder of the results, which is made where it is missing.
        model: as for `classify`.
        shard: which part of the photos, such as "3/8"; None for all of them.
        on: "ray" for workers on this machine, "auto", "HOST:PORT" or "ray://HOST:PORT" for those of a Ray cluster; then
            `photos` may also be URLs of files, folders and patterns (s3://, gs://, ...) and tables (CSV, Parquet) with
            a column of paths or of the bytes of image files, and `out` a URL. None for this process.
        workers: processes of Ray; None for one for each CPU.
        column: of tables, the one of the photos; None for the one that is called as such.
        file_format: "jsonl", each line the object that `edgefm infer --json` prints, or "parquet", the same as columns.
        engine: library that runs the artifact. A device profile of `edgefm autotune` is not followed: it is of one
            machine.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use, and for 1 in each worker of Ray.
        batch_size: images through the engine at once.
        top_k: how many classes each photo gets.
        recursive: look into subfolders too.
        max_pixels: refuse larger photos; None for `DEFAULT_MAX_PIXELS`, 50,000,000.
        min_score: as for `classify`.
        retry_failed: classify again the photos that failed earlier, as after a disk was away; else they stay failed.
        progress: called with each photo.
        note: called with the choices that were made.

    Raises:
        DataError: photos or `out` are URLs without `on`; or the folder holds results of another artifact, other options
            or other shards, or another process classifies this shard at the moment.
        ClusterError: Ray cannot be started or reached, or its workers end again and again.
        EdgeFMError: there is no artifact, it cannot be run here, or no photo was found.
    """
    given = tuple(map(str, [photos] if isinstance(photos, str | Path) else photos))
    if file_format == "parquet":
        require_parquet()
    if on is not None and shard is not None:
        raise ClusterError("A shard is the part of one process; Ray shares the photos out itself.", hint="Give either.")
    if on is None and (urls := [one for one in (*given, str(out)) if is_url(one)]):
        raise DataError(
            f"{shown_name(urls[0])} is on another file system; without workers of Ray, photos and results are files.",
            hint="Add --on ray, or name a folder that is mounted here.",
        )
    pixels = max_pixels or DEFAULT_MAX_PIXELS
    load = {"engine": engine, "device": device, "threads": threads, "max_pixels": pixels, "min_score": min_score}
    with Classifier.load(select_artifact(model, note), one_shot=True, profile=False, **load) as classifier:  # type: ignore[arg-type]
        how = {
            **{"engine": classifier.engine.name, "device": classifier.engine.device, "top_k": checked_top_k(top_k)},
            **{"max_pixels": pixels, "min_score": classifier.min_score, "format": file_format},
        }
        artifact = classifier.artifact
        about = Manifest(artifact.metadata.name, artifact_hash(artifact), how, {})
        if on is None:
            part = Shard.parse(shard) if isinstance(shard, str) else shard or Shard(1, 1)
            listed = PhotoList(given, recursive=recursive)

            def classify_photos(names: Iterable[str]) -> Predictions:
                found = classifier.classify_many(names, batch_size=batch_size, top_k=top_k, processes="auto")
                return (listed.explained(one) if isinstance(one, Failure) else one for one in found)

            photos_of_job = iter(listed)
            if (first := next(photos_of_job, None)) is None:  # before anything is written
                raise no_photos(given)
            folder = ResultFolder(Path(out))
            folder.agree(replace(about, partition={"shards": part.count}))
            began = time.monotonic()
            everything = chain([first], photos_of_job)
            counts = classify_shard(
                folder, part, everything, classify_photos, file_format, progress, retry_failed=retry_failed
            )
            seconds = time.monotonic() - began
            if passed_over := listed.describe_passed_over():
                note(f"Passed over: {passed_over}.")
        else:
            load |= {"engine": classifier.engine.name, "threads": threads or 1, "min_score": classifier.min_score}
    if on is not None:
        from edge_fm.scale.ray_job import RayJob, artifact_files
        from edge_fm.scale.ray_run import run_on_ray

        part, (files, entry) = Shard(1, 1), artifact_files(artifact)
        where = str(out) if is_url(str(out)) else os.path.abspath(out)  # noqa: PTH100
        job = RayJob(
            files=files,
            entry=entry,
            load=load,
            out=where,
            cwd=os.getcwd(),  # noqa: PTH109
            file_format=file_format,
            batch_size=batch_size,
            top_k=top_k,
            column=column,
            photos_per_block=PHOTOS_PER_BLOCK,
        )
        patterns = Patterns(given, recursive, column, partial(PhotoList, recursive=recursive))
        counts, workers, seconds = run_on_ray(
            on, job, patterns, about, workers=workers, retry_failed=retry_failed, progress=progress, note=note
        )
    if not counts.listed:
        raise no_photos(given)
    now = counts.classified + counts.failed - counts.earlier
    return ClassifiedFiles(
        out=str(out),
        artifact=artifact.metadata.name,
        shard=str(part),
        listed=counts.listed,
        earlier=counts.earlier,
        classified=counts.classified,
        failed=counts.failed,
        workers=1 if on is None else workers or 0,
        seconds=round(seconds, 3),
        images_per_s=round(now / max(seconds, 1e-9), 1),
    )


def no_photos(given: Sequence[str]) -> PhotoError:
    """The error where nothing that was given holds a photo."""
    return PhotoError(
        f"Found no photo in {', '.join(map(shown_name, given))}; taken from folders: {LISTED}.",
        hint="Name a photo, another folder, or add --recursive.",
    )
