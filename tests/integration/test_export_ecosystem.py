"""What we export runs in other people's libraries as it is, with no code of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_models import TINY_LABELS, TINY_SHAPES, tiny_images

from edge_fm_export.results import ExportResult
from edge_fm_export.targets import BUILDERS, Target

Exported = Callable[[str, Target], ExportResult]
kinds = pytest.mark.parametrize("kind", TINY_SHAPES)


def of(format: str) -> Any:
    return pytest.mark.parametrize("target", [t for t in BUILDERS if t.format == format], ids=str)


@of("onnx")
@kinds
def test_onnx_in_plain_onnxruntime(kind: str, target: Target, exported: Exported) -> None:
    import onnx
    import onnxruntime

    file = exported(kind, target).path / "model.onnx"
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    images, labels = tiny_images(TINY_SHAPES[kind], 300, seed=9)
    predictions = session.run(["probabilities"], {"image": images})[0]
    assert predictions.dtype == np.float32 and (predictions.argmax(axis=1) == labels).mean() > 0.9
    assert [i.shape for i in session.get_inputs()] == [["N", *TINY_SHAPES[kind]]]
    assert [o.shape for o in session.get_outputs()] == [["N", 4]]


@kinds
def test_the_onnx_graph_is_clean(kind: str, exported: Exported) -> None:
    import onnx

    model = onnx.load(exported(kind, Target("onnx", "fp32")).path / "model.onnx")
    operators = [node.op_type for node in model.graph.node]
    assert {o.domain: o.version for o in model.opset_import} == {"": 17}
    assert "BatchNormalization" not in operators and "Identity" not in operators
    # Two moves: pixels to channels first, and the flattening of the features back.
    assert sum(operators.count(name) for name in ("Transpose", "Reshape")) <= 3
    assert operators.count("Cast") == 1
    assert all("__" not in node.name for node in model.graph.node)


@of("openvino")
@kinds
def test_ir_in_plain_openvino(kind: str, target: Target, exported: Exported) -> None:
    import openvino as ov

    file = exported(kind, target).path / "model.xml"
    model = ov.Core().compile_model(file, "CPU")
    images, labels = tiny_images(TINY_SHAPES[kind], 40, seed=9)
    assert (model([images])["probabilities"].argmax(axis=1) == labels).mean() > 0.9


@of("openvino")
@kinds
def test_ir_in_openvino_model_api(kind: str, target: Target, exported: Exported) -> None:
    models = pytest.importorskip("model_api.models")

    file = exported(kind, target).path / "model.xml"
    model = models.ClassificationModel.create_model(str(file), device="CPU")
    images, labels = tiny_images(TINY_SHAPES[kind], 8, seed=9)
    for image, label in zip(images, labels, strict=True):
        best = model(image).top_labels[0]
        assert best.id == label
        assert best.name == "_".join(TINY_LABELS[kind][label].split())


@kinds
def test_savedmodel_in_plain_tensorflow_in_servings_layout(kind: str, exported: Exported) -> None:
    import tensorflow as tf

    folder = exported(kind, Target("savedmodel", "fp32")).path / "saved_model" / "1"
    loaded = tf.saved_model.load(str(folder))
    signature = loaded.signatures["serving_default"]
    images, labels = tiny_images(TINY_SHAPES[kind], 300, seed=9)
    predictions = signature(image=tf.constant(images))["probabilities"].numpy()
    assert predictions.shape == (300, 4) and (predictions.argmax(axis=1) == labels).mean() > 0.9
    (spec,) = signature.structured_input_signature[1].values()
    assert (spec.name, spec.dtype, list(spec.shape)) == ("image", tf.uint8, [None, *TINY_SHAPES[kind]])


@of("litert")
@kinds
def test_litert_in_plain_ai_edge_litert(kind: str, target: Target, exported: Exported) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(exported(kind, target).path / "model.tflite"))
    (given,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    images, labels = tiny_images(TINY_SHAPES[kind], 40, seed=9)
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    assert (interpreter.get_tensor(output["index"]).argmax(axis=1) == labels).mean() > 0.9
