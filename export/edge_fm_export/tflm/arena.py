"""The smallest arena with which TensorFlow Lite Micro runs a model, found by bisection in its own interpreter.

TFLM has no call that says how large an arena must be, and ends the process where an arena is too small for its own
tables: so the interpreter is tried in a child process, which also keeps its log off the terminal.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.child_process import child_command

ALIGNMENT = 16
"""Arenas begin and end at multiples of this (`MicroArenaBufferAlignment` of TFLM)."""
MAX_ARENA_BYTES = 64 * 1024 * 1024
_FIRST_BYTES = 16 * 1024
_NODE = re.compile(r"Node (\S+) \(number (\d+)\S*\) failed to (prepare|invoke)")
_STEPS = 24


def find_arena_bytes(model: Path, *, at_least: int, layers: Sequence[str], progress: ProgressFn = silent) -> int:
    """The size in bytes, a multiple of 16, of the smallest arena with which `model` runs once.

    On this machine, whose pointers have 8 bytes; microcontrollers, with 4, need a little less, unless their kernels ask
    for buffers of their own, as CMSIS-NN's do.

    Args:
        model: a `.tflite` file.
        at_least: a size that is too small.
        layers: the layer of each operator in turn, for messages.
        progress: called as work goes on.

    Raises:
        ExportError: TFLM cannot run the model, whatever the arena; the message has its own words.
    """
    with _Trials(model) as trials:
        low, high = at_least // ALIGNMENT, max(_FIRST_BYTES, 2 * at_least) // ALIGNMENT
        steps = 0
        while not trials.runs(high * ALIGNMENT):
            progress("finding the arena's size", steps := steps + 1, None)
            if high * ALIGNMENT >= MAX_ARENA_BYTES or not trials.too_small:
                raise ExportError(
                    f"TensorFlow Lite Micro cannot run the int8 model: {_reason(trials.log(), layers)}",
                    hint="Replace the layer by one that TFLM has an int8 kernel for, or use --format litert.",
                )
            low, high = high, min(2 * high, MAX_ARENA_BYTES // ALIGNMENT)
        while high - low > 1:
            progress("finding the arena's size", steps := steps + 1, None)
            middle = (low + high) // 2
            if trials.runs(middle * ALIGNMENT):
                high = middle
            else:
                low = middle
    return high * ALIGNMENT


class _Trials:
    """Runs a model once in arenas of given sizes, in a child process that is started anew where it ended."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._log_path = model.with_name(f"{model.name}.log")
        self._child: subprocess.Popen[str] | None = None
        self.too_small = True

    def __enter__(self) -> _Trials:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._log_path.unlink(missing_ok=True)

    def runs(self, arena_bytes: int) -> bool:
        """Whether the model runs in an arena of this size."""
        if self._child is None:
            with self._log_path.open("wb") as log:
                self._child = subprocess.Popen(
                    child_command(__name__, str(self._model)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(f"{arena_bytes}\n")
            self._child.stdin.flush()
            reply = self._child.stdout.readline().strip()
        except BrokenPipeError:
            reply = ""
        if not reply:  # it has ended
            self._stop()
        # Where memory is planned, and a kernel fails then, no arena is large enough.
        self.too_small = reply != "failed to run"
        return reply == "runs"

    def log(self) -> str:
        """What the interpreter has written of the last arena."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None


def _reason(log: str, layers: Sequence[str]) -> str:
    """The last lines of TFLM's log on one, with the layer that they are about."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if not lines:
        return "it ended without a word."
    found = [match for match in map(_NODE.search, lines) if match is not None]
    text = "; ".join(dict.fromkeys(lines[-3:]))
    if found and (place := int(found[-1][2])) < len(layers):
        return f"{found[-1][1]} (layer {layers[place]}) failed to {found[-1][3]}: {text}"
    return text


def main(arguments: list[str]) -> None:
    """Print for each size on standard input whether the model runs."""
    from tflite_micro import runtime

    content = Path(arguments[0]).read_bytes()
    for line in sys.stdin:
        print(_try(runtime.Interpreter.from_bytes, content, int(line)), flush=True)


def _try(load: Callable[..., object], content: bytes, arena_bytes: int) -> str:
    try:
        interpreter = load(content, arena_size=arena_bytes)
    except RuntimeError:
        return "failed to load"
    try:
        shape = interpreter.get_input_details(0)["shape"]  # type: ignore[attr-defined]
        interpreter.set_input(np.zeros(shape, np.int8), 0)  # type: ignore[attr-defined]
        interpreter.invoke()  # type: ignore[attr-defined]
    except (RuntimeError, ValueError):
        return "failed to run"
    return "runs"
