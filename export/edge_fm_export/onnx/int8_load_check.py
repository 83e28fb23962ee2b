"""Load a quantized ONNX model in a child process, as ONNX Runtime's optimizer can end the process that it runs in."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

from edge_fm_export.onnx.subgraphs import subgraphs
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.system.child_process import child_command


def require_no_crash(model: Any, path: Path) -> None:
    """Raise if ONNX Runtime crashes when it loads `path`; only models with loops and conditions are tried.

    ONNX Runtime (1.31) moves the bytes' conversion past a transposition, and aborts where a loop reads its result.

    Args:
        model: the graph in the file.
        path: the `.onnx` file.

    Raises:
        ExportError: it crashes.
    """
    if not any(True for node in model.graph.node for _ in subgraphs(node)):
        return
    done = subprocess.run(
        child_command(__name__, str(path)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode < 0:
        raise ExportError(
            "ONNX Runtime cannot load the model at int8, with the loop or condition in it: it crashed "
            f"({signal.Signals(-done.returncode).name}).",
            hint="Use --precision fp16, or --format openvino; or build recurrent layers with unroll=True.",
        )


def main(arguments: list[str]) -> None:
    """Load the model in the child process; what it raises, the parent finds for itself."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    ort.InferenceSession(arguments[0], options, providers=["CPUExecutionProvider"])
