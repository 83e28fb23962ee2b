"""What an artifact's metadata records: its model, how it was made, and what the gate measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edge_fm_export.browser_runtime.package import PACKAGE
from edge_fm_export.context import BuildContext, Built, EvaluationSet
from edge_fm_export.gate.gate import GateResult
from edge_fm_export.gate.golden_images import GoldenKind
from edge_fm_export.planning import artifact_name
from edge_fm_export.scores.rejection import Rejection
from edge_fm_export.targets import FORMAT_ENTRIES, Target
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.parity.comparison import Parity
from edge_fm_runtime.system.package_versions import package_versions

_VERSIONS = (
    "edge-fm", "keras", "tensorflow", "tf2onnx", "onnx", "onnxslim", "onnxruntime", "openvino", "nncf",
    "ai-edge-litert", "ai-edge-quantizer", "tflite-micro", "numpy",
)  # fmt: skip
"""Distributions that take part in an export."""


def describe_artifact(
    context: BuildContext, target: Target, built: Built, *, macs: int | None, warnings: tuple[str, ...]
) -> Metadata:
    """The metadata of an artifact that is built and has not passed its gate yet.

    Args:
        context: of its export.
        target: format and precision.
        built: what its builder returned.
        macs: multiply-accumulates an image; None where they are unknown.
        warnings: further notes for a person.
    """
    source = context.source
    return Metadata(
        name=artifact_name(source.name, target),
        format=target.format,
        precision=target.precision,
        payload=built.payload,
        input=replace(source.input, batch=FORMAT_ENTRIES[target.format].batch or context.static_batch),
        labels=source.labels,
        photo=source.photo,
        training=None if source.training is None else without_places(source.training),
        quantization=None if built.quantization is None else dict(built.quantization),
        graph={
            "parameters": int(source.model.count_params()),
            **built.graph,
            "macs": macs,
        },
        source={
            "name": source.name,
            "sha256": source.sha256,
            "preprocessing": None if source.preprocessing is None else dict(source.preprocessing),
            **({} if source.temperature is None else {"temperature": source.temperature}),
            "notes": [*source.notes, *built.notes, *warnings],
        },
        versions={**package_versions(_VERSIONS), **_web_version(context, target)},
        scores=None if source.scores is None else dict(source.scores),
        extra_outputs=() if source.extra is None else source.extra.specs,
        task=source.task,
    )


def _web_version(context: BuildContext, target: Target) -> dict[str, str]:
    """The version of the npm package that a page carries; it is of the web format alone."""
    runtime = context.web_runtime
    return {PACKAGE: runtime.version} if target.format == "web" and runtime is not None else {}


def with_rejection(metadata: Metadata, rejection: Rejection) -> Metadata:
    """`metadata` with the threshold that was selected on the artifact's own predictions."""
    return replace(metadata, scores={**(metadata.scores or {}), "rejection": rejection.to_json()})


def with_gate_results(
    metadata: Metadata, gate: GateResult, test: EvaluationSet, size: int, golden: GoldenKind
) -> Metadata:
    """`metadata` with the gate's measurements on `test`, the size of the files in bytes, and what golden images are."""
    return replace(
        metadata,
        graph={**(metadata.graph or {}), "bytes": size},
        parity={**_parity_json(gate, test), "golden_images": golden},
        accuracy=_accuracy(gate.parity, test),
    )


def without_places(training: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a training with the name alone of data that were a path, as an artifact travels."""
    data = training.get("data")
    if not isinstance(data, Mapping) or not isinstance(data.get("source"), str):
        return dict(training)
    return {**training, "data": {**data, "source": Path(data["source"]).name}}


def _parity_json(gate: GateResult, test: EvaluationSet) -> dict[str, Any]:
    return {
        "dataset": test.name,
        "dataset_sha256": test.sha256,
        "engine": gate.engine,
        **gate.parity.to_json(),
        **({"extra_outputs": {one.name: one.to_json() for one in gate.extra}} if gate.extra else {}),
        "checks": [check.to_json() for check in gate.checks],
        "limits": asdict(gate.limits),
    }


def _accuracy(parity: Parity, test: EvaluationSet) -> dict[str, Any] | None:
    if parity.accuracy is None:
        return None
    found = {"value": parity.accuracy, "n": parity.n, "dataset": test.name}
    return found if parity.measure == "accuracy" else {**found, "measure": parity.measure}
