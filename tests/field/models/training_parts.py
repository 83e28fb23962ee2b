"""Models compiled with losses, metrics, schedules and optimizers of a person's own: a prediction needs none of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from field.case import Case, Model, ModelCase
from field.makers import CLASSES, SHAPE, body, keras, saved


def _compiled(folder: Path, compiling: Callable[[Any], dict[str, Any]], file: str = "net.keras") -> Model:
    k = keras()
    image = k.Input(SHAPE)
    model = k.Model(image, body(k.layers.Rescaling(1 / 255)(image)))
    model.compile(**{"loss": "sparse_categorical_crossentropy", "optimizer": "sgd"} | compiling(k))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Keras advises against a lambda
        return saved(model, folder, file=file)


def _loss_class(k: Any) -> dict[str, Any]:
    class Focal(k.losses.Loss):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return k.ops.mean(y_pred)

    return {"loss": Focal()}


def _loss_function(k: Any) -> dict[str, Any]:
    def focal(y_true: Any, y_pred: Any) -> Any:
        return k.ops.mean(y_pred)

    return {"loss": focal}


def _loss_lambda(k: Any) -> dict[str, Any]:
    return {"loss": lambda y_true, y_pred: k.ops.mean(y_pred)}


def _metric(k: Any) -> dict[str, Any]:
    class Mine(k.metrics.Mean):  # type: ignore[misc]
        pass

    return {"metrics": [Mine(name="mine"), lambda y_true, y_pred: y_pred]}


def _schedule(k: Any) -> dict[str, Any]:
    class Warmup(k.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Any) -> Any:
            return 0.1

        def get_config(self) -> dict[str, Any]:
            return {}

    return {"optimizer": k.optimizers.SGD(Warmup())}


def _optimizer(k: Any) -> dict[str, Any]:
    class Lion2(k.optimizers.SGD):  # type: ignore[misc]
        pass

    return {"optimizer": Lion2(0.1)}


def _inside(folder: Path) -> Model:
    """A compiled model as a layer: Keras compiles it on loading whatever `compile=False` says."""
    k = keras()
    base_image = k.Input(SHAPE)
    base = k.Model(base_image, k.layers.Conv2D(4, 3)(base_image), name="base")
    base.compile(**{"optimizer": "sgd"} | _loss_class(k))
    image = k.Input(SHAPE)
    return saved(k.Model(image, body(base(k.layers.Rescaling(1 / 255)(image)))), folder, file="net.keras")


def _layer_parts(folder: Path, file: str) -> Model:
    """Initializers, regularizers and constraints of one's own, on Keras' own layers."""
    k = keras()

    class Start(k.initializers.Initializer):  # type: ignore[misc]
        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            return k.ops.ones(shape, dtype) / 7

    class Small(k.regularizers.Regularizer):  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            return k.ops.sum(x)

        def get_config(self) -> dict[str, Any]:
            return {}

    class Bound(k.constraints.Constraint):  # type: ignore[misc]
        def __call__(self, w: Any) -> Any:
            return w

    image = k.Input(SHAPE)
    parts = {"kernel_initializer": Start(), "kernel_regularizer": Small(), "bias_constraint": Bound()}
    x = k.layers.Conv2D(4, 3, **parts)(k.layers.Rescaling(1 / 255)(image))
    x = k.layers.Flatten()(x)
    return saved(k.Model(image, k.layers.Dense(CLASSES, activation="softmax")(x)), folder, file=file)


def _own_layer(folder: Path) -> Model:
    """Beside a loss of one's own, a layer of one's own is still what stops it, and is named alone."""
    k = keras()

    class Halve(k.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs / 2

    image = k.Input(SHAPE)
    model = k.Model(image, body(Halve()(image)))
    model.compile(**{"optimizer": "sgd"} | _loss_class(k))
    return saved(model, folder, file="net.keras")


_PARTS = {
    "loss class": _loss_class,
    "loss function": _loss_function,
    "lambda loss": _loss_lambda,
    "metric": _metric,
    "schedule": _schedule,
    "optimizer": _optimizer,
}
CASES: tuple[Case, ...] = (
    *(
        ModelCase(f"{name} of one's own .keras", lambda folder, part=part: _compiled(folder, part))
        for name, part in _PARTS.items()
    ),
    ModelCase("loss of one's own .h5", lambda folder: _compiled(folder, _loss_function, "net.h5")),
    ModelCase("loss of one's own in a model used as a layer", _inside),
    ModelCase("initializer of one's own .keras", lambda folder: _layer_parts(folder, "net.keras")),
    ModelCase("initializer of one's own .h5", lambda folder: _layer_parts(folder, "net.h5")),
    ModelCase(
        "layer of one's own beside a loss of one's own",
        _own_layer,
        error=r"layers of its own, whose code is not in the file: Halve(?!.*Focal)",
    ),
)
