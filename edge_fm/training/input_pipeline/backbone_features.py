"""Features of a frozen backbone: computed once and stored on disk, so that training the head takes seconds.

A backbone that is not trained gives the same row of numbers for an image in every epoch. Only its head is then fitted,
on these rows; the model that is saved is still the whole one, as both share their weights. Features are not stored
where images change from epoch to epoch, or where something else needs the whole model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.models import find_model
from edge_fm.models.architectures.transfer import FEATURES
from edge_fm.models.freezing import BACKBONE
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
    """Why the features of a recipe's backbone cannot be stored; None where they can.

    Example:
        >>> from edge_fm.training import ModelPart
        >>> why_not_stored(Recipe(model=ModelPart("vgg16", weights="imagenet", unfreeze=("block5",))))
        'block5 of the backbone is trained'
    """
    frozen, trained = recipe.model.frozen
    if not find_model(recipe.model.name).backbone or BACKBONE not in frozen:
        return NO_BACKBONE
    if trained:
        return f"{', '.join(trained)} of the backbone {'is' if len(trained) == 1 else 'are'} trained"
    plain = AugmentationPart(clean_epochs=recipe.augmentation.clean_epochs)
    for reason, applies in (
        ("augmentation changes the images from epoch to epoch", recipe.augmentation != plain),
        ("the teachers need the images", bool(recipe.distillation.teacher)),
        ("weights are averaged (ema)", bool(recipe.training.ema)),
        (f"the precision is {recipe.training.precision}", recipe.training.precision != "float32"),
    ):
        if applies:
            return reason
    return None


@dataclass(frozen=True, eq=False)
class Halves:
    """A model of the zoo, split at its features; both halves share its layers and weights.

    Attributes:
        trunk: keras.Model, uint8 `[N,H,W,C]` -> float32 `[N,F]`.
        head: keras.Model, float32 `[N,1,1,F]`, so that features can stand where images do, -> float32 `[N,classes]`.
    """

    trunk: Any
    head: Any


def split_at_features(model: Any, recipe: Recipe, *, images: int) -> tuple[Halves | None, str | None]:
    """Split a model at its features where these can be stored.

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
    keras = require_keras("training")
    features = model.get_layer(FEATURES).output
    width = int(features.shape[-1])
    if images * width * 4 > _MAX_BYTES:
        return None, f"those of {images:,} images would take {images * width * 4 / 2**30:.1f} GiB"
    rows = keras.Input((1, 1, width), name="features_row")
    head = keras.Model(features, model.output, name="head")
    return Halves(
        keras.Model(model.inputs, features, name="trunk"),
        keras.Model(rows, head(keras.layers.Reshape((width,))(rows)), name="head_on_features"),
    ), None


def with_features(
    trunk: Any,
    recipe: Recipe,
    images: NDArray[np.uint8],
    parts: tuple[Split, ...],
    *,
    progress: ProgressFn,
    note: MessageFn,
) -> tuple[Split, ...]:
    """Replace images by their features.

    Args:
        trunk: as from `split_at_features`.
        recipe: whose model it is.
        images: uint8 `[N,H,W,C]`, all that `parts` were taken from; their features are stored together, so that other
            parts of them (another seed, another fold) find theirs.
        parts: some of these images each.
        progress: called with "computing features".
        note: called with where they come from.

    Returns:
        The parts with float32 `[N,1,1,F]` for images, labels as they were.
    """
    from edge_fm_export.gate.fingerprints import fingerprints

    width = int(trunk.output_shape[-1])
    cache = ArrayCache("features", _facts(trunk, recipe, images), what="features")
    features = cache.read(_FILE, (len(images), width), mmap=True)
    if features is None:
        features = _compute(trunk, images, progress)
        stored = cache.write(_FILE, features)
        where = f"stored in {cache.folder}" if stored else "in memory alone, as the cache folder cannot be written to"
        note(f"The backbone is frozen: its features of {len(images):,} images were computed once and are {where}.")
    else:
        note(f"The backbone is frozen: its features of {len(images):,} images come from {cache.folder}.")
    rows = {key: row for row, key in enumerate(fingerprints(images))}
    replaced = []
    for part in parts:
        selected = features[[rows[key] for key in fingerprints(part.images)]]
        replaced.append(type(part)(np.ascontiguousarray(selected[:, None, None, :]), part.labels))
    return tuple(replaced)


def _compute(trunk: Any, images: NDArray[np.uint8], progress: ProgressFn) -> NDArray[np.float32]:
    return run_in_batches(
        lambda batch: np.asarray(trunk.predict_on_batch(batch), dtype=np.float32),
        images,
        fixed_batch=_BATCH,  # a batch of another size would be another graph to trace
        stage="computing features",
        progress=progress,
    )


def _facts(trunk: Any, recipe: Recipe, images: NDArray[np.uint8]) -> dict[str, Any]:
    """All that the features depend on."""
    return {
        "version": _VERSION,
        "edge-fm": package_version("edge-fm"),
        "model": recipe.model.name,
        "options": dict(recipe.model.options),
        "weights": bytes_hash(*trunk.get_weights()),
        "shape": list(images.shape),
        "images": bytes_hash(images),
    }
