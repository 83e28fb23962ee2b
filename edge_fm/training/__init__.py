"""Training: a recipe and a dataset become a run folder."""

from edge_fm.training.recipe import (
    AugmentationPart,
    DataPart,
    DistillationPart,
    ModelPart,
    OptimizerPart,
    Recipe,
    SchedulePart,
    TrainingPart,
)
from edge_fm.training.recipe.file import (
    DEFAULT_RECIPE,
    load_recipe,
    parse_recipe,
    recipe_toml,
    shipped_recipes,
)
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.recipe.overrides import with_overrides
from edge_fm.training.recipe.table import recipe_table
from edge_fm.training.run.fit import EpochFn, train
from edge_fm.training.run.results import RunResult
from edge_fm.training.run.run_folder import latest_run, new_run_dir, started_run

__all__ = [
    "DEFAULT_RECIPE",
    "AugmentationPart",
    "DataPart",
    "DistillationPart",
    "EpochFn",
    "ModelPart",
    "OptimizerPart",
    "Recipe",
    "RunResult",
    "SchedulePart",
    "TrainingPart",
    "latest_run",
    "load_recipe",
    "new_run_dir",
    "parse_recipe",
    "recipe_hash",
    "recipe_table",
    "recipe_toml",
    "shipped_recipes",
    "started_run",
    "train",
    "with_overrides",
]
