"""Keras models that are no image classifiers of one input and one output."""

from __future__ import annotations

from typing import Any

SHAPE = (16, 12, 3)


def two_inputs(keras: Any) -> Any:
    one, two = keras.Input(SHAPE, name="photo"), keras.Input((2,), name="age")
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(one), two])
    return keras.Model([one, two], keras.layers.Dense(4, activation="softmax")(x))


def two_outputs(keras: Any) -> Any:
    image = keras.Input(SHAPE)
    x = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, [keras.layers.Dense(4)(x), keras.layers.Dense(2)(x)])


def backbone(keras: Any) -> Any:
    image = keras.Input(SHAPE)
    return keras.Model(image, keras.layers.Conv2D(4, 3)(image))


def tokens(keras: Any) -> Any:
    image = keras.Input(SHAPE)
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.Reshape((-1, 3))(image)))


def no_weights(keras: Any) -> Any:
    image = keras.Input(SHAPE)
    return keras.Model(image, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(image)))


def of_rows(keras: Any) -> Any:
    return keras.Sequential([keras.Input((7,)), keras.layers.Dense(4, activation="softmax")])


def channels_first(keras: Any) -> Any:
    image = keras.Input((3, 16, 12))
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_first")(image)
    return keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))
