"""What an export made: results, and one error for all that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm_export.quantization.explanation.explanation import Explanation
from edge_fm_export.targets import Target
from edge_fm_export.tflm.boards import budget
from edge_fm_runtime.arrays import Probabilities
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.errors import EdgeFMError, ExportError, GateError
from edge_fm_runtime.parity.checks import Check, doubts
from edge_fm_runtime.parity.comparison import Parity


@dataclass(frozen=True, eq=False)
class ExportResult:
    """One artifact, in its place.

    Attributes:
        path: its folder.
        target: format and precision.
        bytes: size of the payload.
        parity: its predictions beside the original's.
        checks: the gate's checks, all passed.
        engine: the engine that the gate ran.
        metadata: as written.
        notes: for a person, one sentence each.
        replaced: whether it took the place of an artifact of an earlier export.
        explanation: what int8 does to each layer; None where it was not asked for.
    """

    path: Path
    target: Target
    bytes: int
    parity: Parity
    checks: tuple[Check, ...]
    engine: str
    metadata: Metadata
    notes: tuple[str, ...]
    replaced: bool = False
    explanation: Explanation | None = None

    @property
    def measures(self) -> tuple[str, ...] | None:
        """What int8 needed beside plain calibration, such as "bias correction"; empty for nothing, None for floats."""
        if self.metadata.quantization is None:
            return None
        return tuple(self.metadata.quantization.get("measures", ()))

    @property
    def budget(self) -> dict[str, Any] | None:
        """Flash, arena and MACs of a model for microcontrollers, and the boards it fits; None for other formats."""
        graph = self.metadata.graph or {}
        if self.target.format != "tflm":
            return None
        needed = {key: graph[key] for key in ("model_bytes", "arena_bytes")}
        return {**needed, "macs": graph.get("macs"), "boards": budget(**needed)}

    @property
    def doubts(self) -> tuple[str, ...]:
        """One sentence for each check that the test images are too few to decide; these are among the notes, too."""
        return doubts(self.checks, self.parity.n)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm export --json` lists."""
        return {
            "artifact": str(self.path),
            "replaced": self.replaced,
            "format": self.target.format,
            "precision": self.target.precision,
            "bytes": self.bytes,
            "parity": _parity_json(self.parity, self.checks, self.engine),
            "int8_measures": None if self.measures is None else list(self.measures),
            "notes": list(self.notes),
            **explanation_json(self.explanation),
            **({} if self.budget is None else {"budget": self.budget}),
            "error": None,
        }


@dataclass(frozen=True, eq=False)
class ExportFailure:
    """A target that was not written.

    Attributes:
        name: what its folder would be called.
        target: format and precision.
        error: why not.
        bytes: size of the payload; None where none was built.
        parity: its predictions beside the original's; None where it never ran.
        checks: the gate's checks; none where the gate was not reached.
        engine: the engine that the gate ran; None where the gate was not reached.
        notes: for a person, on how it was built.
        older: the artifact of an earlier export that still stands under that name, unchanged; None where there is none.
        explanation: what int8 does to each layer, where its gate failed; None for floats.
    """

    name: str
    target: Target
    error: EdgeFMError
    bytes: int | None = None
    parity: Parity | None = None
    checks: tuple[Check, ...] = ()
    engine: str | None = None
    notes: tuple[str, ...] = ()
    older: Path | None = None
    explanation: Explanation | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm export --json` lists, with the keys of one that was written."""
        return {
            "artifact": None,
            "older_artifact": None if self.older is None else str(self.older),
            "format": self.target.format,
            "precision": self.target.precision,
            "bytes": self.bytes,
            "parity": None if self.parity is None else _parity_json(self.parity, self.checks, self.engine),
            "int8_measures": None,
            "notes": list(self.notes),
            **explanation_json(self.explanation),
            "error": str(self.error),
        }


@dataclass(frozen=True, eq=False)
class ExportReport:
    """What an export made.

    Attributes:
        results: the artifacts that were written, in the order requested.
        reference: float32 `[N,classes]`, the original's predictions for the evaluation set.
        failures: the targets that were not written.
        warnings: what to know before trusting the results, one text each.
    """

    results: tuple[ExportResult, ...]
    reference: Probabilities
    failures: tuple[ExportFailure, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def explanations(self) -> dict[str, Explanation]:
        """What int8 does to each layer, by the name of the artifact, written or failed; of those that are explained."""
        made = {result.path.name: result.explanation for result in self.results}
        made |= {failure.name: failure.explanation for failure in self.failures}
        return {name: explanation for name, explanation in made.items() if explanation is not None}

    def to_json(self) -> list[dict[str, Any]]:
        """The list that `edgefm export --json` prints: what was written, then what was not."""
        return [*(result.to_json() for result in self.results), *(failure.to_json() for failure in self.failures)]

    def require_all(self) -> None:
        """Raise one error for all targets that were not written.

        Raises:
            GateError: at least one failed its gate.
            EdgeFMError: none did, but some could not be built.
        """
        if self.failures:
            error = joined_failures({failure.target: failure.error for failure in self.failures}, self.results)
            older = [str(failure.older) for failure in self.failures if failure.older is not None]
            if unnamed := [path for path in older if path not in error.message]:
                error.message += f"\nUnchanged, from an earlier export: {', '.join(unnamed)}."
            raise error


def explanation_json(explanation: Explanation | None) -> dict[str, Any]:
    """The key `explanation` where there is one; else nothing."""
    return {} if explanation is None else {"explanation": explanation.to_json()}


def _parity_json(parity: Parity, checks: Sequence[Check], engine: str | None) -> dict[str, Any]:
    return {
        "passed": all(check.passed for check in checks),
        "engine": engine,
        **parity.to_json(),
        "checks": [check.to_json() for check in checks],
    }


def joined_failures(failures: Mapping[Target, EdgeFMError], results: Sequence[ExportResult]) -> EdgeFMError:
    """One error for all failures: a gate's failure outweighs the others, as it decides the exit code."""
    if len(failures) == 1 and not results:
        return next(iter(failures.values()))
    made = f" Made: {', '.join(str(r.path) for r in results)}." if results else ""
    messages = [
        (target, line)
        for target, error in failures.items()
        for line in (error.failures if isinstance(error, GateError) else (error.message,))
    ]
    lines = [f"{targets}: {line}" for line, targets in _grouped(messages).items()]
    hints = _grouped([(target, error.hint) for target, error in failures.items() if error.hint])
    hint = "\n  ".join(f"{targets}: {text}" if len(hints) > 1 else text for text, targets in hints.items()) or None
    head = f"{len(failures)} of {len(failures) + len(results)} artifacts failed and were not written.{made}"
    if any(isinstance(error, GateError) for error in failures.values()):
        return GateError(head, lines, hint=hint)
    return ExportError("\n".join([head, *(f"  - {line}" for line in lines)]), hint=hint)


def _grouped(messages: Sequence[tuple[Target, str]]) -> dict[str, str]:
    """Each text once, with the targets that it is about, such as "onnx fp32, fp16"."""
    targets: dict[str, dict[str, list[str]]] = {}
    for target, text in messages:
        targets.setdefault(text, {}).setdefault(target.format, []).append(target.precision)
    return {
        text: "; ".join(f"{format_} {', '.join(dict.fromkeys(precisions))}" for format_, precisions in formats.items())
        for text, formats in targets.items()
    }
