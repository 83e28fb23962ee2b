"""What cannot be exported for TensorFlow Lite Micro is refused with the reason, before images are run through it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import build_tiny, tiny_set

from edge_fm_export.context import BuildContext
from edge_fm_export.outputs.extra import extra_outputs
from edge_fm_export.pipeline import export_targets
from edge_fm_export.sources import load_source
from edge_fm_export.targets import Target
from edge_fm_export.tflm.preflight import preflight
from edge_fm_runtime.errors import ExportError

pytestmark = pytest.mark.needs("tensorflow", "ai_edge_litert")
SHAPE = (28, 28, 1)


def with_gelu(keras: Any) -> Any:
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.Conv2D(4, 3, strides=4, name="stem")(x)
    x = keras.layers.Activation("gelu", name="smooth")(x)
    x = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Softmax(name="probabilities")(x), name="gelu")


def context_of(model: Any, folder: Path, **more: Any) -> BuildContext:
    file = folder / f"{model.name}.keras"
    model.save(file)
    return BuildContext(load_source(file), folder, **more)


@pytest.fixture(scope="module")
def keras() -> Any:
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow

    return require_tensorflow("the tests")[1]


@pytest.fixture
def refused(keras: Any, tmp_path: Path) -> Callable[..., ExportError]:
    def check(model: Any = None, **more: Any) -> ExportError:
        context = context_of(model or build_tiny(keras, SHAPE, 4), tmp_path, **more)
        with pytest.raises(ExportError) as caught:
            preflight(context)
        return caught.value

    return check


def test_an_operator_without_a_kernel_is_named_with_its_layer(keras: Any, refused: Callable[..., ExportError]) -> None:
    error = refused(with_gelu(keras))
    assert "no kernel for GELU (layer smooth)" in error.message and "--format litert" in str(error.hint)


def test_a_batch_of_several_images_is_refused(refused: Callable[..., ExportError]) -> None:
    assert "Batches of 8" in refused(static_batch=8).message


def test_weights_that_no_quantization_makes_fit_are_refused_unconverted(
    keras: Any, refused: Callable[..., ExportError]
) -> None:
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = keras.layers.Dense(4000)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image)))
    large = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(4)(x)), name="large")
    error = refused(large, board="arduino-zero")
    assert "does not fit Arduino Zero" in error.message and "not quantized yet" in error.message


def test_activations_that_are_larger_than_the_ram_are_refused(keras: Any, refused: Callable[..., ExportError]) -> None:
    image = keras.Input((96, 96, 3), dtype="uint8", name="image")
    x = keras.layers.Conv2D(16, 3, padding="same")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D()(x)
    wide = keras.Model(image, keras.layers.Softmax()(keras.layers.Dense(4)(x)), name="wide")
    error = refused(wide, board="nucleo-f401re")
    assert "the arena's 171 KiB" in error.message and "96 KiB of RAM" in error.message


def test_outputs_beside_the_probabilities_are_refused(tiny_sources: dict[str, Any], tmp_path: Path) -> None:
    from dataclasses import replace

    source = tiny_sources["grey"]
    source = replace(source, extra=extra_outputs(source.model, ["embedding"]))
    with pytest.raises(ExportError, match="--outputs embedding"):
        preflight(BuildContext(source, tmp_path))


def test_another_format_of_the_same_export_is_still_written(keras: Any, tmp_path: Path) -> None:
    file = tmp_path / "gelu.keras"
    with_gelu(keras).save(file)
    report = export_targets(
        load_source(file),
        [Target("savedmodel", "fp32"), Target("tflm", "int8")],
        tmp_path / "out",
        test=tiny_set(SHAPE, 20, seed=2),
        calibration=tiny_set(SHAPE, 20, seed=3),
    )
    assert [result.target.format for result in report.results] == ["savedmodel"]
    (failure,) = report.failures
    assert "GELU (layer smooth)" in failure.error.message
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gelu-savedmodel-fp32"]
