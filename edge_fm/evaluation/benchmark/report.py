"""The rows of a benchmark and its report: latencies, ratios, verdicts, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_fm.evaluation.benchmark.cases import Case
from edge_fm.evaluation.benchmark.conditions import Conditions
from edge_fm.evaluation.benchmark.statistics import (
    Estimate,
    Rules,
    Verdict,
    combine_verdicts,
    median_estimate,
    median_ratio,
)
from edge_fm.evaluation.benchmark.throughput import Throughput
from edge_fm_runtime.measurement.latency import PERCENTILES, Latency
from edge_fm_runtime.measurement.probe import StartCost

_QUANTILES = (*range(0, 100, 2), 99, 99.5, 99.9, 100)


@dataclass(frozen=True, eq=False)
class Row:
    """One case at one batch size; latencies are of a whole batch, throughput in images a second.

    Attributes:
        case: what ran.
        batch: images in a call.
        latency: the model alone, one call after another.
        start: loading and first inference, in a process of its own; None where it was not measured.
        verdict: of `latency`.
        streams: throughput with several batches at once; None where it was not measured.
        photo: from a photo's file to its class; None where it was not measured.
    """

    case: Case
    batch: int
    latency: Latency
    start: StartCost | None
    verdict: Verdict
    streams: Throughput | None = None
    photo: Latency | None = None

    def to_json(self) -> dict[str, Any]:
        """The row that `edgefm benchmark --json` prints."""
        engine, latency = self.case.engine, self.latency
        quantiles = np.percentile(latency.samples_ms, _QUANTILES)
        photo = dict.fromkeys(("photo_p50_ms", "photo_p90_ms", "photo_p99_ms"))
        if self.photo is not None:
            photo = {name: self.photo.percentile_ms(name[6:-3]) for name in photo}
        start = self.start or StartCost(None, None, None, 0)
        return {
            "model": self.case.model,
            "kind": self.case.kind,
            "engine": engine.name,
            "device": engine.device,
            "precision": engine.precision,
            "batch": self.batch,
            "threads": engine.threads,
            "n": latency.n,
            **{f"{p}_ms": latency.percentile_ms(p) for p in PERCENTILES},
            "p50_ci95_ms": median_estimate(latency).to_json(),
            "mean_ms": latency.mean_ms,
            "throughput_ips": 1000.0 * self.batch / latency.mean_ms,
            "load_ms": start.load_ms,
            "first_ms": start.first_ms,
            "peak_rss_mib": start.peak_rss_mib,
            "starts": start.starts,
            **(Throughput.NONE if self.streams is None else self.streams.to_json()),
            **photo,
            "counted_s": latency.counted_s,
            "warm_up_calls": latency.warm_up_calls,
            "warm_up_steady": latency.steady,
            **self.verdict.to_json(),
            **self.case.facts,
            "quantiles_ms": [[q, float(v)] for q, v in zip(_QUANTILES, quantiles, strict=True)],
        }


@dataclass(frozen=True, eq=False)
class BenchmarkReport:
    """Rows in the order of the cases, and the machine they were measured on.

    Attributes:
        environment: machine, versions, time and command.
        rows: one for each case and batch size.
        rules: that the figures must keep.
        conditions: what the machine did, by stage, such as "timing batch 1".
        profiles: where the time goes, see `profile`.
        scaling: how it grows, see `scaling`; None where it was not measured.
    """

    environment: Mapping[str, Any]
    rows: tuple[Row, ...]
    rules: Rules
    conditions: Mapping[str, Conditions] = field(default_factory=dict)
    profiles: tuple[Mapping[str, Any], ...] = ()
    scaling: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> Verdict:
        """VALID where every row is, and the machine was this measurement's own all the time."""
        found = [(stage, conditions.verdict()) for stage, conditions in self.conditions.items()]
        for row in self.rows:
            found.append((f"{row.case.model}, batch {row.batch}", row.verdict))
        if self.scaling is not None:
            found.append(("scaling", Verdict(tuple(self.scaling["conditions"]["reasons"]))))
        return combine_verdicts(found)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm benchmark --json` prints."""
        null = next((row.latency.p50_ms for row in self.rows if row.case.kind == "null"), None)
        return {
            **self.verdict.to_json(),
            "environment": dict(self.environment),
            "rules": vars(self.rules),
            "conditions": {stage: conditions.to_json() for stage, conditions in self.conditions.items()},
            "harness_us": None if null is None else 1000.0 * null,
            "rows": [row.to_json() for row in self.rows],
            "ratios": self.ratios(),
            "overheads": self.overheads(),
            "profiles": list(self.profiles),
            "scaling": self.scaling,
        }

    def ratios(self) -> list[dict[str, Any]]:
        """Median latency of each reference over that of each artifact, at the same batch size."""
        return [
            {
                "of": of.case.model,
                "to": to.case.model,
                "batch": of.batch,
                "p50_ratio": (ratio := _ratio(of, to)).value,
                "p50_ratio_ci95": ratio.to_json(),
            }
            for of in self._of_kind("reference")
            for to in self._of_kind("artifact")
            if of.batch == to.batch
        ]

    def overheads(self) -> list[dict[str, Any]]:
        """Median latency of each artifact on our engine over that of the library alone: 1.00 is no overhead."""
        return [
            {
                "model": ours.case.model,
                "engine": ours.case.engine.name,
                "over": bare.case.engine.name,
                "batch": ours.batch,
                "p50_ratio": (ratio := _ratio(ours, bare)).value,
                "p50_ratio_ci95": ratio.to_json(),
            }
            for ours in self._of_kind("artifact")
            for bare in self._of_kind("bare")
            if (bare.case.facts["of"], bare.case.facts["of_engine"]) == (ours.case.model, ours.case.engine.name)
            and ours.batch == bare.batch
        ]

    def _of_kind(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.case.kind == kind]


def _ratio(over: Row, under: Row) -> Estimate:
    return median_ratio(over.latency, under.latency)
