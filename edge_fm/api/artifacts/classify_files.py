"""`classify_to_files`: the photos of a job into files, one shard of many or all of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edge_fm.api.common.photo_list import PhotoList
from edge_fm.api.common.places import select_artifact
from edge_fm.scale.manifest import Manifest, artifact_hash
from edge_fm.scale.result_folder import ResultFolder
from edge_fm.scale.result_rows import FileFormat, require_parquet
from edge_fm.scale.shard_job import Counts, Predictions, classify_shard
from edge_fm.scale.shards import Shard
from edge_fm_runtime.classification import Failure
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS
from edge_fm_runtime.photos.suffixes import LISTED
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent


@dataclass(frozen=True)
class ClassifiedFiles:
    """What a folder of results holds of a job, or of one shard of it.

    Attributes:
        out: the folder.
        artifact: name of the artifact.
        shard: such as "3/8".
        listed: photos of the whole job, all shards.
        earlier: photos of this shard that were in files before, failures included.
        classified: photos of this shard that have a classification, earlier ones included.
        failed: photos of this shard that could not be classified, likewise.
        seconds: that this call took.
        images_per_s: photos of this call, over its seconds.
    """

    out: Path
    artifact: str
    shard: str
    listed: int
    earlier: int
    classified: int
    failed: int
    seconds: float
    images_per_s: float

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm infer --out DIR --json` prints."""
        return {**self.__dict__, "out": str(self.out)}


def classify_to_files(
    photos: str | Path | Sequence[str | Path],
    out: str | Path,
    model: str | Path | None = None,
    *,
    shard: Shard | str | None = None,
    file_format: FileFormat = "jsonl",
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    batch_size: int = BATCH_SIZE,
    top_k: int = 1,
    recursive: bool = False,
    max_pixels: int | None = None,
    min_score: float | Literal["auto"] | None = None,
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
        file_format: "jsonl", each line the object that `edgefm infer --json` prints, or "parquet", the same as columns.
        engine: library that runs the artifact. A device profile of `edgefm autotune` is not followed: it is of one
            machine.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        batch_size: images through the engine at once.
        top_k: how many classes each photo gets.
        recursive: look into subfolders too.
        max_pixels: refuse larger photos; None for `DEFAULT_MAX_PIXELS`, 50,000,000.
        min_score: as for `classify`.
        progress: called with each photo.
        note: called with the choices that were made.

    Raises:
        DataError: the folder holds results of another artifact, other options or other shards, or another process
            classifies this shard at the moment.
        EdgeFMError: there is no artifact, it cannot be run here, or no photo was found.
    """
    began = time.monotonic()
    given = tuple(map(str, [photos] if isinstance(photos, str | Path) else photos))
    part = Shard.parse(shard) if isinstance(shard, str) else shard or Shard(1, 1)
    if file_format == "parquet":
        require_parquet()
    listed = PhotoList(given, recursive=recursive)
    pixels = max_pixels or DEFAULT_MAX_PIXELS
    with Classifier.load(
        select_artifact(model, note),
        engine,
        device,
        threads,
        one_shot=True,
        profile=False,
        max_pixels=pixels,
        min_score=min_score,
    ) as classifier:
        options = {
            **{"engine": classifier.engine.name, "device": classifier.engine.device, "top_k": top_k},
            **{"max_pixels": pixels, "min_score": classifier.min_score, "format": file_format},
        }
        metadata = classifier.artifact.metadata
        folder = ResultFolder(Path(out))
        folder.agree(Manifest(metadata.name, artifact_hash(classifier.artifact), options, {"shards": part.count}))

        def classify(names: Iterable[str]) -> Predictions:
            found = classifier.classify_many(names, batch_size=batch_size, top_k=top_k, processes=True)
            return (listed.explained(one) if isinstance(one, Failure) else one for one in found)

        counts = classify_shard(folder, part, listed, classify, file_format, progress)
    if passed_over := listed.describe_passed_over():
        note(f"Passed over: {passed_over}.")
    if not counts.listed:
        raise no_photos(given)
    return _result(folder.path, metadata.name, part, counts, time.monotonic() - began)


def _result(out: Path, artifact: str, shard: Shard, counts: Counts, seconds: float) -> ClassifiedFiles:
    now = counts.classified + counts.failed - counts.earlier
    return ClassifiedFiles(
        out=out,
        artifact=artifact,
        shard=str(shard),
        listed=counts.listed,
        earlier=counts.earlier,
        classified=counts.classified,
        failed=counts.failed,
        seconds=round(seconds, 3),
        images_per_s=round(now / max(seconds, 1e-9), 1),
    )


def no_photos(given: Sequence[str]) -> PhotoError:
    """The error where nothing that was given holds a photo."""
    return PhotoError(
        f"Found no photo in {', '.join(map(shown_name, given))}; taken from folders: {LISTED}.",
        hint="Name a photo, another folder, or add --recursive.",
    )
