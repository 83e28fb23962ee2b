"""What this machine can do at best: multiply-adds and memory traffic, measured in the run that is held against it.

The roofline model (Williams, Waterman and Patterson 2009): no code is faster than the arithmetic units, nor than the
memory that feeds them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

_SIDE = 1024
_COPIED = 1 << 26
_REPEATS = 12


@dataclass(frozen=True)
class Roofline:
    """The two ceilings at a number of threads.

    Attributes:
        threads: compute threads.
        peak_gflops: fp32, 1e9 operations a second (a multiply-add is two), of a large matrix product.
        bandwidth_gbs: 1e9 bytes a second, read and written, of a copy larger than the caches.
    """

    threads: int
    peak_gflops: float
    bandwidth_gbs: float


def better(one: Roofline, other: Roofline) -> Roofline:
    """The higher of two measurements of each ceiling.

    Example:
        >>> better(Roofline(2, 90.0, 20.0), Roofline(2, 85.0, 22.0))
        Roofline(threads=2, peak_gflops=90.0, bandwidth_gbs=22.0)
    """
    peak, bandwidth = max(one.peak_gflops, other.peak_gflops), max(one.bandwidth_gbs, other.bandwidth_gbs)
    return Roofline(one.threads, peak, bandwidth)


def measure_roofline(threads: int) -> Roofline:
    """Measure both ceilings: ONNX Runtime's own matrix product of 1024 x 1024, and copies of 64 MiB on each thread.

    Each is the best of a dozen, since a ceiling is what is possible.

    Raises:
        MissingDependencyError: onnx is not installed, which writes the product's graph.
    """
    flops, moved = 2.0 * _SIDE**3, 2.0 * _COPIED * threads
    product_s = _best_s(_matrix_product(threads))
    with ThreadPoolExecutor(threads) as pool:
        copy_s = _best_s(_copies(pool, threads))
    return Roofline(threads, flops / product_s / 1e9, moved / copy_s / 1e9)


def _best_s(call: Callable[[], object]) -> float:
    call()
    best = float("inf")
    for _ in range(_REPEATS):
        start = perf_counter()
        call()
        best = min(best, perf_counter() - start)
    return best


def _matrix_product(threads: int) -> Callable[[], object]:
    from edge_fm_export.packages import require_package

    require_package("onnx", "Measuring the roofline")
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    left, right = (random.standard_normal((_SIDE, _SIDE)).astype(np.float32) for _ in range(2))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["product"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, [_SIDE, _SIDE])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, [_SIDE, _SIDE])],
        [numpy_helper.from_array(right, "right")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return partial(session.run, None, {"left": left})


def _copies(pool: ThreadPoolExecutor, threads: int) -> Callable[[], object]:
    pairs = [(np.ones(_COPIED, np.uint8), np.empty(_COPIED, np.uint8)) for _ in range(threads)]
    # NumPy lets go of Python's lock while it copies, so the copies run side by side.
    return lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pairs))
