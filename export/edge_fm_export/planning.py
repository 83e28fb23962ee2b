"""What an export would do on this machine, without doing it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_fm_export.packages import missing_packages
from edge_fm_export.targets import Target, target_packages
from edge_fm_runtime.errors import MissingDependencyError

_DISTRIBUTIONS = {
    "ai_edge_litert": "ai-edge-litert",
    "ai_edge_quantizer": "ai-edge-quantizer",
    "tflite_micro": "tflite-micro",
}

_OWN_EXTRA = {"tflite-micro": "tflm"}
"""Distribution -> the extra that it is in, where that is not `export`."""


@dataclass(frozen=True)
class PlannedTarget:
    """One target of a dry run.

    Attributes:
        target: format and precision.
        folder: name of the artifact's folder.
        missing: distributions that are not installed here; empty where the export can run.
    """

    target: Target
    folder: str
    missing: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether everything that it needs is installed."""
        return not self.missing


def artifact_name(name: str, target: Target) -> str:
    """The artifact's folder name, such as "edgenet-s-onnx-int8"."""
    return f"{name}-{target.format}-{target.precision}"


def distribution(package: str) -> str:
    """The name of the distribution that has an import name."""
    return _DISTRIBUTIONS.get(package, package)


def plan(targets: Iterable[Target], *, name: str = "model") -> list[PlannedTarget]:
    """List what would be built and what is missing on this machine; imports nothing.

    Args:
        targets: as from `parse_targets`.
        name: the model's name.
    """
    return [
        PlannedTarget(
            target,
            artifact_name(name, target),
            tuple(distribution(p) for p in missing_packages(target_packages(target))),
        )
        for target in targets
    ]


def require_ready(targets: Iterable[Target]) -> None:
    """Raise before any work if a package of any target is missing.

    Raises:
        MissingDependencyError: names all that are missing, and the line that installs them.
    """
    missing = {p: None for planned in plan(targets) for p in planned.missing}
    if missing:
        extras = [
            "export" if set(missing) - set(_OWN_EXTRA) else None,
            *(extra for name, extra in _OWN_EXTRA.items() if name in missing),
        ]
        extra = ",".join(name for name in extras if name is not None)
        raise MissingDependencyError.for_extra(", ".join(missing), extra, "This export")
