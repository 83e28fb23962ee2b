"""Kernels that read the pixels keep their sums: an even area gives the same result as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_models import TINY_SHAPES, tiny_set

from edge_fm_export.context import BuildContext, QuantizeOptions, SourceModel
from edge_fm_export.onnx import int8_quantizer
from edge_fm_export.onnx import quantizable_nodes as onnx_graph
from edge_fm_export.onnx.kernel_rounding import COARSE_LIMIT, keep_sums
from edge_fm_export.targets import Target, find_builder


@pytest.mark.parametrize("shape", [(16, 1, 3, 3), (8, 3, 7, 7), (32, 1, 1, 1)])
def test_sums_are_the_nearest_that_the_scale_allows(shape: tuple[int, ...]) -> None:
    weights = np.random.default_rng(1).normal(size=shape)
    scales = np.abs(weights).max(axis=(1, 2, 3)) / COARSE_LIMIT
    steps = weights / scales[:, None, None, None]
    nearest = np.rint(steps).astype(np.int8)
    rounded = keep_sums(nearest, weights, scales, COARSE_LIMIT)
    assert rounded.dtype == np.int8
    assert np.abs((rounded - steps).sum(axis=(2, 3))).max() <= 0.5 + 1e-6
    assert np.abs(rounded.astype(int) - nearest).max() <= 1
    assert np.abs(rounded.astype(int)).max() <= COARSE_LIMIT


def test_what_is_furthest_off_moves_and_nothing_moves_beyond_the_limit() -> None:
    weights = np.array([[[4.4, 1.45, 1.3, -1.0]]])
    values = np.rint(weights).astype(np.int8)
    assert keep_sums(values, weights, np.array(1.0), limit=4).tolist() == [[[4, 2, 1, -1]]]
    full = np.full((1, 1, 3), 4, np.int8)
    assert keep_sums(full, full + 0.49, np.array(1.0), limit=4).tolist() == full.tolist()


@pytest.mark.slow
def test_an_export_for_any_cpu_keeps_the_first_kernels_sums(
    tiny_sources: dict[str, SourceModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    shape = TINY_SHAPES["colour"]
    context = BuildContext(tiny_sources["colour"], tmp_path, tiny_set(shape, 64, seed=3), tiny_set(shape, 200, seed=4))
    context = replace(context, quantize=QuantizeOptions(any_cpu=True))
    monkeypatch.setattr(int8_quantizer, "finalize_int8", lambda *_: None)  # it renames what is looked up here
    built = find_builder(Target("onnx", "int8"))(context, tmp_path)
    prepared = onnx.load(tmp_path / "int8-prepared.onnx")
    quantized = onnx.load(tmp_path / built.payload)
    view, exact = onnx_graph.GraphView(quantized.graph), onnx_graph.GraphView(prepared.graph)
    (layer,) = onnx_graph.pixel_convolutions(prepared.graph)
    reader = next(node for node in quantized.graph.node if node.name == layer.name)
    values, scales = (onnx.numpy_helper.to_array(view.constants[n]) for n in view.maker[reader.input[1]].input[:2])
    steps = onnx.numpy_helper.to_array(exact.constants[layer.input[1]]) / scales[:, None, None, None]
    assert np.abs(values.astype(int)).max() <= COARSE_LIMIT
    assert np.abs((values - steps).sum(axis=(2, 3))).max() <= 0.5 + 1e-3
