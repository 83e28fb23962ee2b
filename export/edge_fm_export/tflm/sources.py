"""The C++ sources of an artifact for TensorFlow Lite Micro: the model as an array, what describes it, and a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_export.litert.input_scaling import PIXEL_ZERO
from edge_fm_export.tflm.c_text import array_lines, comment, float_literal, identifier, list_lines, string_literal
from edge_fm_export.tflm.micro_model import TensorSpec
from edge_fm_export.tflm.operators import ADD_METHODS
from edge_fm_export.tflm.templates import CMAKE, GOLDEN_HEADER, GOLDEN_SOURCE, MAIN, MODEL_HEADER, MODEL_SOURCE
from edge_fm_runtime.artifacts.metadata import Metadata

_MAX_GOLDEN_BYTES = 64 * 1024
"""Of golden inputs in `golden.cc`, which a board's flash must hold beside the model; one at the least."""
TFLM_COMMIT = "8f6596d"
"""The commit of tflite-micro that the sources were written for, that of tflite-micro 0.dev20261023182759."""


@dataclass(frozen=True, eq=False)
class GoldenCase:
    """Golden inputs and what the model gives for them in TFLM's interpreter.

    Attributes:
        images: uint8 `[N,H,W,C]`.
        probabilities: float32 `[N,classes]`, dequantized.
    """

    images: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]


def sources(
    content: bytes,
    metadata: Metadata,
    given: TensorSpec,
    result: TensorSpec,
    *,
    operators: tuple[str, ...],
    arena_bytes: int,
    golden: GoldenCase,
) -> Mapping[str, str]:
    """File name -> text of `model.h`, `model.cc`, `golden.h`, `golden.cc`, `main.cc` and `CMakeLists.txt`.

    Args:
        content: the model that TFLM runs.
        metadata: of the artifact.
        given: scale and zero point of the input.
        result: scale and zero point of the output.
        operators: that the resolver must have.
        arena_bytes: that the interpreter needs.
        golden: predictions that the program repeats.
    """
    spec, labels = metadata.input, metadata.labels
    count = max(1, min(len(golden.images), _MAX_GOLDEN_BYTES // (spec.height * spec.width * spec.channels)))
    name = identifier((metadata.source or {}).get("name") or metadata.name)
    values: dict[str, Any] = {
        "title": comment(metadata.name),
        "name": name,
        "guard": f"{name.upper()}_MODEL_H_",
        "golden_guard": f"{name.upper()}_GOLDEN_H_",
        "height": spec.height,
        "width": spec.width,
        "channels": spec.channels,
        "colour": spec.colour,
        "classes": len(labels),
        "input_scale": float_literal(given.scale),
        "input_zero": given.zero_point,
        "output_scale": float_literal(result.scale),
        "output_zero": result.zero_point,
        "arena": arena_bytes,
        "model_bytes": len(content),
        "operator_count": len(operators),
        "added": " &&\n         ".join(f"static_cast<int>(resolver.Add{ADD_METHODS[o]}()) == 0" for o in operators),
        "operators": ", ".join(operators),
        "labels": "\n".join(list_lines([string_literal(label) for label in labels])),
        "model": "\n".join(array_lines(content, hexadecimal=True)),
        "scores": _scores(metadata),
        "decision": "" if metadata.task is None else _MULTI_LABEL,
        "golden_count": count,
        "golden_inputs": _rows(pixels_to_int8(golden.images[:count])),
        "golden_outputs": _rows(to_int8(golden.probabilities[:count], result)),
        "commit": TFLM_COMMIT,
    }
    files = {
        "model.h": MODEL_HEADER,
        "model.cc": MODEL_SOURCE,
        "golden.h": GOLDEN_HEADER,
        "golden.cc": GOLDEN_SOURCE,
        "main.cc": MAIN,
        "CMakeLists.txt": CMAKE,
    }
    return {file: Template(text).substitute(values) for file, text in files.items()}


def pixels_to_int8(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Pixels as the model takes them: int8 = pixel - 128.

    Example:
        >>> pixels_to_int8(np.array([0, 127, 128, 255], np.uint8)).tolist()
        [-128, -1, 0, 127]
    """
    values: npt.NDArray[np.int8] = (images.astype(np.int16) + PIXEL_ZERO).astype(np.int8)
    return values


def to_int8(values: npt.NDArray[np.float32], spec: TensorSpec) -> npt.NDArray[np.int8]:
    """The int8 values that dequantized `values` came from."""
    steps = np.rint(values.astype(np.float64) / spec.scale) + spec.zero_point
    rounded: npt.NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
    return rounded


_MULTI_LABEL = "\n// Multi-label: each label has a probability of its own; those from their threshold on apply."


def _scores(metadata: Metadata) -> str:
    """Constants of the scores: the threshold of each label, or that below which no label is given."""
    scores = metadata.scores or {}
    if (values := (scores.get("label_thresholds") or {}).get("values")) is not None:
        lines = list_lines([float_literal(value) for value in values])
        return "\n".join(
            [
                "",
                "// A label applies where its probability is at least this.",
                "constexpr float kThresholds[] = {",
                *lines,
                "};",
                "",
            ]
        )
    if (threshold := (scores.get("rejection") or {}).get("threshold")) is not None:
        return (
            "\n// The score below which an image is none of the classes.\n"
            f"constexpr float kMinScore = {float_literal(threshold)};\n"
        )
    return ""


def _rows(values: npt.NDArray[np.int8]) -> str:
    lines = []
    for row in values.reshape(len(values), -1):
        lines += ["    {", *(f"    {line}" for line in array_lines(row.tolist())), "    },"]
    return "\n".join(lines)
