"""Learning from teachers: the loss, which files can teach, and that a run is tied to its teachers."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from same_run import assert_same_run
from strokes_data import make_recipe
from teaching import taught

from edge_fm.data import Dataset
from edge_fm.models import build_model
from edge_fm.training import DistillationPart, RunResult, load_recipe, recipe_hash, train
from edge_fm.training.distillation.distillation import (
    distillation_accuracy,
    distillation_loss,
    load_teachers,
    with_teachers,
)
from edge_fm_runtime.errors import EdgeFMError, ModelError, TrainingError

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]


def untrained(shape: tuple[int, int, int] = (12, 14, 1), classes: int = 3) -> Any:
    """The recipe's model with fresh weights."""
    part = make_recipe().model
    return build_model(part.name, input_shape=shape, classes=classes, **part.options)


def test_the_loss_is_that_of_hinton() -> None:
    import keras

    rng = np.random.default_rng(0)
    logits, teacher_logits = rng.normal(0, 3, (2, 6, 4))
    # Sure of themselves beyond what float32 can tell from 1.
    logits[0], teacher_logits[1] = [80, 0, 0, 0], [0, 90, 0, 0]
    targets = np.eye(4)[[0, 1, 2, 3, 0, 1]]

    def softmax(values: np.ndarray) -> np.ndarray:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    for temperature, weight in ((1.0, 1.0), (4.0, 0.3), (0.5, 0.9)):
        part = DistillationPart(teacher=("x",), temperature=temperature, weight=weight)
        loss = distillation_loss(part, label_smoothing=0.1)
        predictions = np.concatenate([softmax(logits), softmax(teacher_logits)], axis=1).astype("float32")
        got = keras.ops.convert_to_numpy(loss(targets.astype("float32"), keras.ops.convert_to_tensor(predictions)))
        hard = -(0.9 * targets + 0.025) * np.log(np.clip(softmax(logits), 1e-7, 1))
        ours, theirs = (
            softmax(np.maximum(v - v.max(1, keepdims=True), -69) / temperature) for v in (logits, teacher_logits)
        )
        soft = (theirs * (np.log(theirs) - np.log(ours))).sum(axis=1)
        expected = (1 - weight) * hard.sum(axis=1) + weight * temperature**2 * soft
        np.testing.assert_allclose(got, expected, rtol=2e-3, atol=1e-5)
        kept = dataclasses.replace(part, views=2)
        both = np.concatenate([targets, softmax(teacher_logits)], axis=1).astype("float32")
        student = keras.ops.convert_to_tensor(softmax(logits).astype("float32"))
        again = keras.ops.convert_to_numpy(distillation_loss(kept, label_smoothing=0.1)(both, student))
        np.testing.assert_allclose(again, got, rtol=1e-6)
        for metric, given in (
            (distillation_accuracy(part), (targets, predictions)),
            (distillation_accuracy(kept), (both, student)),
        ):
            metric.update_state(*given)
            assert float(metric.result()) == pytest.approx((logits.argmax(1) == targets.argmax(1)).mean())


def test_teachers_predict_as_in_inference_and_learn_nothing(teacher: RunResult, strokes: Dataset) -> None:
    import keras

    part = DistillationPart(teacher=(str(teacher.run_dir), str(teacher.model_path)))
    first, second = load_teachers(part, strokes)
    for variable in second.trainable_variables:
        variable.assign(variable * 0.5)
    images = strokes.test.images
    expected = (first.predict(images, verbose=0) + second.predict(images, verbose=0)) / 2
    student = untrained()
    fitted = with_teachers(student, [first, second])
    assert [id(v) for v in fitted.trainable_variables] == [id(v) for v in student.trainable_variables]
    before = [np.array(v.numpy()) for v in (*first.variables, *second.variables)]
    for training in (True, False):
        predictions = keras.ops.convert_to_numpy(fitted(images, training=training))
        np.testing.assert_allclose(predictions[:, 3:], expected, atol=1e-5)
    fitted.compile("sgd", distillation_loss(part, label_smoothing=0.0), metrics=[distillation_accuracy(part)])
    fitted.fit(images, np.eye(3, dtype="float32")[strokes.test.labels], epochs=2, verbose=0)
    for old, new in zip(before, (*first.variables, *second.variables), strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_teachers_predict_in_the_precision_of_training(teacher: RunResult, strokes: Dataset) -> None:
    part = DistillationPart(teacher=(str(teacher.run_dir),))
    (exact,), (quick,) = load_teachers(part, strokes), load_teachers(part, strokes, precision="mixed_bfloat16")
    *computing, last = quick.layers
    assert {layer.compute_dtype for layer in computing[1:]} == {"bfloat16"}
    assert last.compute_dtype == "float32"
    ours, theirs = (model.predict(strokes.test.images, verbose=0) for model in (quick, exact))
    assert ours.dtype == np.float32
    assert 0 < np.abs(ours - theirs).max() < 0.05
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)


def test_a_student_of_soft_predictions_alone_agrees_with_its_teacher(
    teacher: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    # Labels that are all wrong: with a weight of 1 only the teacher is heard.
    wrong = dataclasses.replace(
        strokes, train=dataclasses.replace(strokes.train, labels=(strokes.train.labels + 1) % 3), content_hash="1" * 64
    )
    history = train(taught(teacher.run_dir, weight=1.0, epochs=8), wrong, tmp_path).history
    assert history[-1]["loss"] < 0.3 * history[0]["loss"]


def test_a_run_is_tied_to_its_teacher_not_to_where_it_lies(
    teacher: RunResult, strokes: Dataset, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.keras"
    shutil.copy(teacher.model_path, copy)
    recipe = taught(copy)
    whole = train(recipe, strokes, tmp_path / "whole")
    kept = load_recipe(tmp_path / "whole" / "recipe.toml")
    assert whole.metrics["teachers"] == [{"path": str(copy), "sha256": kept.distillation.sha256[0]}]
    assert whole.metrics["recipe_hash"] == recipe_hash(kept) != recipe_hash(recipe)
    assert (
        whole.metrics["recipe_hash"] == train(taught(teacher.run_dir), strokes, tmp_path / "b").metrics["recipe_hash"]
    )

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        train(recipe, strokes, stopped, on_epoch=interrupt)
    untrained().save(copy)
    with pytest.raises(TrainingError, match="is not the one that the recipe names"):
        train(load_recipe(stopped / "recipe.toml"), strokes, stopped, resume=True)
    with pytest.raises(TrainingError, match=r"distillation\.sha256 was"):
        train(recipe, strokes, stopped, resume=True)
    shutil.copy(teacher.model_path, copy)
    assert_same_run(train(recipe, strokes, stopped, resume=True), whole)


def test_who_cannot_teach(teacher: RunResult, strokes: Dataset, tmp_path: Path) -> None:
    import keras

    def saved(name: str, shape: tuple[int, int, int] = (12, 14, 1), classes: int = 3) -> Path:
        untrained(shape, classes).save(tmp_path / name)
        return tmp_path / name

    (tmp_path / "noise.keras").write_bytes(b"no archive")
    (tmp_path / "empty").mkdir()
    floats = keras.Sequential([keras.Input((12, 14, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    floats.save(tmp_path / "floats.keras")
    unsafe = keras.Sequential([keras.Input((12, 14, 1)), keras.layers.Lambda(lambda x: x), keras.layers.Flatten()])
    unsafe.save(tmp_path / "unsafe.keras")
    renamed = dataclasses.replace(strokes, label_names=("a", "b", "c"))
    for path, data, error, says in (
        (tmp_path / "absent.keras", strokes, TrainingError, "no file or folder"),
        (tmp_path / "empty", strokes, TrainingError, "without a finished run"),
        (tmp_path / "noise.keras", strokes, ModelError, "not a readable .keras file"),
        (tmp_path / "floats.keras", strokes, ModelError, "uint8 pixels"),
        (tmp_path / "unsafe.keras", strokes, ModelError, "carries Python code in a Lambda layer"),
        (saved("large.keras", shape=(16, 14, 1)), strokes, ModelError, r"takes images \[16, 14, 1\]"),
        (saved("many.keras", classes=4), strokes, ModelError, "knows 4 classes"),
        (teacher.run_dir, renamed, ModelError, "those of strokes are a, b, c"),
    ):
        with pytest.raises(error, match=says):
            train(taught(path), data, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_teacher_of_the_same_kind_may_be_given_once_or_often(teacher: RunResult) -> None:
    text = f'[distillation]\nteacher = "{teacher.run_dir}"\n'
    from edge_fm.training import parse_recipe

    one = parse_recipe(text)
    assert one == parse_recipe(f'[distillation]\nteacher = ["{teacher.run_dir}"]\n')
    with pytest.raises(EdgeFMError, match="a list of texts"):
        parse_recipe("[distillation]\nteacher = 3\n")
    with pytest.raises(EdgeFMError, match="above 0"):
        parse_recipe("[distillation]\ntemperature = 0\n")


def test_predictions_that_are_not_finite_are_refused_and_not_stored(
    strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    broken = build_model("edgenet-n", input_shape=strokes.train.images.shape[1:], classes=3)
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    broken.save(tmp_path / "broken.keras")
    recipe = taught(tmp_path / "broken.keras")
    recipe = dataclasses.replace(recipe, distillation=dataclasses.replace(recipe.distillation, views=1))
    with pytest.raises(TrainingError, match=r"predictions are not finite for 48 of 48 images, in float32"):
        train(recipe, strokes, tmp_path / "run")
    assert not list((tmp_path / "cache").rglob("*.npy"))
