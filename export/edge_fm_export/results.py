"""What an export made: results, and one error for all that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_fm_export.targets import Target
from edge_fm_runtime.engines import Probabilities
from edge_fm_runtime.errors import EdgeFMError, ExportError, GateError
from edge_fm_runtime.metadata import Metadata
from edge_fm_runtime.parity import Check, Parity


@dataclass(frozen=True, eq=False)
class ExportResult:
    """One artifact, in its place.

    Attributes:
        path: its folder.
        target: format and precision.
        bytes: size of the payload.
        parity: its answers beside the original's.
        checks: the gate's checks, all passed.
        engine: the engine that the gate ran.
        metadata: as written.
        notes: what a person should know, one sentence each.
    """

    path: Path
    target: Target
    bytes: int
    parity: Parity
    checks: tuple[Check, ...]
    engine: str
    metadata: Metadata
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm export --json` lists."""
        return {
            "artifact": str(self.path),
            "format": self.target.format,
            "precision": self.target.precision,
            "bytes": self.bytes,
            "parity": {
                "passed": all(check.passed for check in self.checks),
                "engine": self.engine,
                **self.parity.to_json(),
                "checks": [asdict(check) for check in self.checks],
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True, eq=False)
class ExportReport:
    """What an export made.

    Attributes:
        results: one for each target, in the order asked.
        reference: float32 `[N,classes]`, the original's answers to the test set.
    """

    results: tuple[ExportResult, ...]
    reference: Probabilities


def joined_failures(failures: Mapping[Target, EdgeFMError], results: Sequence[ExportResult]) -> EdgeFMError:
    """One error for all failures: a gate's failure outweighs the others, as the exit code must say so."""
    if len(failures) == 1 and not results:
        return next(iter(failures.values()))
    made = f" Made: {', '.join(str(r.path) for r in results)}." if results else " Nothing was written."
    lines: list[str] = []
    for target, error in failures.items():
        told = error.failures if isinstance(error, GateError) else (error.message,)
        lines += [f"{target}: {line}" for line in told]
    hint = next((error.hint for error in failures.values() if error.hint), None)
    head = f"{len(failures)} of {len(failures) + len(results)} artifacts failed, and left nothing behind.{made}"
    if any(isinstance(error, GateError) for error in failures.values()):
        return GateError(head, lines, hint=hint)
    return ExportError("\n".join([head, *(f"  - {line}" for line in lines)]), hint=hint)
