"""The artifacts that come with the package: each goes by the name of its folder wherever an artifact is taken."""

from __future__ import annotations

from pathlib import Path

MODELS = Path(__file__).parents[1] / "models"
DEFAULT_MODEL = "efficientnet-lite0-onnx-int8"
"""What `Classifier.load()` and `edgefm infer` take where none is named."""


def packaged_artifact(name: str | Path) -> Path | None:
    """The folder of the packaged artifact called `name`; None where there is none.

    Example:
        >>> packaged_artifact("edgenet-s-onnx-int8").name
        'edgenet-s-onnx-int8'
        >>> packaged_artifact("models/edgenet-s-onnx-int8") is None
        True
    """
    return MODELS / name if str(name) in packaged_names() else None


def packaged_names() -> list[str]:
    """The names of all packaged artifacts."""
    return sorted(folder.parent.name for folder in MODELS.glob("*/edgefm.json"))
