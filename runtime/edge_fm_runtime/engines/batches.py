"""Any number of images through what takes a batch at a time; a fixed batch size is filled up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.progress import ProgressFn, silent

In = TypeVar("In", bound=np.generic)
Out = TypeVar("Out", bound=np.generic)


def split_batches(images: npt.NDArray[In], size: int, *, pad: bool = False) -> Iterator[tuple[npt.NDArray[In], int]]:
    """Cut `images` `[N,...]` into batches.

    Args:
        images: any number.
        size: of a batch, at most.
        pad: fill the last batch up to `size` with zeros.

    Yields:
        a contiguous batch, and how many of its images are real.

    Example:
        >>> [(batch.tolist(), count) for batch, count in split_batches(np.arange(3), 2, pad=True)]
        [([0, 1], 2), ([2, 0], 1)]
    """
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        count = len(batch)
        if pad and count < size:
            batch = np.concatenate([batch, np.zeros((size - count, *batch.shape[1:]), batch.dtype)])
        yield np.ascontiguousarray(batch), count


def run_in_batches(
    run: Callable[[Any], npt.NDArray[Out]],
    images: npt.NDArray[Any],
    *,
    batch: int | None = None,
    fixed_batch: int | None = None,
    stage: str = "inferring",
    progress: ProgressFn = silent,
) -> npt.NDArray[Out]:
    """Call `run` on batches of `images` and join the results.

    Args:
        run: from a batch `[n,...]` to as many results `[n,...]`.
        images: `[N,...]`.
        batch: images at once, at most; None for all.
        fixed_batch: the only batch size that `run` takes, in place of `batch`: the last batch is filled up, and the
            results of what fills it are left out.
        stage: what `progress` is called with.
        progress: called before each batch and in the end.

    Returns:
        the results of all images, `[N,...]`.

    Example:
        >>> run_in_batches(lambda batch: 10 * batch, np.arange(5), fixed_batch=2).tolist()
        [0, 10, 20, 30, 40]
    """
    total = len(images)
    size = fixed_batch or batch or total
    if total == size or (total < size and not fixed_batch):
        progress(stage, 0, total)
        whole = run(np.ascontiguousarray(images))
        progress(stage, total, total)
        return whole
    parts: list[npt.NDArray[Out]] = []
    done = 0
    for part, count in split_batches(images, size, pad=fixed_batch is not None):
        progress(stage, done, total)
        parts.append(run(part)[:count])
        done += count
    progress(stage, total, total)
    return np.concatenate(parts)


def run_outputs_in_batches(
    run: Callable[[Any], Mapping[str, npt.NDArray[Out]]],
    images: npt.NDArray[Any],
    *,
    batch: int | None = None,
    fixed_batch: int | None = None,
) -> dict[str, npt.NDArray[Out]]:
    """Call `run`, which returns several arrays by their names, on batches of `images`; as `run_in_batches` otherwise.

    Example:
        >>> run_outputs_in_batches(lambda batch: {"ten": 10 * batch}, np.arange(3), fixed_batch=2)["ten"].tolist()
        [0, 10, 20]
    """
    size = fixed_batch or batch or len(images)
    parts = [
        {name: values[:count] for name, values in run(part).items()}
        for part, count in split_batches(images, size, pad=fixed_batch is not None)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
