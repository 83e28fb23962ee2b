"""Operators that stay in float in a quantized LiteRT model are named; those that LiteRT cannot run are refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.needs("tensorflow", "ai_edge_litert", "ai_edge_quantizer")]

SHAPE = (12, 10, 3)


def context_of(folder: Path, layer: Callable[[Any, Any], Any]) -> Any:
    """The context of an export of a small classifier with `layer` in it, which is called with keras and a tensor."""
    from edge_fm_export.compat.tensorflow_setup import require_tensorflow
    from edge_fm_export.context import BuildContext, EvaluationSet
    from edge_fm_export.sources import load_source

    _, keras = require_tensorflow("the tests")
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, dtype="uint8", name="image")
    x = keras.layers.Conv2D(8, 3, strides=2, name="stem")(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(layer(keras, x))
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax", name="logits")(x))
    model.save(folder / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (24, *SHAPE), np.uint8)
    (folder / "scratch").mkdir()
    return BuildContext(
        load_source(folder / "model.keras"), folder / "scratch", EvaluationSet("noise", images, None, "0" * 64)
    )


def build(context: Any, folder: Path, precision: Any) -> Any:
    """What the builder of LiteRT at `precision` returns."""
    from edge_fm_export.targets import Target, find_builder

    (folder / precision).mkdir()
    return find_builder(Target("litert", precision))(context, folder / precision)


@pytest.mark.parametrize(("precision", "library"), [("int8", "LiteRT's converter"), ("w8a16", "ai-edge-quantizer")])
def test_layers_that_stay_in_float_are_named(precision: str, library: str, tmp_path: Path) -> None:
    built = build(context_of(tmp_path, lambda keras, x: keras.layers.ELU(name="rise")(x)), tmp_path, precision)
    assert built.quantization["kept_float"] == ["rise"]
    (note,) = built.notes
    assert note.startswith("Computed in float, since") and library in note and note.endswith("ELU in rise.")


@pytest.mark.parametrize("precision", ["int8", "w8a16"])
def test_nothing_is_said_where_all_is_in_integers(precision: str, tmp_path: Path) -> None:
    built = build(context_of(tmp_path, lambda keras, x: keras.layers.ReLU()(x)), tmp_path, precision)
    assert built.quantization["kept_float"] == [] and built.notes == ()


def test_only_16_bits_leave_a_leaky_relu_in_float(tmp_path: Path) -> None:
    context = context_of(tmp_path, lambda keras, x: keras.layers.LeakyReLU(name="leak")(x))
    assert build(context, tmp_path, "int8").quantization["kept_float"] == []
    assert build(context, tmp_path, "w8a16").quantization["kept_float"] == ["leak"]


def test_a_long_list_is_cut_in_the_note() -> None:
    from edge_fm_export.litert.kept_float import float_notes, layers_of

    kept = {"ELU": ["a", "b", "c", "d", "e"], "EXP": ["e"]}
    assert layers_of(kept) == ["a", "b", "c", "d", "e"]
    (note,) = float_notes(kept, why="nothing has a form")
    assert note.endswith("of these operators: ELU in a, b, c and 2 more; EXP in e.")


def test_control_flow_is_refused(tmp_path: Path) -> None:

    from edge_fm_runtime.errors import ExportError

    def recurrent(keras: Any, x: Any) -> Any:
        steps = keras.layers.Reshape((5, 32))(x)
        return keras.layers.Reshape((1, 1, 6))(keras.layers.LSTM(6, name="memory")(steps))

    context = replace(context_of(tmp_path, recurrent), static_batch=1)
    with pytest.raises(ExportError, match="control flow") as caught:
        build(context, tmp_path, "w8a16")
    assert "unroll=True" in (caught.value.hint or "")
    assert build(context, tmp_path, "fp16").payload == "model.tflite"  # what the hint advises
    (tmp_path / "any").mkdir()
    with pytest.raises(ExportError, match="cannot convert") as caught:
        build(replace(context, scratch=tmp_path / "any", static_batch=None), tmp_path / "any", "w8a16")
    # A fixed batch size alone would not do, as above.
    assert caught.value.hint is not None and caught.value.hint.startswith("For w8a16 build the recurrent layers with")


@pytest.mark.parametrize("option", ["keep_float", "accuracy_control"])
def test_layers_in_float_cannot_be_requested(option: str, tiny_sources: Any, tmp_path: Path) -> None:

    from edge_fm_export.context import QuantizeOptions
    from edge_fm_runtime.errors import ExportError

    quantize = (
        QuantizeOptions(keep_float=("stem",)) if option == "keep_float" else QuantizeOptions(accuracy_control=True)
    )
    context = context_of(tmp_path, lambda keras, x: x)
    with pytest.raises(ExportError, match="ai-edge-quantizer cannot leave layers in float"):
        build(replace(context, quantize=quantize), tmp_path, "w8a16")


def test_an_operator_without_a_kernel_is_refused_with_its_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ai-edge-quantizer quantizes, LiteRT runs today; so one layer gets a bias that no kernel takes."""
    from edge_fm_export.litert import litert_w8a16
    from edge_fm_export.litert.model_file import operator_name, read_model, write_model
    from edge_fm_export.litert.static_quantizer import quantize_static
    from edge_fm_runtime.errors import ExportError

    def without_kernel(*arguments: Any, **options: Any) -> bytes:
        from ai_edge_litert import schema_py_generated as schema

        model = read_model(quantize_static(*arguments, **options))
        graph = model.subgraphs[0]
        layer = next(o for o in graph.operators if operator_name(model, o) == "CONV_2D")
        graph.tensors[layer.inputs[2]].type = schema.TensorType.INT16
        return write_model(model)

    monkeypatch.setattr(litert_w8a16, "quantize_static", without_kernel)
    with pytest.raises(ExportError, match=r"cannot run the model with 16-bit activations.*CONV_2D.*layer stem\."):
        build(context_of(tmp_path, lambda keras, x: x), tmp_path, "w8a16")


def test_what_w8a16_refuses_is_known_before_int8_is_built(tiny_sources: Any, tmp_path: Path) -> None:
    from edge_fm.api.common.export_options import ExportOptions, refused_formats
    from edge_fm_export.targets import parse_targets

    source = tiny_sources["grey"]
    targets = parse_targets("litert", "int8,w8a16")
    said: list[str] = []
    refused = refused_formats(source, targets, ExportOptions(keep_float=["stem"]), lambda *_: None, said.append)
    assert [str(target) for target in refused] == ["litert w8a16"]
    assert said == [f"litert w8a16 will not be built: {refused[targets[1]].message}"]
    both = refused_formats(
        source, parse_targets("litert,onnx", "int8"), ExportOptions(accuracy_control=True), lambda *_: None, said.append
    )
    assert [str(target) for target in both] == ["litert int8"]
