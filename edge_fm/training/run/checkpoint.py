"""One file that holds a whole unfinished run, replaced in one go after each epoch.

A run that is killed at any moment leaves the state after its last whole epoch, never half of one.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.json_text import parse_json

FILE = Path("checkpoint") / "state.npz"
_GROUPS = ("model", "optimizer", "best")


@dataclass(frozen=True, eq=False)
class RunState:
    """Everything that the next epoch depends on.

    Attributes:
        epoch: epochs done.
        model: the model's variables, random generators included, in Keras's order.
        optimizer: the optimizer's variables, the step counter included.
        best: weights of the epoch with the best validation accuracy, or of the last; see `keep` of [training].
        best_epoch: that epoch, from 1.
        history: one row for each epoch done.
        recipe_hash, data_hash: of what the run was started with.
        backend: of Keras; the order of variables and the numbers depend on it.
        duration_s: training time so far, interruptions not counted.
    """

    epoch: int
    model: Sequence[NDArray[Any]]
    optimizer: Sequence[NDArray[Any]]
    best: Sequence[NDArray[Any]]
    best_epoch: int
    history: tuple[dict[str, float], ...]
    recipe_hash: str
    data_hash: str
    backend: str
    duration_s: float


def save_state(run_dir: Path, state: RunState) -> None:
    """Replace the run's checkpoint, atomically and durably."""
    path = run_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"{group}.{i}": array for group in _GROUPS for i, array in enumerate(getattr(state, group))}
    facts = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "history": list(state.history),
        "recipe_hash": state.recipe_hash,
        "data_hash": state.data_hash,
        "backend": state.backend,
        "duration_s": state.duration_s,
        "counts": {group: len(getattr(state, group)) for group in _GROUPS},
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    with replacing(path, beside=f".{path.name}.tmp") as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())


def load_state(run_dir: Path) -> RunState | None:
    """Read the run's checkpoint; None where no epoch was finished.

    Raises:
        TrainingError: the file is there but cannot be read.
    """
    path = run_dir / FILE
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            facts = parse_json(file["facts"].tobytes())
            counts = facts.pop("counts")
            groups: dict[str, Any] = {group: [file[f"{group}.{i}"] for i in range(counts[group])] for group in _GROUPS}
        history = tuple(facts.pop("history"))
        return RunState(**facts, **groups, history=history)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"The checkpoint {path} cannot be read: {error}.",
            hint="Start the run again in another folder (without --resume).",
        ) from error
