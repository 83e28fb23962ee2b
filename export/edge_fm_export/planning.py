"""What an export would do on this machine, without doing it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge_fm_export.packages import missing_packages
from edge_fm_export.targets import Target, target_packages
from edge_fm_runtime.errors import MissingDependencyError

_DISTRIBUTIONS = {"ai_edge_litert": "ai-edge-litert"}


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
            tuple(_DISTRIBUTIONS.get(p, p) for p in missing_packages(target_packages(target))),
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
        raise MissingDependencyError.for_extra(", ".join(missing), "export", "This export")
