"""Each layer learns at its own rate, and a fresh head can be fitted before the backbone is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_fm.models.freezing import freeze_layers
from edge_fm.training import ModelPart, OptimizerPart, Recipe, TrainingPart, with_overrides
from edge_fm.training.optimization.layer_rates import layer_rates
from edge_fm.training.optimization.optimizers import build_optimizer
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm_runtime.errors import RecipeError
from edge_fm_runtime.parity.likelihood import negative_log_likelihood

keras = pytest.importorskip("keras")


def _backbone_and_head() -> Any:
    """A model as the zoo's transfer models are: a backbone that ends in the layer "features", and a head."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    for name in ("stem", "block1", "block2"):
        x = layers.Conv2D(4, 3, use_bias=False, name=f"{name}_conv")(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.2, name="head_dropout")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="probabilities")(x))


def test_rates_fall_evenly_from_the_head_to_the_first_layer() -> None:
    model = _backbone_and_head()
    part = OptimizerPart(backbone_rate=0.5, first_layer_rate=0.01, rates={"block2": 0.3, "stem_bn": 0.0})
    rates = layer_rates(model, part)
    assert rates is not None
    assert rates["probabilities/kernel"] == 1
    assert rates["stem_conv/kernel"] == pytest.approx(0.5 * 0.01)
    assert rates["block1_conv/kernel"] == pytest.approx(0.5 * 0.01 ** (3 / 5))
    assert rates["block1_bn/gamma"] == pytest.approx(0.5 * 0.01 ** (2 / 5))
    assert rates["block2_conv/kernel"] == rates["block2_bn/beta"] == 0.3
    assert rates["stem_bn/gamma"] == 0
    assert layer_rates(model, OptimizerPart()) is None
    with pytest.raises(RecipeError, match="belong to models with a backbone"):
        layer_rates(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]), OptimizerPart(backbone_rate=0.1))


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon"])
def test_a_step_is_as_long_as_its_layers_rate_and_so_is_the_decay(name: Any) -> None:
    model = _backbone_and_head()
    variables = model.trainable_variables
    grads = [keras.ops.ones_like(v) * 0.01 for v in variables]
    before = [np.array(v) for v in variables]
    moved = {}
    for rate in (1.0, 0.25, 0.0):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        rates = {v.path: rate if v.path.startswith("block1") else 1.0 for v in variables}
        optimizer = build_optimizer(OptimizerPart(name, weight_decay=0.1), 1e-3, ema=0.9, rates=rates)
        optimizer.build(variables)
        optimizer.apply(grads, variables)
        moved[rate] = {v.path: np.array(v) - value for v, value in zip(variables, before, strict=True)}
    plain = build_optimizer(OptimizerPart(name, weight_decay=0.1), 1e-3, ema=0.9)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    plain.build(variables)
    plain.apply(grads, variables)
    for variable, value in zip(variables, before, strict=True):
        path, step = variable.path, np.array(variable) - value
        np.testing.assert_allclose(moved[1.0][path], step, rtol=1e-3, atol=2e-7)
        if path.startswith("block1"):
            np.testing.assert_allclose(moved[0.25][path], 0.25 * step, rtol=1e-3, atol=2e-7)
            assert not moved[0.0][path].any()
        else:
            np.testing.assert_allclose(moved[0.0][path], step, rtol=1e-3, atol=2e-7)


def test_freezing_until_a_stage_and_frozen_statistics() -> None:
    model = _backbone_and_head()
    freeze_layers(model, (), until="block1")
    assert [layer.name for layer in model.layers if layer.weights and not layer.trainable] == ["stem_conv", "stem_bn"]
    model = _backbone_and_head()
    freeze_layers(model, (), statistics=True)
    assert [layer.name for layer in model.layers if layer.weights and not layer.trainable] == [
        "stem_bn",
        "block1_bn",
        "block2_bn",
    ]


def test_the_head_is_fitted_on_features_and_the_backbone_stays(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_fm.data.dataset import Split
    from edge_fm.training.run.head_first import copy_head, fit_head

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).integers(0, 90, (60, 8, 8, 3)).astype(np.uint8)
    images += (np.eye(3, dtype=np.uint8)[labels] * 150)[:, None, None, :]
    recipe = Recipe(
        model=ModelPart("mobilenet-v2", "weights.h5"),
        training=TrainingPart(batch_size=16, head_epochs=8, class_weights="balanced"),
    )

    def fitted() -> Any:
        model = _backbone_and_head()
        notes: list[str] = []
        logs = fit_head(
            model,
            recipe,
            images,
            Split(images, labels),
            np.eye(3, dtype=np.float32),
            progress=lambda *_: None,
            note=notes.append,
        )
        assert "The head is fitted first" in notes[0]
        return model, logs

    model, logs = fitted()
    fresh = _backbone_and_head()
    for layer, before in zip(model.layers[:-1], fresh.layers[:-1], strict=True):
        if layer.name != "head_dropout":
            for ours, theirs in zip(layer.get_weights(), before.get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs)
    before, after = (negative_log_likelihood(np.asarray(each(images)), labels) for each in (fresh, model))
    assert after < before
    assert set(logs) == {"accuracy", "loss"}
    again, _ = fitted()  # from stored features
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    copy_head(model, fresh)
    np.testing.assert_array_equal(fresh.layers[-1].get_weights()[0], model.layers[-1].get_weights()[0])


def test_what_needs_a_trained_backbone_is_refused_without_one() -> None:
    with pytest.raises(RecipeError, match="no trained backbone"):
        Recipe(training=TrainingPart(head_epochs=3))
    with pytest.raises(RecipeError, match="would stay random"):
        ModelPart("mobilenet-v2", freeze_until="block_10")
    with pytest.raises(RecipeError, match="starts from fresh weights"):
        ModelPart("mobilenet-v2", frozen_statistics=True)
    with pytest.raises(RecipeError, match="Use freeze_until alone"):
        ModelPart("mobilenet-v2", "imagenet", freeze="backbone", freeze_until="block_10")


def test_fresh_weights_and_other_models_leave_out_what_is_for_trained_ones() -> None:
    recipe = Recipe(
        model=ModelPart("mobilenet-v2", "imagenet", {"alpha": 0.35}, freeze="none", frozen_statistics=True),
        training=TrainingPart(head_epochs=3),
        optimizer=OptimizerPart(backbone_rate=0.2, first_layer_rate=0.1),
    )
    fresh = with_overrides(recipe, weights="none")
    assert (fresh.training.head_epochs, fresh.optimizer.one_rate, fresh.model.frozen_statistics) == (0, True, False)
    other = with_overrides(recipe, model="efficientnet-lite0", optimizer="sgd")
    assert (other.model.freeze, other.model.frozen_statistics, dict(other.model.options)) == ("none", True, {})
    assert other.optimizer.backbone_rate == 0.2


def test_rates_are_part_of_what_identifies_a_recipe() -> None:
    assert recipe_hash(Recipe(optimizer=OptimizerPart(rates={"conv1": 0.1}))) != recipe_hash(Recipe())
