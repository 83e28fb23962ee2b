"""Features of a frozen backbone: computed once and stored on disk, so that training what follows takes seconds.

Layers that are not trained give the same numbers for an image in every epoch. Only what follows them is then fitted, on
these numbers: the head, and stages before it that are trained too; the model that is saved is still the whole one, as
both share their weights. Features are not stored where images change from epoch to epoch, or where something else needs
the whole model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models import find_model
from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.models.keras_import import require_keras
from edge_fm.training.input_pipeline.array_cache import ArrayCache, bytes_hash
from edge_fm.training.recipe import AugmentationPart, Recipe
from edge_fm_runtime.engines.batches import run_in_batches
from edge_fm_runtime.progress import MessageFn, ProgressFn
from edge_fm_runtime.system.package_versions import package_version

if TYPE_CHECKING:
    from edge_fm.data import Split

NO_BACKBONE = "no backbone is frozen"
_FILE = "features.npy"
# Raised when the same weights and pixels would give other features.
_VERSION = 2
_BATCH = 250
_MAX_BYTES = 2 << 30


def why_not_stored(recipe: Recipe) -> str | None:
    """Why a recipe's features cannot be stored, whatever its model; None where they can.

    Example:
        >>> from edge_fm.training import ModelPart, TrainingPart
        >>> vgg = ModelPart("vgg16", weights="imagenet")
        >>> why_not_stored(Recipe(model=vgg, training=TrainingPart(precision="mixed_bfloat16")))
        'the precision is mixed_bfloat16'
    """
    frozen, _ = recipe.model.frozen
    if not find_model(recipe.model.name).backbone or not (frozen or recipe.model.freeze_until):
        return NO_BACKBONE
    plain = AugmentationPart(clean_epochs=recipe.augmentation.clean_epochs)
    for reason, applies in (
        ("augmentation changes the images from epoch to epoch", recipe.augmentation != plain),
        ("other things are learned from too", bool(recipe.data.other_things)),
        ("the teachers need the images", bool(recipe.distillation.teacher)),
        ("weights are averaged (ema)", bool(recipe.training.ema)),
        (f"the precision is {recipe.training.precision}", recipe.training.precision != "float32"),
    ):
        if applies:
            return reason
    return None


@dataclass(frozen=True, eq=False)
class Halves:
    """A model of the zoo, split where its training begins; both halves share its layers and weights.

    Attributes:
        trunk: keras.Model, uint8 `[N,H,W,C]` -> float32 features, `[N,F]` or `[N,h,w,c]`.
        head: keras.Model, float32 `[N,1,1,F]` or `[N,h,w,c]`, so that features can stand where images do, -> float32
            `[N,classes]`.
        layer: name of the last one of the trunk.
    """

    trunk: Any
    head: Any
    layer: str


def split_at_features(model: Any, recipe: Recipe, *, images: int) -> tuple[Halves | None, str | None]:
    """Split a model behind the layers that are not trained, where these make features that can be stored.

    Args:
        model: of the recipe, frozen as it says.
        recipe: whose model it is.
        images: how many there are to store features of.

    Returns:
        The halves, or why there are none.
    """
    reason = why_not_stored(recipe)
    if reason is not None:
        return None, reason
    last = last_frozen_operation(model)
    if last is None:
        return None, "the backbone's first layers are trained"
    size = images * math.prod(map(int, last.output.shape[1:])) * 4
    if size > _MAX_BYTES:
        return None, f"those of {images:,} images would take {size / 2**30:.1f} GiB"
    return halves_at(model, last), None


def halves_at(model: Any, last: Any) -> Halves:
    """Split a model behind one of its layers, which everything behind it goes through."""
    keras = require_keras("training")
    features = last.output
    shape = tuple(map(int, features.shape[1:]))
    place = shape if len(shape) == 3 else (1, 1, *shape)
    stored = keras.Input(place, name="stored_features")
    head = keras.Model(features, model.output, name="head")
    inputs = stored if place == shape else keras.layers.Reshape(shape)(stored)
    return Halves(
        keras.Model(model.inputs, features, name="trunk"),
        keras.Model(stored, head(inputs), name="head_on_features"),
        last.name,
    )


def last_frozen_operation(model: Any) -> Any:
    """The last layer, up to the features, that nothing trained comes before and everything behind it goes through.

    Args:
        model: functional keras.Model, frozen as it will be trained.

    Returns:
        keras.Operation, or None where no layer with weights is frozen ahead of the first that is trained.
    """
    tree = require_keras("training").tree
    operations = list(model.operations)  # in the order in which they are computed
    places = {id(tensor): place for place, op in enumerate(operations) for tensor in tree.flatten(op.output)}
    # The place of the first operation that each one takes something from.
    earliest = [
        min((places.get(id(t), place) for t in tree.flatten(op.input)), default=place)
        for place, op in enumerate(operations)
    ]
    found, weights = None, False
    for place, op in enumerate(operations):
        if getattr(op, "trainable_weights", []):
            break
        weights |= bool(getattr(op, "weights", []))
        if weights and all(before >= place for before in earliest[place + 1 :]):
            found = op
        if op.name == FEATURES:
            break
    return found


def with_features(
    halves: Halves,
    recipe: Recipe,
    images: NDArray[np.uint8],
    parts: tuple[Split, ...],
    *,
    progress: ProgressFn,
    note: MessageFn,
    reason: str = "",
) -> tuple[Split, ...]:
    """Replace images by their features.

    Args:
        halves: as from `split_at_features`.
        recipe: whose model it is.
        images: uint8 `[N,H,W,C]`, all that `parts` were taken from; their features are stored together, so that other
            parts of them (another seed, another fold) find theirs.
        parts: some of these images each.
        progress: called with "computing features".
        note: called with where they come from.
        reason: why they stand for the images, as that sentence begins; empty where the backbone is frozen.

    Returns:
        The parts with float32 `[N,1,1,F]` or `[N,h,w,c]` for images, labels as they were.
    """
    from edge_fm_export.gate.fingerprints import fingerprints

    shape = tuple(map(int, halves.trunk.output_shape[1:]))
    cache = ArrayCache("features", _facts(halves, recipe, images), what="features")
    features = cache.read(_FILE, (len(images), *shape), mmap=True)
    frozen = "The backbone is frozen" if halves.layer == FEATURES else f"The backbone is frozen up to {halves.layer}"
    whose = reason or frozen
    if features is None:
        features = _compute(halves.trunk, images, progress)
        stored = cache.write(_FILE, features)
        where = f"stored in {cache.folder}" if stored else "in memory alone, as the cache folder cannot be written to"
        note(f"{whose}: its features of {len(images):,} images were computed once and are {where}.")
    else:
        note(f"{whose}: its features of {len(images):,} images come from {cache.folder}.")
    rows = {key: row for row, key in enumerate(fingerprints(images))}
    replaced = []
    for part in parts:
        selected = features[[rows[key] for key in fingerprints(part.images)]]
        replaced.append(
            type(part)(np.ascontiguousarray(selected.reshape(-1, *halves.head.input_shape[1:])), part.labels)
        )
    return tuple(replaced)


def _compute(trunk: Any, images: NDArray[np.uint8], progress: ProgressFn) -> NDArray[np.float32]:
    return run_in_batches(
        lambda batch: np.asarray(trunk.predict_on_batch(batch), dtype=np.float32),
        images,
        fixed_batch=_BATCH,  # a batch of another size would be another graph to trace
        stage="computing features",
        progress=progress,
    )


def _facts(halves: Halves, recipe: Recipe, images: NDArray[np.uint8]) -> dict[str, Any]:
    """All that the features depend on."""
    return {
        "version": _VERSION,
        "edge-fm": package_version("edge-fm"),
        "model": recipe.model.name,
        "options": dict(recipe.model.options),
        "weights": bytes_hash(*halves.trunk.get_weights()),
        "layer": halves.layer,
        "shape": list(images.shape),
        "images": bytes_hash(images),
    }
