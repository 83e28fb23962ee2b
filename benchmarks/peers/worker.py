"""The process of one in-process peer: `python -m benchmarks.peers.worker NAME JOB`.

Opens the peer, prints its first predictions, then takes one line of JSON for each round from stdin: `{"seconds": S}`
for latencies, `{"seconds": S, "stream": true}` for images a second; prints one line of JSON for each.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from importlib import import_module
from time import perf_counter, perf_counter_ns

import numpy as np

from benchmarks.peers import IN_PROCESS
from benchmarks.peers.job import Job

_WARM_UP_S = 0.05


def time_calls(call: Callable[[], object], seconds: float) -> list[int]:
    """Nanoseconds of each call, for so long, after a warm-up that is not counted; at least five."""
    until = perf_counter() + min(_WARM_UP_S, seconds / 4)
    call()
    while perf_counter() < until:
        call()
    taken: list[int] = []
    spent = 0
    gc.collect()
    gc.disable()
    while spent < seconds * 1e9 or len(taken) < 5:
        start = perf_counter_ns()
        call()
        taken.append(perf_counter_ns() - start)
        spent += taken[-1]
    gc.enable()
    return taken


def time_stream(job: Job, seconds: float) -> float:
    """Images a second of ours with several batches at once."""
    from benchmarks.peers.in_process.edgefm import open_stream

    engine, predictions = open_stream(job)
    stream = predictions()
    until = perf_counter() + min(_WARM_UP_S, seconds / 4)
    while perf_counter() < until:
        next(stream)
    start, count = perf_counter(), 0
    while perf_counter() - start < seconds:
        next(stream)
        count += 1
    rate = count * job.batch / (perf_counter() - start)
    stream.close()
    engine.close()
    return rate


def main() -> None:
    name, job = sys.argv[1], Job(**json.loads(sys.argv[2]))
    out = sys.stdout
    sys.stdout = sys.stderr  # what a library prints must not get between the lines
    call = import_module(IN_PROCESS[name]).open_call(job)
    print(json.dumps({"predictions": np.asarray(call()).argmax(axis=1).tolist()}), file=out, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("stream"):
            print(json.dumps({"images_per_second": time_stream(job, asked["seconds"])}), file=out, flush=True)
        else:
            print(json.dumps({"ns": time_calls(call, asked["seconds"])}), file=out, flush=True)


if __name__ == "__main__":
    main()
