"""Layers and classes that Keras has no public name for; the tests of that fail when it has."""

from __future__ import annotations

import pytest

from edge_fm_export.compat.keras_internals import all_layers, saved_reference, unnamed_class
from edge_fm_export.compat.tensorflow_setup import require_tensorflow

pytestmark = pytest.mark.needs("tensorflow")


def test_layers_inside_models_and_layers_are_found() -> None:
    _, keras = require_tensorflow("the tests")
    inner = keras.Sequential([keras.Input((4, 4)), keras.layers.Bidirectional(keras.layers.LSTM(2))], name="inner")
    model = keras.Sequential([keras.Input((4, 4)), inner, keras.layers.Dense(3)], name="outer")
    found = all_layers(model)
    assert found[0] is model
    assert {"Bidirectional", "LSTM", "Dense", "Sequential"} <= {type(layer).__name__ for layer in found}
    assert not {"LSTM"} & {type(layer).__name__ for layer in model.layers}


def test_classes_without_a_public_name_are_found() -> None:
    _, keras = require_tensorflow("the tests")
    image = keras.Input((2,))
    assert unnamed_class("Functional") is type(keras.Model(image, keras.layers.Dense(1)(image)))
    assert issubclass(unnamed_class("ThresholdedReLU"), keras.layers.Layer)
    assert unnamed_class("Dense") is None


def test_a_saved_reference_is_the_one_that_keras_writes() -> None:
    _, keras = require_tensorflow("the tests")
    image = keras.Input((2,))
    model = keras.Model(image, keras.layers.Dense(1)(image))
    for written in (model, model.layers[1], keras.Sequential()):
        saved = keras.saving.serialize_keras_object(written)
        assert saved_reference(type(written)) == (saved["module"], saved["registered_name"])
    legacy = unnamed_class("ThresholdedReLU")
    assert saved_reference(legacy) == (legacy.__module__, "ThresholdedReLU")


def test_keras_still_has_no_public_names_for_them() -> None:
    _, keras = require_tensorflow("the tests")
    assert not hasattr(keras.models, "Functional"), "unnamed_class can use keras.models.Functional"
    assert not hasattr(keras.layers, "ThresholdedReLU"), "unnamed_class can use keras.layers.ThresholdedReLU"
    assert not hasattr(keras.Model, "flatten_layers"), "all_layers can use keras.Model.flatten_layers"
