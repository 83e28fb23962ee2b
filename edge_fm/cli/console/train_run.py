"""A training that a person watches: the epochs on stderr, and Ctrl-C that says how to go on."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.cli.console.console import Console, shell_word
from edge_fm.cli.console.interrupt import deferred_signals, exit_code

if TYPE_CHECKING:
    from edge_fm.api.train import PreparedTraining
    from edge_fm.training import EpochFn, RunResult
    from edge_fm_runtime.progress import MessageFn, ProgressFn


def epoch_printer(console: Console) -> EpochFn:
    """A callback that notes the figures of each epoch, how many images a second it learned, and how long is left."""
    seconds: list[float] = []

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        seconds.append(row["seconds"])
        figure = "val_map" if "val_map" in row else "val_accuracy"
        # The first epoch of a process is longer: the step is compiled in it.
        left = (epochs - epoch) * statistics.fmean(seconds[1:] or seconds)
        console.note(
            f"epoch {epoch:3}/{epochs}  loss {row['loss']:.4f}  val_loss {row['val_loss']:.4f}  "
            f"{figure} {100 * row[figure]:.2f}%  {row['seconds']:.1f} s  "
            f"{row['images_per_s']:,.0f} images/s" + (f"  {_duration(left)} left" if epoch < epochs else "")
        )

    return on_epoch


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def train_run(
    prepared: PreparedTraining, out: Path, *, progress: ProgressFn, on_epoch: EpochFn, note: MessageFn
) -> RunResult:
    """`train_prepared`, with a Ctrl-C that ends the process after a note on how to go on."""
    from edge_fm.api.train import train_prepared

    try:
        with deferred_signals(progress) as checked:
            return train_prepared(prepared, out, progress=checked, on_epoch=on_epoch, note=note)
    except KeyboardInterrupt:
        if (out / "recipe.toml").is_file():
            note("\nStopped. The finished epochs are stored.")
            note(f"Next: edgefm train --resume --out {shell_word(out)}")
        else:
            note("\nStopped before the first epoch began; nothing is stored.")
        sys.exit(exit_code())
