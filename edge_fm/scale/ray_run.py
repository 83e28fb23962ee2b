"""A job on Ray: its photos are listed, shared out and waited for; what is in the folder already is left as it is."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from edge_fm.scale.addresses import is_url
from edge_fm.scale.inputs import Patterns, read_block, read_contents, store_inputs
from edge_fm.scale.manifest import Manifest
from edge_fm.scale.ray_job import RayJob, classify_block, list_photos, open_artifact, result_name
from edge_fm.scale.ray_session import DEATHS, RayAddress, ray_errors, ray_session
from edge_fm.scale.result_rows import read_inputs
from edge_fm.scale.shard_job import Counts
from edge_fm.scale.storage import MEMORY, Folder, open_folder, require_file_system
from edge_fm_runtime.progress import MessageFn, ProgressFn


def run_on_ray(
    on: str,
    job: RayJob,
    patterns: Patterns,
    manifest: Manifest,
    *,
    workers: int | None,
    retry_failed: bool,
    progress: ProgressFn,
    note: MessageFn,
) -> tuple[Counts, int, float]:
    """Classify what is not in the folder yet; returns the counts, the workers, and the seconds that they worked.

    Args:
        on: the address of Ray; see `RayAddress.parse`.
        job: what to do.
        manifest: of the folder, without its partition.
        patterns: the photos.
        workers: processes; None for one for each CPU of the cluster.
        retry_failed: classify again what failed earlier.
        progress: called with each block.
        note: called with what takes a while.

    Raises:
        ClusterError: workers die again and again, or machines do not share files.
        EdgeFMError: a worker cannot run the artifact, or the photos cannot be listed.
    """
    where = RayAddress.parse(on)
    for url in filter(is_url, patterns.paths):  # which the workers would say, once Ray has started
        require_file_system(url)
    folder = open_folder(job.out)
    is_new = folder.agree(replace(manifest, partition={"photos_per_file": job.photos_per_block}))
    if where.address is None:
        note("Starting Ray on this machine.")
    with folder.held("job"):
        try:
            with ray_session(where, cpus=workers) as ray, ray_errors(ray):
                return _run(ray, job, patterns, folder, workers, progress, retry_failed=retry_failed)
        finally:
            if is_new and not folder.names("inputs-"):  # nothing was found, or nothing was begun
                folder.discard()


def _run(
    ray: Any,
    job: RayJob,
    patterns: Patterns,
    folder: Folder,
    workers: int | None,
    progress: ProgressFn,
    *,
    retry_failed: bool,
) -> tuple[Counts, int, float]:
    counts = Counts()
    in_memory = any(path.startswith(MEMORY) for path in patterns.paths)
    if in_memory or "-" in patterns.paths:  # which this process alone can read
        blocks, counts.listed = store_inputs(folder, patterns, job.photos_per_block)
    else:
        lister = ray.remote(num_cpus=0, max_retries=DEATHS)(list_photos)
        blocks, counts.listed = ray.get(lister.remote(job, patterns))
    done = {*folder.names("results-")}
    todo: list[tuple[int, bool]] = []
    for number in range(blocks):
        if (name := result_name(number, job.file_format)) not in done:
            todo.append((number, False))
            continue
        of_block = Counts()
        for _, is_failure in read_inputs(io.BytesIO(folder.read(name)), name, job.file_format):
            of_block.add(failed=is_failure)
        if retry_failed and of_block.failed:
            todo.append((number, True))
            of_block.failed = 0
        counts.classified += of_block.classified
        counts.failed += of_block.failed
        counts.earlier += of_block.classified + of_block.failed
    progress("classifying", counts.earlier, counts.listed)
    if not todo:
        return counts, 0, 0.0
    cpus = int(ray.cluster_resources().get("CPU", 1)) or 1
    count = min(workers or cpus, len(todo))
    share = 1 if count <= cpus else int(1e4 * cpus / count) / 1e4
    # Tasks and not actors: where a machine is lost, the others take its blocks.
    options = {"num_cpus": share, "max_retries": DEATHS}
    told = [ray.put(job)]
    opener, classify = ray.remote(**options)(open_artifact), ray.remote(**options)(classify_block)
    ray.get([opener.remote(told) for _ in range(count)])
    began = time.monotonic()
    # Where there are CPUs for no more workers, one block each waits, so that none of them does.
    ahead = count if count < cpus else 2 * count
    tasks = (classify.remote(told, n, _contents(folder, job, n) if in_memory else {}, again) for n, again in todo)
    for classified, failed in _results(ray, tasks, ahead):
        counts.classified += classified
        counts.failed += failed
        progress("classifying", counts.classified + counts.failed, counts.listed)
    return counts, count, time.monotonic() - began


def _results(ray: Any, tasks: Iterator[Any], ahead: int) -> Iterator[tuple[int, int]]:
    """The counts of each block as it is done; `ahead` blocks are under way at a time."""
    running = list(islice(tasks, ahead))
    while running:
        (ready,), running = ray.wait(running, num_returns=1)
        running += islice(tasks, 1)
        yield ray.get(ready)


def _contents(folder: Folder, job: RayJob, number: int) -> dict[int, bytes]:
    """The bytes of the photos of a block that are in this process's memory."""
    photos = read_block(folder, number)
    places = [place for place, photo in enumerate(photos) if (photo.table or photo.name).startswith(MEMORY)]
    found = read_contents([photos[place] for place in places], job.column, {})
    return {place: one for place, one in zip(places, found, strict=True) if isinstance(one, bytes)}
