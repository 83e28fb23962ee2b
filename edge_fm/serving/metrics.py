"""What a Prometheus server reads at /metrics."""

from __future__ import annotations

from typing import Any


class Metrics:
    """Counters of one server, in a registry of their own.

    Raises:
        MissingDependencyError: the package prometheus-client is not installed.
    """

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self._registry, "namespace": "edgefm"}
        self._requests = Counter("requests", "Requests, by status.", ["endpoint", "model", "status"], **common)
        buckets = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
        self._seconds = Histogram(
            "request_seconds", "Time from a request's head to its result.", ["endpoint"], buckets=buckets, **common
        )
        self._photos = Counter("photos", "Photos, by what became of them.", ["model", "outcome"], **common)
        self._batches = Histogram(
            "batch_size",
            "Photos that went through the engine together.",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64),
            **common,
        )
        self._swaps = Counter(
            "swaps", "Artifacts found replaced on disk, by what was done.", ["model", "outcome"], **common
        )
        self.in_hand = Gauge("requests_in_hand", "Requests that are read, wait or are computed.", **common)

    def request(self, endpoint: str, model: str, status: int, seconds: float) -> None:
        """Count a request; `model` is "" where it names none that there is."""
        self._requests.labels(endpoint, model, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def photos(self, model: str, classified: int, unreadable: int) -> None:
        """Count photos, by what became of them."""
        self._photos.labels(model, "classified").inc(classified)
        self._photos.labels(model, "unreadable").inc(unreadable)

    def batch(self, model: str, size: int) -> None:
        """Count a batch of photos."""
        self._batches.labels(model).observe(size)

    def swapped(self, model: str, outcome: str) -> None:
        """Count an artifact that was "swapped" in or "refused"."""
        self._swaps.labels(model, outcome).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
