"""A run's figures for TensorBoard, epoch by epoch, beside its history.csv."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from edge_fm.training.recipe import Recipe
from edge_fm_runtime.errors import MissingDependencyError

FOLDER = "tensorboard"
_TAGS = {
    "loss": "loss/training",
    "val_loss": "loss/validation",
    "accuracy": "accuracy/training",
    "val_accuracy": "accuracy/validation",
    "learning_rate": "learning_rate",
    "seconds": "seconds_per_epoch",
}


class EpochLog:
    """Event files in `<run>/tensorboard`, or nothing where the recipe turns them off.

    Args:
        recipe: whether to write.
        run_dir: the run's folder.
        done: epochs that a resumed run has behind it; what an interrupted one wrote beyond them is purged.

    Raises:
        MissingDependencyError: tensorboardX is not installed.
    """

    def __init__(self, recipe: Recipe, run_dir: Path, *, done: int) -> None:
        self._writer: Any = None
        if recipe.training.tensorboard:
            writer, folder = require_writer(), run_dir / FOLDER
            # tensorboardX names a file by second and host, and would overwrite that of a run resumed within a second.
            start = len(list(folder.glob("events.*")))
            self._writer = writer(str(folder), purge_step=done + 1, filename_suffix=f".{start:06d}")

    def write(self, row: dict[str, float]) -> None:
        """Write the figures of one epoch."""
        if self._writer is None:
            return
        for key, tag in _TAGS.items():
            self._writer.add_scalar(tag, row[key], int(row["epoch"]))
        self._writer.flush()

    def __enter__(self) -> EpochLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()


def require_writer() -> Any:
    """The class that writes event files, without TensorFlow.

    Raises:
        MissingDependencyError: tensorboardX is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("tensorboardX", "tensorboard", "[training] tensorboard") from error
    return SummaryWriter
