"""What an engine costs to start, measured in a separate process: load time, first inference, peak memory.

Run as `python -P -m edge_fm_runtime.measurement.probe OPENER PATH JSON`, where OPENER is the "module:function" that
opens PATH and returns an engine and the shape of one image, and JSON holds the `EngineOptions`; prints one JSON object.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import TypeAlias, cast

from edge_fm_runtime.engines import Engine, EngineOptions
from edge_fm_runtime.errors import EngineError
from edge_fm_runtime.system.child_process import child_command
from edge_fm_runtime.system.own_processes import own_processes

Opener: TypeAlias = "Callable[[str, str, EngineOptions], tuple[Engine, tuple[int, int, int]]]"

OPEN_ARTIFACT = "edge_fm_runtime.measurement.probe:open_artifact"


@dataclass(frozen=True)
class StartCost:
    """The cost of a start.

    Attributes:
        load_ms: importing the library, reading the model and compiling it.
        first_ms: the first inference.
        peak_rss_mib: peak resident memory of the process after it (VmHWM); None outside Linux, and for an engine that
            computes in processes of its own.
        starts: of how many starts these are the medians.
    """

    load_ms: float | None
    first_ms: float | None
    peak_rss_mib: float | None
    starts: int = 1


def open_artifact(path: str, engine: str, options: EngineOptions) -> tuple[Engine, tuple[int, int, int]]:
    """Open an artifact with an engine of the runtime."""
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import create_engine

    artifact = load_artifact(path)
    return create_engine(artifact, engine, options=options), artifact.metadata.input.shape


def measure_start(
    opener: str, path: str | Path, engine: str, options: EngineOptions, *, batch: int = 1, starts: int = 1
) -> StartCost:
    """Start an engine in a fresh Python process and measure it.

    Args:
        opener: "module:function", see `Opener`.
        path: what it opens.
        engine: name of the engine.
        options: what is asked of it.
        batch: images in the first inference.
        starts: processes, one after another; the medians are returned.

    Raises:
        EngineError: the process failed; its last line of stderr is in the message.
    """
    request = json.dumps({"engine": engine, "batch": batch, "options": asdict(options)})
    arguments = [opener, str(path), request]
    costs = []
    for _ in range(starts):
        done = subprocess.run(
            child_command("edge_fm_runtime.measurement.probe", *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise EngineError(
                f"Starting {engine} for {path} in a separate process failed: {last}",
                hint="Run it alone to see its output: "
                + shlex.join([sys.executable, "-P", "-m", "edge_fm_runtime.measurement.probe", *arguments]),
            )
        costs.append(StartCost(**json.loads(done.stdout.splitlines()[-1])))
    return StartCost(
        _median([c.load_ms for c in costs]),
        _median([c.first_ms for c in costs]),
        _median([c.peak_rss_mib for c in costs]),
        starts,
    )


def _median(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return median(known) if known else None


def _peak_rss_mib() -> float | None:
    status = Path("/proc/self/status")
    if not status.exists() or own_processes():  # a browser's memory is not this process's
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None


def main(arguments: list[str]) -> None:
    """Measure one start and print it."""
    opener, path, text = arguments
    request = json.loads(text)
    start = perf_counter_ns()
    module, _, function = opener.partition(":")
    opened = cast("Opener", getattr(import_module(module), function))
    engine, shape = opened(path, request["engine"], EngineOptions(**request["options"]))
    loaded = perf_counter_ns()
    import numpy as np

    engine.infer(np.zeros((request["batch"], *shape), np.uint8))
    first = perf_counter_ns()
    print(json.dumps(asdict(StartCost((loaded - start) / 1e6, (first - loaded) / 1e6, _peak_rss_mib()))))
    engine.close()


if __name__ == "__main__":
    main(sys.argv[1:])
