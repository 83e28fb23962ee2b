"""int8 by each format's tool: small, near the original, repeatable; and accuracy control on a model made to break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tiny_models import TINY_SHAPES, tiny_set

from edge_fm_export.context import BuildContext, QuantizeOptions, SourceModel
from edge_fm_export.targets import Target, find_builder
from edge_fm_runtime.errors import ExportError

if TYPE_CHECKING:
    from edge_fm_export.results import ExportResult

CONTROLLED = ("onnx", "openvino")
Exported = Callable[[str, Target], "ExportResult"]


def context_of(source: SourceModel, scratch: Path, kind: str = "colour", **more: Any) -> BuildContext:
    shape = TINY_SHAPES[kind]
    scratch.mkdir(parents=True, exist_ok=True)
    return BuildContext(source, scratch, tiny_set(shape, 64, seed=3), tiny_set(shape, 200, seed=4), **more)


def payload_bytes(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("model.*"))}


@pytest.fixture(scope="module")
def breakable(tiny_sources: dict[str, SourceModel]) -> SourceModel:
    """The colour model with one channel a thousand times larger: it predicts the same, and 8 bits cannot hold it."""
    import keras

    source = tiny_sources["colour"]
    model = keras.models.clone_model(source.model)
    model.set_weights(source.model.get_weights())
    images = tiny_set(TINY_SHAPES["colour"], 8, seed=9).images
    before = np.asarray(model(images))
    norm, following = model.get_layer("block_bn"), model.get_layer("logits")
    first, second, *rest = norm.get_weights()
    # After the addition: make room by stretching the whole sum's channel, at both of its sources.
    stem = model.get_layer("stem_bn")
    for layer, values in ((norm, (first, second, *rest)), (stem, tuple(stem.get_weights()))):
        gamma, beta, *others = (v.copy() for v in values)
        gamma[0] *= 1000
        beta[0] *= 1000
        layer.set_weights([gamma, beta, *others])
    block = model.get_layer("block")
    (kernel,) = block.get_weights()
    kernel = kernel.copy()
    kernel[:, :, 0, :] /= 1000
    block.set_weights([kernel])
    weights, bias = following.get_weights()
    weights = weights.copy().reshape(-1, 8, weights.shape[-1])
    weights[:, 0, :] /= 1000
    following.set_weights([weights.reshape(-1, weights.shape[-1]), bias])
    np.testing.assert_allclose(np.asarray(model(images)), before, atol=1e-4)
    return replace(source, model=model, sha256="b" * 64)


@pytest.mark.parametrize("format", ["onnx", "openvino", "litert"])
def test_what_is_recorded(format: Any, exported: Exported) -> None:
    made = exported("colour", Target(format, "int8"))
    recorded = made.metadata.quantization
    assert recorded is not None
    assert recorded["samples"] == 100 and len(recorded["calibration_sha256"]) == 64
    assert recorded["kept_float"] == [] and "per channel" in recorded["weights"]
    assert made.parity.drop_points is not None and made.parity.drop_points <= 0.5


@pytest.mark.parametrize("format", ["onnx", "openvino", "litert"])
def test_the_same_bytes_twice(format: Any, tiny_sources: dict[str, SourceModel], tmp_path: Path) -> None:
    made = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        find_builder(Target(format, "int8"))(
            context_of(tiny_sources["grey"], tmp_path / f"scratch{number}", "grey"), folder
        )
        made.append(payload_bytes(folder))
    assert made[0] == made[1]


@pytest.mark.parametrize("format", ["onnx", "openvino", "litert"])
def test_no_calibration_images(format: Any, tiny_sources: dict[str, SourceModel], tmp_path: Path) -> None:
    context = replace(context_of(tiny_sources["colour"], tmp_path), calibration=None)
    with pytest.raises(ExportError, match="calibrate"):
        find_builder(Target(format, "int8"))(context, tmp_path)


def test_pixels_and_probabilities_cross_no_float(exported: Exported) -> None:
    """The first layer reads bytes, the last one writes floats: neither pays for a conversion."""
    import onnx

    graph = onnx.load(exported("grey", Target("onnx", "int8")).path / "model.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds[-1] == "Softmax"
    maker = {o: node for node in graph.node for o in node.output}
    before_softmax = maker[graph.node[-1].input[0]]
    assert before_softmax.op_type in ("Gemm", "MatMul", "Add")
    assert {v.name for v in (*graph.input, *graph.output)} == {"image", "probabilities"}


def test_weights_for_any_cpu_have_seven_bits(tiny_sources: dict[str, SourceModel], tmp_path: Path) -> None:
    """Two products of a byte with 64 at most fit into the 16 bits that x86 without VNNI adds them in."""
    import onnx

    context = context_of(tiny_sources["colour"], tmp_path / "scratch", quantize=QuantizeOptions(any_cpu=True))
    built = find_builder(Target("onnx", "int8"))(context, tmp_path)
    assert built.quantization is not None and built.quantization["safe_for"] == "any CPU"
    graph = onnx.load(tmp_path / "model.onnx").graph
    weights = [onnx.numpy_helper.to_array(t) for t in graph.initializer if t.data_type == onnx.TensorProto.INT8]
    weights = [w for w in weights if w.ndim > 1]
    assert len(weights) >= 2
    assert all(32 < np.abs(w.astype(int)).max() <= 64 for w in weights)


@pytest.mark.slow
@pytest.mark.parametrize("format", CONTROLLED)
def test_accuracy_control_rescues_what_int8_breaks(format: Any, breakable: SourceModel, tmp_path: Path) -> None:
    from exporting import export

    from edge_fm_runtime.errors import GateError

    sets = context_of(breakable, tmp_path / "scratch")
    test = tiny_set(TINY_SHAPES["colour"], 200, seed=2)
    arguments: dict[str, Any] = {"test": test, "calibration": sets.calibration, "validation": sets.validation}
    target = Target(format, "int8")
    with pytest.raises(GateError, match="drop_points"):
        export(breakable, [target], tmp_path / "out", **arguments)
    assert not list((tmp_path / "out").glob("[!.]*"))
    options = QuantizeOptions(accuracy_control=True, max_drop_points=0.5)
    (made,) = export(breakable, [target], tmp_path / "out", quantize=options, **arguments).results
    recorded = made.metadata.quantization
    assert recorded is not None and recorded["kept_float"]
    assert recorded["accuracy_control"]["drop_points"] <= 0.5
    assert made.parity.drop_points is not None and made.parity.drop_points <= 0.5


def test_litert_has_no_accuracy_control(tiny_sources: dict[str, SourceModel], tmp_path: Path) -> None:
    context = context_of(tiny_sources["colour"], tmp_path, quantize=QuantizeOptions(accuracy_control=True))
    with pytest.raises(ExportError, match="LiteRT's int8 has no accuracy control"):
        find_builder(Target("litert", "int8"))(context, tmp_path)


@pytest.mark.parametrize("format", CONTROLLED)
def test_accuracy_control_leaves_a_good_model_alone(
    format: Any, tiny_sources: dict[str, SourceModel], tmp_path: Path
) -> None:
    context = context_of(tiny_sources["colour"], tmp_path / "scratch", quantize=QuantizeOptions(True, 2.0))
    built = find_builder(Target(format, "int8"))(context, tmp_path)
    assert built.quantization is not None and built.quantization["kept_float"] == []


@pytest.mark.parametrize("format", CONTROLLED)
def test_a_fixed_batch(format: Any, tiny_sources: dict[str, SourceModel], tmp_path: Path) -> None:
    context = context_of(tiny_sources["colour"], tmp_path / "scratch", static_batch=3)
    find_builder(Target(format, "int8"))(context, tmp_path)
    if format == "onnx":
        import onnx

        shape = onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape.dim
        assert shape[0].dim_value == 3
    else:
        import openvino as ov

        assert list(ov.Core().read_model(tmp_path / "model.xml").input(0).shape) == [3, *TINY_SHAPES["colour"]]


def test_metadata_inside_a_tflite_file(exported: Exported) -> None:
    from edge_fm_runtime.artifacts.embedded import read_embedded
    from edge_fm_runtime.artifacts.metadata_parser import parse_metadata

    made = exported("colour", Target("litert", "fp32"))
    text = read_embedded(made.path / "model.tflite")
    assert text is not None
    assert parse_metadata(text, where="model.tflite").labels == made.metadata.labels
