"""Data leakage: copies of images across splits, and trained models that have learned from a run's evaluation images.

Which images a run holds out follows its seed, so a run that starts from a run of another seed, or of other data that
hold the same images, is evaluated on images that were learned from. Its validation figures are too good then, and a
selection by them is wrong; its test figures are too good where the other run learned from test images. Images are
compared one by one, pixel for pixel: sets of other names, sizes and orders may share them. Where images have groups
(people, cameras, days), a model that has learned from others of a group knows it too: its floor, its light.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    """A trained model that has learned from a run's validation or test images, or of which that is not known.

    Attributes:
        path: of the model, as the recipe has it.
        images: of the run's validation images that it has learned from.
        advice: settings that make both hold out the same images, as `--set` takes them; empty where none do.
        test_images: of the run's test images that it has learned from.
        through: the model that learned from this one, which the recipe names; empty where it names this one.
        unknown: the data that it learned from, where these are not here to be compared; else empty.
        group_images: of the run's validation images that come from a group (a person, a camera, a day) of which it has
            learned from some image, this one or another.
        group_test_images: likewise of the test images.
    """

    path: str
    images: int
    advice: str
    test_images: int = 0
    through: str = ""
    unknown: str = ""
    group_images: int = 0
    group_test_images: int = 0


def find_leaks(recipe: Recipe, dataset: Dataset, validation_split: Split, *, test: bool = True) -> tuple[Leak, ...]:
    """Find what a run starts from, or learns from, that has learned from its validation or test images.

    Only a run's folder says what it learned from; of a file that lies alone nothing is known. What such runs
    themselves started and learned from is followed. Nothing is downloaded.

    Args:
        recipe: whose `weights` of [model] and teachers are looked at.
        dataset: what is learned, as `load_recipe_data` gives it.
        validation_split: the validation images.
        test: whether the test images are used.

    Returns:
        In the order of the recipe, each model once.

    Raises:
        ModelError: a run's recipe or metrics cannot be read.
    """
    from edge_fm_export.gate.fingerprints import fingerprints

    leaks = []
    validation_keys = set(fingerprints(validation_split.images))
    test_keys = set(fingerprints(dataset.test.images)) if test else set()
    whose = _groups_by_image(dataset)
    for path, through, theirs, same in _runs(recipe, dataset):
        learned_from = dataset if same else _their_data(theirs, recipe, dataset)
        if learned_from is None:
            leaks.append(Leak(path, 0, "", through=through, unknown=theirs.data.source))
            continue
        learned = training_and_validation(theirs, learned_from)[0]
        train_keys = set(fingerprints(learned.images))
        known = {group for key in train_keys for group in whose.get(key, ())}
        if theirs.data.group == recipe.data.group:
            known |= set(learned.groups)
        counts = len(validation_keys & train_keys), len(test_keys & train_keys)
        of_groups = _count(validation_split, known), _count(dataset.test, known) if test else 0
        if any(counts) or any(of_groups):
            advice = _advice(theirs) if same else ""
            leaks.append(Leak(path, counts[0], advice, counts[1], through, "", *of_groups))
    return tuple(leaks)


def _groups_by_image(dataset: Dataset) -> dict[bytes, set[str]]:
    """Fingerprint of each image of a dataset that has groups -> its groups; an image may be of several."""
    from edge_fm_export.gate.fingerprints import fingerprints

    found: dict[bytes, set[str]] = {}
    for split in dataset.splits.values():
        for key, group in zip(fingerprints(split.images), split.groups, strict=False):  # no groups, nothing to pair
            found.setdefault(key, set()).add(group)
    return found


def _count(split: Split, groups: set[str]) -> int:
    return sum(group in groups for group in split.groups)


def leak_rows(found: Iterable[tuple[str, int, int]]) -> list[dict[str, Any]]:
    """What metrics.json holds of leaks: path, images that were learned from, and images of groups that are known.

    Args:
        found: these three of each model; the last one is left out of the row where it is 0.
    """
    return [
        {"path": path, "images": images, **({"images_of_known_groups": of_groups} if of_groups else {})}
        for path, images, of_groups in found
        if images or of_groups
    ]


def notes_of_copies(
    train_split: Split, validation_split: Split, test: Split | None, *, drawn: bool, droppable: bool = True
) -> list[str]:
    """Warnings of images that are in two splits, one for each pair of splits that share some.

    Args:
        train_split: the training images.
        validation_split: the validation images.
        test: the test images; None where they are not used.
        drawn: whether the validation images were taken out of the training split.
        droppable: whether `data.deduplicate` would drop them; it refuses to where copies have different labels.
    """
    from edge_fm_export.gate.fingerprints import fingerprints

    train_keys, validation_keys = set(fingerprints(train_split.images)), fingerprints(validation_split.images)
    pairs = [("validation", validation_keys, "training", train_keys)]
    if test is not None:
        test_keys = fingerprints(test.images)
        pairs += [("test", test_keys, "training", train_keys), ("test", test_keys, "validation", set(validation_keys))]
    notes = []
    for evaluated, keys, where, known in pairs:
        copies = sum(key in known for key in keys)
        if copies:
            remedy = "--set data.deduplicate=true drops them."
            if not droppable or (not drawn and where != "training"):
                remedy = f"Move them out of {where} or {evaluated}."
            notes.append(
                f"{copies:,} of the {len(keys):,} {evaluated} images are among the {where} images: {evaluated} figures "
                f"will be too good. {remedy}"
            )
    return notes


def note_of_conflicts(dataset: Dataset, *, test: bool) -> str:
    """A warning of copies whose labels differ; empty where there are none.

    Args:
        dataset: what is learned.
        test: whether the test images are used.
    """
    from edge_fm.data.splitting.conflicts import conflicts_in_words, label_conflicts

    used = {name: split for name, split in dataset.splits.items() if test or name != "test"}
    conflicts = label_conflicts(used, dataset.label_names)
    return f"{conflicts_in_words(conflicts)} Correct the labels, or delete the wrong copies." if conflicts else ""


def notes_of_leaks(leaks: tuple[Leak, ...], validation_split: Split) -> list[str]:
    """Warnings of leaks, one or more for each."""
    notes = []
    for leak in leaks:
        name = f"{leak.path} (which {leak.through} learned from)" if leak.through else leak.path
        advice = (
            f"With {leak.advice} both hold out the same images."
            if leak.advice
            else "Start or learn from another model."
        )
        if leak.unknown:
            notes.append(
                f"Whether {name} has learned from validation or test images is not known: its data, {leak.unknown}, "
                "are not here."
            )
        if leak.images:
            notes.append(
                f"{name} has learned from {leak.images:,} of the {len(validation_split.images):,} validation images: "
                f"validation figures will be too good. {advice}"
            )
        if leak.test_images:
            notes.append(
                f"{name} has learned from {leak.test_images:,} of the test images: test figures will be too good. "
                "Start or learn from another model."
            )
        for known, count, what in (
            (leak.images, leak.group_images, "validation"),
            (leak.test_images, leak.group_test_images, "test"),
        ):
            if count > known:
                more = f" {advice}" if what == "validation" else ""
                notes.append(
                    f"{name} has learned from images of the same groups as {count:,} of the {what} images: {what} "
                    f"figures say nothing about groups that it has never seen.{more}"
                )
    return notes


def _advice(theirs: Recipe) -> str:
    data = theirs.data
    seed = theirs.seed if data.validation_seed is None else data.validation_seed
    # Data of the same hash has the same [data] split, if any.
    share = "" if data.split else f" --set data.validation={data.validation:g}"
    return f"--set data.validation_seed={seed}{share}"


def _runs(recipe: Recipe, dataset: Dataset) -> Iterator[tuple[str, str, Recipe, bool]]:
    """Every run that a recipe goes back to: path, the run that names it, its recipe, whether its data are ours."""
    waiting = [(path, "") for path in (recipe.model.weights, *recipe.distillation.teacher)]
    seen: set[Path] = set()
    while waiting:
        path, through = waiting.pop(0)
        place = trained_model(path)
        folder = (place.parent if place.name == MODEL_FILE else place).resolve()
        if folder in seen or (found := _read_run(folder, dataset)) is None:
            continue
        seen.add(folder)
        theirs, same = found
        yield path, through, theirs, same
        waiting += [(further, path) for further in (theirs.model.weights, *theirs.distillation.teacher)]


def _read_run(folder: Path, dataset: Dataset) -> tuple[Recipe, bool] | None:
    """A run's recipe, and whether it learned from these data; None where the folder is not a run."""
    metrics, recipe = folder / METRICS_FILE, folder / RECIPE_FILE
    if not (metrics.is_file() and recipe.is_file()):
        return None
    try:
        noted: dict[str, Any] = parse_json(metrics.read_text("utf-8"))
        return load_recipe(recipe), dataset.has_hash(noted["data"]["hash"])
    except (OSError, ValueError, KeyError, TypeError, RecipeError) as error:
        reason = error.message if isinstance(error, RecipeError) else f"{error}."
        raise ModelError(
            f"The run in {folder} cannot be read: {reason}",
            hint="Name its model.keras outside the run, or train again.",
        ) from error


def _their_data(theirs: Recipe, ours: Recipe, dataset: Dataset) -> Dataset | None:
    """The other data that a run learned from, brought to our size as ours are; None where they are not here."""
    from edge_fm.data import fashion_mnist, load_dataset, prepare

    try:
        if theirs.data.source == fashion_mnist.NAME:
            fashion_mnist.fetch(sources=())  # raises where it would have to be downloaded
        loaded = load_dataset(
            theirs.data.source,
            shape=dataset.shape,
            photo=ours.photo,
            skip_unreadable=theirs.data.skip_unreadable,
            group=theirs.data.group,
            label_column=theirs.data.label_column,
            multi_label=theirs.data.multi_label,
        )
        return prepare(loaded, theirs.data.preparation)
    except (DataError, DownloadError):
        return None
