"""A training that a person watches: progress on stderr, and Ctrl-C that says how to go on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.cli.console.common import Talk, word
from edge_fm.cli.console.interrupt import ctrl_c_kept, exit_code

if TYPE_CHECKING:
    from edge_fm.api.train import PreparedTraining
    from edge_fm.training import RunResult


def train_run(prepared: PreparedTraining, out: Path, talk: Talk) -> RunResult:
    """Train with progress on stderr, then draw the plots; Ctrl-C ends the process with how to go on."""
    from edge_fm.api.train import train_prepared

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        talk.note(
            f"epoch {epoch:3}/{epochs}  loss {row['loss']:.4f}  val_loss {row['val_loss']:.4f}  "
            f"val_accuracy {100 * row['val_accuracy']:.2f}%  {row['seconds']:.1f} s"
        )

    try:
        with talk.progress() as progress, ctrl_c_kept(progress) as asked:
            return train_prepared(prepared, out, progress=asked, on_epoch=on_epoch, note=talk.note)
    except KeyboardInterrupt:
        if (out / "recipe.toml").is_file():
            talk.note("\nStopped. The finished epochs are kept.")
            talk.next(f"edgefm train --resume --out {word(out)}")
        else:
            talk.note("\nStopped before the first epoch began; nothing is kept.")
        sys.exit(exit_code())
