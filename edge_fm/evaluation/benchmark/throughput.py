"""Images a second with several batches at once, as in MLPerf's offline scenario: no caller waits for one prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar

from edge_fm.evaluation.benchmark.statistics import Estimate, rate_estimate
from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.engines import Engine
from edge_fm_runtime.measurement.latency import collector_at_rest, turns

_BLOCK_S = 0.25
_MIN_ROUNDS = 5
_WARM_UP_S = 0.1


@dataclass(frozen=True)
class Throughput:
    """Throughput of one case.

    Attributes:
        ips: images a second, the median of the rounds.
        streams: batches that the engine works on at once.
        batches: counted in all.
    """

    ips: Estimate
    streams: int
    batches: int

    NONE: ClassVar[dict[str, Any]] = {"streams": None, "streams_throughput_ips": None, "streams_throughput_ci95": None}

    def to_json(self) -> dict[str, Any]:
        """The part of a row."""
        return {
            "streams": self.streams,
            "streams_throughput_ips": self.ips.value,
            "streams_throughput_ci95": self.ips.to_json(),
        }


def measure_throughput(
    cases: Mapping[str, tuple[Engine, Pixels]],
    *,
    duration_s: float = 1.0,
    on_round: Callable[[int, int], None] | None = None,
) -> dict[str, Throughput]:
    """Keep each engine as busy as it can be, in turn, in blocks of a quarter of a second, interleaved in rounds.

    A block is counted from its first batch to its last prediction, so that filling and emptying are part of it.

    Args:
        cases: name -> an engine made with `hint="throughput"` and the batch to repeat, uint8 `[N,H,W,C]`.
        duration_s: seconds for each case; at least five rounds are run.
        on_round: called with the rounds done and to do.
    """
    rounds = max(_MIN_ROUNDS, round(duration_s / _BLOCK_S))
    block_s = min(_BLOCK_S, duration_s / rounds)
    rates: dict[str, list[float]] = {name: [] for name in cases}
    counts = dict.fromkeys(cases, 0)
    for engine, batch in cases.values():
        _block(engine, batch, min(_WARM_UP_S, block_s))
    with collector_at_rest():
        for name in turns(list(cases), rounds, on_round):
            engine, batch = cases[name]
            done, seconds = _block(engine, batch, block_s)
            rates[name].append(done * len(batch) / seconds)
            counts[name] += done
    return {
        name: Throughput(rate_estimate(rates[name]), engine.streams, counts[name])
        for name, (engine, _) in cases.items()
    }


def _block(engine: Engine, batch: Pixels, seconds: float) -> tuple[int, float]:
    """Batches done, and the seconds that they took."""
    start = perf_counter()

    def feed() -> Iterator[Pixels]:
        yield batch
        while perf_counter() - start < seconds:
            yield batch

    done = sum(1 for _ in engine.infer_many(feed()))
    return done, perf_counter() - start
