"""Data leakage: copies of images across splits, and trained models that know the images by which a run is judged.

Which images a run holds out follows its seed, so a run that goes on from a run of another seed, or of other data that
hold the same images, is judged by images that were learned from. Its validation figures are too good then, and whoever
chooses by them chooses wrong; its test figures are too good where the other run learned from test images. Images are
compared one by one, pixel for pixel: sets of other names, sizes and orders may share them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_fm.models.records import trained_model
from edge_fm.models.run_files import METRICS_FILE, MODEL_FILE, RECIPE_FILE
from edge_fm.training.input_pipeline.recipe_data import training_and_validation
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.file import load_recipe
from edge_fm_runtime.errors import DataError, DownloadError, ModelError, RecipeError
from edge_fm_runtime.system.json_text import parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from edge_fm.data import Dataset, Split


@dataclass(frozen=True)
class Leak:
    """A trained model that has learned from images by which a run is judged, or of which that cannot be told.

    Attributes:
        path: of the model, as the recipe has it.
        images: of the run's validation images that it has learned from.
        advice: settings that make both hold out the same images, as `--set` takes them; empty where none do.
        test_images: of the run's test images that it has learned from.
        through: the model that learned from this one, which the recipe names; empty where it names this one.
        unknown: the data that it learned from, where these are not here to be compared; else empty.
    """

    path: str
    images: int
    advice: str
    test_images: int = 0
    through: str = ""
    unknown: str = ""


def find_leaks(recipe: Recipe, dataset: Dataset, choose: Split, *, test: bool = True) -> tuple[Leak, ...]:
    """Find what a run starts from, or learns from, that has learned from its validation or test images.

    Only a run's folder says what it learned from; of a file that lies alone nothing is known. What such runs
    themselves started and learned from is followed. Nothing is downloaded.

    Args:
        recipe: whose `weights` of [model] and teachers are looked at.
        dataset: what is learned, as `load_recipe_data` gives it.
        choose: the validation images.
        test: whether the test images are used.

    Returns:
        In the order of the recipe, each model once.

    Raises:
        ModelError: a run's recipe or metrics cannot be read.
    """
    from edge_fm_export.gate.fingerprints import fingerprints

    leaks = []
    judged_by = set(fingerprints(choose.images))
    tested_by = set(fingerprints(dataset.test.images)) if test else set()
    for path, through, theirs, same in _runs(recipe, dataset.content_hash):
        learned_from = dataset if same else _their_data(theirs, recipe, dataset)
        if learned_from is None:
            leaks.append(Leak(path, 0, "", through=through, unknown=theirs.data.source))
            continue
        learned = set(fingerprints(training_and_validation(theirs, learned_from)[0].images))
        images, test_images = len(judged_by & learned), len(tested_by & learned)
        if images or test_images:
            leaks.append(Leak(path, images, _advice(theirs) if same else "", test_images, through))
    return tuple(leaks)


def notes_of_copies(learn: Split, choose: Split, test: Split | None, *, drawn: bool) -> list[str]:
    """What a person is told of images that are in two splits, a line for each pair of splits that share some.

    Args:
        learn: the training images.
        choose: the validation images.
        test: the test images; None where they are not used.
        drawn: whether the validation images were taken out of the training split.
    """
    from edge_fm_export.gate.fingerprints import fingerprints

    learned, chosen_by = set(fingerprints(learn.images)), fingerprints(choose.images)
    pairs = [("validation", chosen_by, "training", learned)]
    if test is not None:
        tested_by = fingerprints(test.images)
        pairs += [("test", tested_by, "training", learned), ("test", tested_by, "validation", set(chosen_by))]
    notes = []
    for judges, keys, where, known in pairs:
        copies = sum(key in known for key in keys)
        if copies:
            dropped = drawn or where == "training"
            notes.append(
                f"{copies:,} of the {len(keys):,} {judges} images are among the {where} images: {judges} figures will "
                "be too good. "
                + ("--set data.deduplicate=true drops them." if dropped else f"Move them out of {where} or {judges}.")
            )
    return notes


def notes_of_leaks(leaks: tuple[Leak, ...], choose: Split) -> list[str]:
    """What a person is told, a line each."""
    notes = []
    for leak in leaks:
        who = f"{leak.path} (which {leak.through} learned from)" if leak.through else leak.path
        mended = (
            f"With {leak.advice} both hold out the same images."
            if leak.advice
            else "Start or learn from another model."
        )
        if leak.unknown:
            notes.append(
                f"Whether {who} has learned from validation or test images cannot be told: its data, {leak.unknown}, "
                "are not here."
            )
        if leak.images:
            notes.append(
                f"{who} has learned from {leak.images:,} of the {len(choose.images):,} validation images: validation "
                f"figures will be too good. {mended}"
            )
        if leak.test_images:
            notes.append(
                f"{who} has learned from {leak.test_images:,} of the test images: test figures will be too good. "
                "Start or learn from another model."
            )
    return notes


def _advice(theirs: Recipe) -> str:
    data = theirs.data
    seed = theirs.seed if data.validation_seed is None else data.validation_seed
    # Data of the same hash has the same [data] split, if any.
    share = "" if data.split else f" --set data.validation={data.validation:g}"
    return f"--set data.validation_seed={seed}{share}"


def _runs(recipe: Recipe, data_hash: str) -> Iterator[tuple[str, str, Recipe, bool]]:
    """Every run that a recipe goes back to: path, the run that names it, its recipe, whether its data are ours."""
    waiting = [(path, "") for path in (recipe.model.weights, *recipe.distillation.teacher)]
    seen: set[Path] = set()
    while waiting:
        path, through = waiting.pop(0)
        place = trained_model(path)
        folder = (place.parent if place.name == MODEL_FILE else place).resolve()
        if folder in seen or (found := _read_run(folder, data_hash)) is None:
            continue
        seen.add(folder)
        theirs, same = found
        yield path, through, theirs, same
        waiting += [(further, path) for further in (theirs.model.weights, *theirs.distillation.teacher)]


def _read_run(folder: Path, data_hash: str) -> tuple[Recipe, bool] | None:
    """A run's recipe, and whether it learned from the data of this hash; None where the folder is no run."""
    metrics, recipe = folder / METRICS_FILE, folder / RECIPE_FILE
    if not (metrics.is_file() and recipe.is_file()):
        return None
    try:
        noted: dict[str, Any] = parse_json(metrics.read_text("utf-8"))
        return load_recipe(recipe), noted["data"]["hash"] == data_hash
    except (OSError, ValueError, KeyError, TypeError, RecipeError) as error:
        raise ModelError(
            f"The run in {folder} cannot be read: {error}.", hint="Name its model.keras outside the run, or train anew."
        ) from error


def _their_data(theirs: Recipe, ours: Recipe, dataset: Dataset) -> Dataset | None:
    """The other data that a run learned from, brought to our size as ours are; None where they are not here."""
    from edge_fm.data import fashion_mnist, load_dataset, prepare

    try:
        if theirs.data.source == fashion_mnist.NAME:
            fashion_mnist.fetch(sources=())  # raises where it would have to be downloaded
        loaded = load_dataset(
            theirs.data.source, shape=dataset.shape, photo=ours.photo, skip_unreadable=theirs.data.skip_unreadable
        )
        return prepare(loaded, theirs.data.preparation)
    except (DataError, DownloadError):
        return None
