"""Results of the edgenet family, and the trained models themselves: one folder each.

Written by `tools/record_family.py`, never by hand: a record is the outcome of a recipe of the package, trained from
scratch with several seeds. Beside it stand the run of the median seed, which every command takes by the model's name,
and each seed's history.
"""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edge_fm.models.run_files import MODEL_FILE
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.json_text import parse_json
from edge_fm_runtime.system.user_cache import expand_home

STORED_RESULTS = Path(__file__).parent / "stored"
"""Trained models and their records that come with the package."""
RECORD_FILE = "record.json"

OTHERS = "others"
"""Of a model's folder: one folder for each earlier recipe, with its record and logs, without a model."""


@dataclass(frozen=True)
class Seed:
    """One training.

    Attributes:
        seed: of the recipe.
        accuracy: on the test images, a fraction.
        val_accuracy: of the epoch whose weights were saved.
        seconds: of training.
    """

    seed: int
    accuracy: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Exported:
    """An artifact of the seed with the median accuracy.

    Attributes:
        format: such as "onnx".
        precision: "fp32" or "int8".
        bytes: of the payload.
        accuracy: on the test images, a fraction.
        drop_points: what it lost against the original, in percentage points.
        p50_ms: median milliseconds of one image on the record's machine.
    """

    format: str
    precision: str
    bytes: int
    accuracy: float
    drop_points: float
    p50_ms: float


@dataclass(frozen=True)
class Record:
    """The results of one model.

    Attributes:
        model: of the zoo.
        recipe: of the package, by name.
        recipe_hash: SHA-256 of it, without the seed.
        data: name and hash of the dataset.
        seeds: the trainings; their median is the figure.
        exports: of the seed with the median accuracy.
        machine: CPU or GPU that trained, and what measured the latency.
        date: UTC, ISO 8601.
        versions: of the libraries.
    """

    model: str
    recipe: str
    recipe_hash: str
    data: Mapping[str, str]
    seeds: tuple[Seed, ...]
    exports: tuple[Exported, ...]
    machine: Mapping[str, str]
    date: str
    versions: Mapping[str, str]

    @property
    def accuracy(self) -> float:
        """The median of the seeds, the lower one of two."""
        return statistics.median_low(seed.accuracy for seed in self.seeds)

    def exported(self, format_: str, precision: str) -> Exported | None:
        """One of `exports`, or None."""
        return next((e for e in self.exports if (e.format, e.precision) == (format_, precision)), None)

    def to_json(self) -> dict[str, Any]:
        """What the file holds."""
        return asdict(self)


@dataclass(frozen=True)
class Published:
    """A point that others published for Fashion-MNIST.

    Attributes:
        name: of the model and what was special.
        accuracy: on the test images, a fraction.
        source: where it is published.
        params: weights; None where the source does not say.
        macs: multiply-accumulates an image; None where the source does not say.
    """

    name: str
    accuracy: float
    source: str
    params: int | None = None
    macs: int | None = None


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        DataError: the file is not a record.
    """
    try:
        values = parse_json(path.read_text("utf-8"))
        seeds = tuple(Seed(**seed) for seed in values.pop("seeds"))
        exports = tuple(Exported(**exported) for exported in values.pop("exports"))
        if not seeds or set(values) != {f.name for f in fields(Record)} - {"seeds", "exports"}:
            raise ValueError("keys are missing or unknown")
        return Record(**values, seeds=seeds, exports=exports)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path} is not a record of a model: {error!r}.", hint="Make it: tools/record_family.py"
        ) from error


def shipped_records() -> dict[str, Record]:
    """Model -> its record.

    Raises:
        DataError: a file is not a record.
    """
    return {record.model: record for record in map(read_record, sorted(STORED_RESULTS.glob(f"*/{RECORD_FILE}")))}


def other_records(model: str) -> list[Record]:
    """Records of other recipes than that of the shipped model, the best first.

    Raises:
        DataError: a file is not a record.
    """
    found = map(read_record, sorted(STORED_RESULTS.glob(f"{model}/{OTHERS}/*/{RECORD_FILE}")))
    return sorted(found, key=lambda record: -record.accuracy)


def trained_model(name: str | Path) -> Path:
    """What was named, where it exists; else the run of the trained model of that name that comes with the package.

    Args:
        name: a path, or a model such as "edgenet-n".

    Returns:
        A path, which may not exist.
    """
    path = expand_home(name)
    kept = STORED_RESULTS / path.name
    ours = str(name) == path.name and (kept / MODEL_FILE).is_file()
    return kept if ours and not path.exists() else path


def published_points() -> tuple[Published, ...]:
    """What others reached, with sources."""
    table = tomllib.loads((STORED_RESULTS / "published.toml").read_text("utf-8"))
    return tuple(Published(**row) for row in table["point"])
