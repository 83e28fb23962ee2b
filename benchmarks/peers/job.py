"""What a peer is asked to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Job:
    """One model at one batch size.

    Attributes:
        run: folder of the training run, with model.keras.
        artifact: folder of the exported model.
        batch: images of a call.
        threads: compute threads.
        images: `.npy` with uint8 `[batch,H,W,C]`.
    """

    run: str
    artifact: str
    batch: int
    threads: int
    images: str

    def pixels(self) -> npt.NDArray[np.uint8]:
        """The batch, uint8 `[batch,H,W,C]`."""
        loaded: npt.NDArray[np.uint8] = np.load(self.images)
        return loaded

    def payload(self) -> Path:
        """The model's file."""
        from edge_fm_runtime.artifacts.artifact import load_artifact

        return load_artifact(self.artifact).payload
