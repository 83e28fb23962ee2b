"""[data] of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from edge_fm.training.recipe.checks import check


@dataclass(frozen=True)
class DataPart:
    """[data]: what to learn from.

    Attributes:
        source: a name or path that `edge_fm.data.load_dataset` takes.
        shape: height, width, channels that images are brought to; empty for the source's own.
        validation: share of the training images that is held out to choose the best epoch.
    """

    source: str = "fashion-mnist"
    shape: tuple[int, ...] = ()
    validation: float = 0.1

    def __post_init__(self) -> None:
        check(bool(self.source), "[data] source is empty.", "`edgefm data info --help` lists the kinds of source.")
        check(
            len(self.shape) in {0, 3} and all(side >= 1 for side in self.shape),
            f"[data] shape is {list(self.shape)}; supported: [height, width, channels], or [] for the source's own.",
        )
        check(
            0 < self.validation <= 0.5,
            f"[data] validation is {self.validation}; supported: a share above 0 and at most 0.5.",
            "0.1 holds out every tenth training image.",
        )
