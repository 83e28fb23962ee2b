"""What was achieved when an experiment was run: a JSON file for each seed, written by `write_result` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edge_fm.training.run.run_folder import write_json
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.json_text import parse_json

STORED_RESULTS = Path(__file__).parent / "stored"
"""Results that come with the package."""
PRECISION = "training.precision"
"""The key of a recipe that a run in full may change: it is compared on one row, and said of the others."""


@dataclass(frozen=True)
class Result:
    """One run of an experiment.

    Attributes:
        name: of the experiment.
        model: of the zoo.
        recipe_hash: of the experiment's recipe with its own seed, without `changes`.
        changes: key path -> value, what was changed for this run; a run with changes is a trial, and its accuracy
            stands for nothing, except where only the ImageNet weights came from a file, or the arithmetic of training
            was another, which the table says.
        accuracy: on test images, a fraction.
        val_accuracy: of the best epoch.
        epochs, best_epoch: that were run, and the one whose weights were stored.
        params: of the model.
        seconds: of training.
        seed: that was run: the recipe's own, or another that was given.
        machine: CPU or GPU, and how many threads.
        date: when the run was finished, UTC, ISO 8601.
        data: name and hash of the dataset.
        images: how many to train on, to validate on and to test on.
        weights: name and SHA-256 of the file that the weights came from, or None.
        versions: of the libraries.
        structure: hash of the model as it was built, as from `structure_hash`; None in results of earlier versions.
        labels: names of the classes, in order; empty in results of earlier versions, as are the two below.
        confusion: counts on test images, rows true, columns predicted.
        history: loss, accuracy, val_loss and val_accuracy -> one figure for each epoch.
    """

    name: str
    model: str
    recipe_hash: str
    accuracy: float
    val_accuracy: float
    epochs: int
    best_epoch: int
    params: int
    seconds: float
    seed: int
    machine: str
    date: str
    data: Mapping[str, str]
    images: Mapping[str, int]
    changes: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, str] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    structure: str | None = None
    labels: Sequence[str] = ()
    confusion: Sequence[Sequence[int]] = ()
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def in_full(self) -> bool:
        """Whether the recipe was run unchanged; ImageNet weights may come from a file, and the precision may differ."""
        changed = set(self.changes) - {PRECISION}
        return not changed or (changed == {"model.weights"} and self.weights is not None)

    @property
    def precision(self) -> str | None:
        """The precision of training where it is not the recipe's own, such as "mixed_bfloat16"."""
        return self.changes.get(PRECISION)


def write_result(folder: Path, result: Result, *, own_seed: int = 0) -> Path:
    """Write `<folder>/<name>.json`, in one step; `<name>-seed-<seed>.json` for another seed than the recipe's own.

    A run in full in another precision than the recipe's own stands beside one in the recipe's own, with the precision
    at the end of its file's name.
    A trial does not take the place of a run in full: it is written to `<name>-trial.json` where there is one.

    Args:
        folder: made where it is missing.
        result: what to write.
        own_seed: the recipe's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = result.name if result.seed == own_seed else f"{result.name}-seed-{result.seed}"
    if result.in_full and result.precision is not None:
        name += f"-{result.precision.replace('_', '-')}"
    path = folder / f"{name}.json"
    if not result.in_full and path.exists() and read_result(path).in_full:
        path = folder / f"{name}-trial.json"
    write_json(path, asdict(result))
    return path


def read_result(path: Path) -> Result:
    """Read a result.

    Raises:
        DataError: the file is not what `write_result` writes.
    """
    try:
        values = parse_json(path.read_text("utf-8"))
        known = {f.name for f in fields(Result)}
        result = Result(**{key: value for key, value in values.items() if key in known})
        _ = result.data["hash"], dict(result.changes), dict(result.history)
        return result
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} is not a result of an experiment: {error}.", hint="Delete it and run it again."
        ) from error


def stored_results(*folders: Path) -> tuple[Result, ...]:
    """All results in all folders that exist, a later folder's after an earlier one's."""
    return tuple(read_result(path) for folder in folders for path in sorted(folder.glob("*.json")))
