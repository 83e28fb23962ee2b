"""Where the runs of a study are trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edge_fm_runtime.errors import ClusterError
from edge_fm_runtime.progress import MessageFn

if TYPE_CHECKING:
    from edge_fm.training.search.trainings import Trainings


@contextmanager
def trainings_at(on: str | None, workers: int | None, note: MessageFn) -> Iterator[Trainings]:
    """What trains the runs: this process, or the workers of Ray.

    Args:
        on: the address of Ray, see `RayAddress.parse`; None for this process.
        workers: how many runs are trained at once on Ray; None for one for each CPU.
        note: called with what takes a while.

    Raises:
        ClusterError: Ray cannot be started or reached, or `workers` is given without `on`.
    """
    if on is None:
        if workers is not None:
            raise ClusterError("Several workers train on Ray alone.", hint='Add on="ray", or leave workers out.')
        from edge_fm.training.search.trainings import OneProcess

        yield OneProcess()
        return
    from edge_fm.scale.ray_session import RayAddress, ray_errors, ray_session
    from edge_fm.scale.ray_trainings import RayTrainings

    where = RayAddress.parse(on)
    if where.address is None:
        note("Starting Ray on this machine.")
    with ray_session(where, cpus=workers) as ray, ray_errors(ray), RayTrainings(ray, workers) as trainings:
        yield trainings
