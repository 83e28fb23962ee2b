"""Data leakage through trained models: teachers, or weights to start from, that know the validation images.

The test split is safe: no run learns from it. But which images a run holds out follows its seed, so a run that goes on
from a run of another seed is judged by images that were learned from. Its validation figures are too good then, and
whoever chooses by them chooses wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_fm.models.records import trained_model
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe_data import learn_and_choose
from edge_fm.training.recipe_file import load_recipe
from edge_fm.training.run_folder import METRICS_FILE, MODEL_FILE, RECIPE_FILE
from edge_fm_runtime.errors import ModelError, RecipeError
from edge_fm_runtime.json_text import parse_json

if TYPE_CHECKING:
    from edge_fm.data import Dataset, Split


@dataclass(frozen=True)
class Leak:
    """A trained model that has learned from images by which a run is judged.

    Attributes:
        path: of the model, as the recipe has it.
        images: of the run's validation images that it has learned from.
        advice: settings that make both hold out the same images, as `--set` takes them.
    """

    path: str
    images: int
    advice: str


def find_leaks(recipe: Recipe, dataset: Dataset, choose: Split) -> tuple[Leak, ...]:
    """Find what a run starts from, or learns from, that has learned from its validation images.

    Only a run's folder says what it learned from; of a file that lies alone nothing is known. What such a run's own
    teachers have seen is not followed.

    Args:
        recipe: whose `weights` of [model] and teachers are looked at.
        dataset: what is learned, as `load_recipe_data` gives it.
        choose: the validation images.

    Returns:
        In the order of the recipe, each model once.

    Raises:
        ModelError: a run's recipe or metrics cannot be read.
    """
    from edge_fm_export.fingerprints import fingerprints

    leaks = []
    judged_by = set(fingerprints(choose.images))
    for path in dict.fromkeys((recipe.model.weights, *recipe.distillation.teacher)):
        theirs = _recipe_of_run(path, dataset)
        if theirs is None:
            continue
        learned, _ = learn_and_choose(theirs, dataset)
        images = len(judged_by & set(fingerprints(learned.images)))
        if images:
            leaks.append(Leak(path, images, _advice(theirs)))
    return tuple(leaks)


def note_of_copies(dataset: Dataset) -> str | None:
    """What a person is told of a source's own validation images that are among its training images; None of none."""
    from edge_fm_export.fingerprints import fingerprints

    if dataset.validation is None:
        return None
    learned = set(fingerprints(dataset.train.images))
    copies = sum(key in learned for key in fingerprints(dataset.validation.images))
    if not copies:
        return None
    return (
        f"{copies:,} of the {len(dataset.validation):,} validation images are among the training images: validation "
        "figures will be too good. --set data.deduplicate=true drops them from the training images."
    )


def notes_of_leaks(leaks: tuple[Leak, ...], choose: Split) -> list[str]:
    """What a person is told, a line each."""
    return [
        f"{leak.path} has learned from {leak.images:,} of the {len(choose.images):,} validation images: validation "
        f"figures will be too good. With {leak.advice} both hold out the same images."
        for leak in leaks
    ]


def _advice(theirs: Recipe) -> str:
    data = theirs.data
    seed = theirs.seed if data.validation_seed is None else data.validation_seed
    # Data of the same hash has the same [data] split, if any.
    share = "" if data.split else f" --set data.validation={data.validation:g}"
    return f"--set data.validation_seed={seed}{share}"


def _recipe_of_run(path: str, dataset: Dataset) -> Recipe | None:
    """The recipe of the run that a model comes from; None where it is no run's, or learned from other data."""
    place = trained_model(path)
    folder = place.parent if place.name == MODEL_FILE else place
    metrics, recipe = folder / METRICS_FILE, folder / RECIPE_FILE
    if not (metrics.is_file() and recipe.is_file()):
        return None
    try:
        noted: dict[str, Any] = parse_json(metrics.read_text("utf-8"))
        same = noted["data"]["hash"] == dataset.content_hash
        return load_recipe(recipe) if same else None
    except (OSError, ValueError, KeyError, TypeError, RecipeError) as error:
        raise ModelError(
            f"The run in {folder} cannot be read: {error}.", hint="Name its model.keras outside the run, or train anew."
        ) from error
