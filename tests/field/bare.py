"""Predictions of an exported file by the fewest lines around each library, without the project's engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def predict(artifact: Path, images: Array, *, batch: int | None = None) -> Array:
    """Run the artifact's payload on uint8 `[N,H,W,C]`.

    Args:
        artifact: its folder.
        images: as many as there are.
        batch: the batch size that the model was fixed to; None runs all images at once.

    Returns:
        float32 `[N,classes]`.
    """
    metadata = json.loads((artifact / "edgefm.json").read_text(encoding="utf-8"))
    payload = artifact / metadata["payload"]
    runs: dict[str, Callable[[Path, Array], Array]] = {
        "onnx": _onnx, "openvino": _openvino, "litert": _litert, "savedmodel": _savedmodel,
    }  # fmt: skip
    run = runs[metadata["format"]]
    size = batch or len(images)
    assert len(images) % size == 0, "give a multiple of the fixed batch"
    return np.concatenate([run(payload, images[i : i + size]) for i in range(0, len(images), size)])


def _onnx(payload: Path, images: Array) -> Array:
    import onnxruntime as ort

    session = ort.InferenceSession(str(payload), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probabilities"], {"image": images})[0])


def _openvino(payload: Path, images: Array) -> Array:
    import openvino as ov

    compiled = ov.Core().compile_model(payload, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled([images])[0])


def _litert(payload: Path, images: Array) -> Array:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(payload))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, images)
    interpreter.invoke()
    return np.asarray(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])).copy()


def _savedmodel(payload: Path, images: Array) -> Array:
    import tensorflow as tf

    folder = payload if (payload / "saved_model.pb").is_file() else payload / "1"
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    return np.asarray(signature(image=tf.constant(images))["probabilities"])
