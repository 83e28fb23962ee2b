"""Start the peers of a run's artifacts, alternate their rounds, and put ours over theirs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import IN_PROCESS, OF_FORMAT, ORIGINALS, REMARKS, TOOLS
from benchmarks.peers.job import Job
from benchmarks.peers.tools import Report, ToolError
from edge_fm.evaluation.benchmark.statistics import Estimate, median_ratio, rate_estimate
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.golden import load_golden
from edge_fm_runtime.measurement.latency import Latency

ROOT = Path(__file__).parents[2]
OURS = "edgefm"
LOSES_FROM = 1.10
"""Ours over theirs: above this we lose, and the table says so."""


@dataclass(frozen=True)
class Comparison:
    """One peer beside us.

    Attributes:
        model: the artifact's name.
        engine: ours.
        peer: theirs.
        batch: images of a call.
        threads: compute threads.
        measure: "median", "mean" or "throughput".
        ours: milliseconds, or images a second.
        theirs: the same.
        ratio: our time over theirs; for throughput, theirs over ours. Below 1 we are faster.
        remark: what is not quite the same, or why there are no figures.
    """

    model: str
    engine: str
    peer: str
    batch: int
    threads: int
    measure: str
    ours: float | None
    theirs: float | None
    ratio: Estimate | None
    remark: str

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.ratio is None:
            return "not run"
        if self.ratio.low > 1.0 and self.ratio.value > LOSES_FROM:
            return "LOSES"
        return "faster" if self.ratio.high < 1.0 else "slower" if self.ratio.low > 1.0 else "even"


class Worker:
    """A peer's process."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        command = [sys.executable, "-m", "benchmarks.peers.worker", name, json.dumps(asdict(job))]
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._noise, text=True, cwd=ROOT
        )

    def read(self) -> dict[str, Any]:
        """Its next line.

        Raises:
            ToolError: it has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._noise.seek(0)
            last = (self._noise.read().decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise ToolError(f"{self.name} ended: {last}")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def ask(self, **what: Any) -> dict[str, Any]:
        """Send one line and read the reply."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; read() says why
        return self.read()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._noise):
            if stream is not None:
                stream.close()


def compare(
    run: Path,
    artifact: Path,
    *,
    batch: int,
    threads: int,
    rounds: int,
    seconds: float,
    originals: bool = False,
    tools: bool = True,
    on_round: Callable[[str], None] = lambda text: None,
) -> list[Comparison]:
    """Measure one artifact beside every peer of its format, and beside the original models if asked.

    Args:
        run: the training run.
        artifact: one of its exports.
        batch: images of a call.
        threads: compute threads.
        rounds: how often the turn comes to each; a command comes every second time, it takes longer.
        seconds: of one in-process block.
        originals: compare with Keras and SavedModel, too.
        tools: compare with the commands, too.
        on_round: called with what goes on.
    """
    opened = load_artifact(artifact)
    name, engine = opened.metadata.name, {"onnx": "onnxruntime"}.get(opened.metadata.format, opened.metadata.format)
    own = [p for p in OF_FORMAT[opened.metadata.format] if tools or p in IN_PROCESS]
    peers = [*own, *(ORIGINALS if originals else ())]
    with _job(run, artifact, batch, threads) as job, ExitStack() as stack:
        failed: dict[str, str] = {}
        workers = _start([OURS, *(p for p in peers if p in IN_PROCESS)], job, stack, failed)
        if OURS not in workers:
            raise ToolError(failed[OURS])
        samples: dict[str, list[list[float]]] = {w: [] for w in workers}
        reports: dict[str, list[tuple[Report, Latency, float]]] = {p: [] for p in peers if p in TOOLS}
        order = [*workers, *reports]
        for number in range(rounds):
            on_round(f"{name}, batch {batch}: round {number + 1} of {rounds}")
            for turn in order:
                if turn in failed:
                    continue
                try:
                    if turn in workers:
                        got = workers[turn].ask(seconds=seconds)["ns"]
                        samples[turn].append([ns / 1e6 for ns in got])
                    elif number % 2 == 0:
                        reports[turn].append(_beside(turn, workers[OURS], job, seconds))
                except ToolError as error:
                    if turn == OURS:
                        raise
                    failed[turn] = str(error)
            order = order[1:] + order[:1]
    shared = (name, engine)
    rows = []
    for peer in peers:
        if peer in failed:
            rows.append(Comparison(*shared, peer, batch, threads, "-", None, None, None, failed[peer]))
        elif peer in TOOLS:
            rows.append(_of_tool(shared, peer, batch, threads, reports[peer]))
        else:
            ours, theirs = latency(samples[OURS]), latency(samples[peer])
            ratio, remark = median_ratio(ours, theirs), REMARKS.get(peer, "")
            rows.append(Comparison(*shared, peer, batch, threads, "median", ours.p50_ms, theirs.p50_ms, ratio, remark))
    return rows


def latency(rounds: Sequence[Sequence[float]]) -> Latency:
    """Samples of rounds, in milliseconds, as the statistics take them."""
    numbers = np.repeat(np.arange(len(rounds)), [len(r) for r in rounds])
    return Latency(np.concatenate([np.asarray(r) for r in rounds]), numbers)


def _beside(peer: str, ours: Worker, job: Job, seconds: float) -> tuple[Report, Latency, float]:
    """One run of a command, and ours right before and after it, so that both meet the same machine."""
    module, _, function = TOOLS[peer].partition(":")
    stream = function == "run_throughput"
    before = ours.ask(seconds=seconds, stream=stream)
    report: Report = getattr(import_module(module), function)(job, max(1.0, 2 * seconds))
    after = ours.ask(seconds=seconds, stream=stream)
    if stream:
        return report, latency([[1.0]]), (before["images_per_second"] + after["images_per_second"]) / 2
    return report, latency([[ns / 1e6 for ns in before["ns"] + after["ns"]]]), 0.0


def _of_tool(
    shared: tuple[str, str], peer: str, batch: int, threads: int, runs: Sequence[tuple[Report, Latency, float]]
) -> Comparison:
    if TOOLS[peer].endswith(":run_throughput"):
        measure = "throughput"
        pairs = [(ours, report.images_per_second) for report, _, ours in runs]
        ratios = [theirs / ours for ours, theirs in pairs if theirs is not None]
    elif runs[0][0].p50_ms is not None:
        measure = "median"
        pairs = [(ours.p50_ms, report.p50_ms) for report, ours, _ in runs]
        ratios = [ours / theirs for ours, theirs in pairs if theirs is not None]
    else:
        measure = "mean"
        pairs = [(ours.mean_ms, report.mean_ms) for report, ours, _ in runs]
        ratios = [ours / theirs for ours, theirs in pairs if theirs is not None]
    ours, theirs = (float(np.median([p[i] for p in pairs])) for i in (0, 1))
    estimate, remark = rate_estimate(ratios), REMARKS.get(peer, "")
    return Comparison(*shared, peer, batch, threads, measure, ours, theirs, estimate, remark)


def _start(names: Sequence[str], job: Job, stack: ExitStack, failed: dict[str, str]) -> dict[str, Worker]:
    """Start the in-process peers; a peer whose predictions differ from ours is left out."""
    workers: dict[str, Worker] = {}
    predictions: dict[str, list[int]] = {}
    for name in names:
        worker = Worker(name, job)
        stack.callback(worker.close)
        try:
            predictions[name] = worker.read()["predictions"]
            workers[name] = worker
        except ToolError as error:
            failed[name] = str(error)
    for name in [n for n in workers if n != OURS and OURS in predictions]:
        agree = np.mean(np.array(predictions[name]) == np.array(predictions[OURS]))
        if agree < 0.9:  # a quantized model may differ from the original, but not for most images
            failed[name] = f"predicts {100 * agree:.0f}% of the images as ours does: not the same model"
            del workers[name]
    return workers


@contextmanager
def _job(run: Path, artifact: Path, batch: int, threads: int) -> Iterator[Job]:
    with tempfile.TemporaryDirectory() as scratch:
        images = load_golden(artifact / "golden.npz").images
        file = Path(scratch) / "images.npy"
        np.save(file, np.ascontiguousarray(np.resize(images, (batch, *images.shape[1:]))))
        yield Job(str(run.resolve()), str(artifact.resolve()), batch, threads, str(file))
