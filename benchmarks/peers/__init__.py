"""Everything that a person could run instead of us, beside us, in one run.

`python -m benchmarks.peers RUN` starts every peer itself. Peers of `IN_PROCESS` are called from Python: each lives in
a process of its own (`worker`), as our own engines do in this comparison, so that no library's threads disturb
another's and all are timed by the same lines of code. Peers of `TOOLS` are commands that time themselves; their reports
are read. Rounds alternate between all of them: A B C A B C. One small file for each.
"""

IN_PROCESS = {
    "edgefm": "benchmarks.peers.in_process.edgefm",
    "onnxruntime": "benchmarks.peers.in_process.bare_onnxruntime",
    "openvino": "benchmarks.peers.in_process.bare_openvino",
    "openvino model api": "benchmarks.peers.in_process.model_api",
    "ai_edge_litert": "benchmarks.peers.in_process.bare_litert",
    "keras predict": "benchmarks.peers.in_process.keras_predict",
    "keras call": "benchmarks.peers.in_process.keras_call",
    "savedmodel": "benchmarks.peers.in_process.savedmodel",
}
"""Name -> module with `open_call(job)`, which returns a call without arguments that classifies the whole batch."""

TOOLS = {
    "benchmark_app, latency": "benchmarks.peers.command_line.benchmark_app:run_latency",
    "benchmark_app, throughput": "benchmarks.peers.command_line.benchmark_app:run_throughput",
    "onnxruntime_test": "benchmarks.peers.command_line.onnxruntime_test:run",
    "litert-benchmark": "benchmarks.peers.command_line.litert_benchmark:run",
}
"""Name -> "module:function", called as `run(job, seconds)`, which returns a `tools.Report`."""

LEFT_OUT = {
    "ultralytics": (
        "not run: its AutoBackend hands an ONNX model float NCHW tensors, ours takes uint8 NHWC; it needs torch, is "
        "AGPL-3.0, and asks 1.1.1.1 and 8.8.8.8 whether there is a network when it is imported"
    ),
    "onnxruntime_perf_test": (
        "not run: the C++ tool is not in the onnxruntime wheel; onnxruntime.tools.onnxruntime_test is, and ran"
    ),
}
"""What people will look for, and why it is not there."""

OF_FORMAT = {
    "onnx": ("onnxruntime", "onnxruntime_test"),
    "openvino": ("openvino", "benchmark_app, latency", "benchmark_app, throughput", "openvino model api"),
    "litert": ("ai_edge_litert", "litert-benchmark"),
}
"""Which peers run the very file that our engine runs."""

ORIGINALS = ("keras predict", "keras call", "savedmodel")
"""The model before it was exported, at fp32."""

REMARKS = {
    "openvino model api": "resizes and normalizes too, and returns labels",
    "benchmark_app, latency": "random pixels, input set once",
    "benchmark_app, throughput": "random pixels, input set once; several requests at once, as ours",
    "onnxruntime_test": "random pixels; reports the mean alone, so means are compared; its own thread default",
    "litert-benchmark": "LiteRT's CompiledModel; reports to 0.01 ms",
}
