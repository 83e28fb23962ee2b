"""How much may be in hand at once: what comes on top is refused, instead of filling the memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_fm.serving.limits.refusals import Refusal

_SHARES = 4
"""The bodies of all requests in hand may fill this many of the largest body, or 256 MiB where that is more."""
_LEAST = 256 << 20


class Admission:
    """Counts requests in hand and the bytes of their bodies; used by the event loop alone.

    Args:
        max_requests: requests at once.
        max_body: bytes of one body.
    """

    def __init__(self, max_requests: int, max_body: int) -> None:
        self.max_requests = max_requests
        self.max_body = max_body
        self.max_bytes = max(_LEAST, _SHARES * max_body)
        self.requests = 0
        self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether the next request is refused."""
        return self.requests >= self.max_requests

    def refusal(self) -> Refusal:
        """What the next request gets, where there are too many."""
        message = f"{self.requests} requests are in hand, and no more are taken at once. Try again."
        return Refusal(429, message, {"Retry-After": "1"})

    @contextmanager
    def request(self) -> Iterator[Reserved]:
        """Let a request in.

        Raises:
            Refusal: with status 429, there are too many.
        """
        if self.full:
            raise self.refusal()
        self.requests += 1
        reserved = Reserved(self)
        try:
            yield reserved
        finally:
            self.requests -= 1
            self.bytes -= reserved.bytes


class Reserved:
    """The bytes that one request's body takes.

    Args:
        admission: what they are counted against.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.bytes = 0

    def grow(self, size: int) -> None:
        """Count the body as `size` bytes.

        Raises:
            Refusal: with status 413, it is too large; with 503, the bodies of all requests are.
        """
        admission = self._admission
        if size > admission.max_body:
            raise Refusal(
                413, f"The body is larger than {admission.max_body:,} bytes, which is the most that is taken."
            )
        if size <= self.bytes:
            return
        if admission.bytes + size - self.bytes > admission.max_bytes:
            raise Refusal(
                503, "The requests in hand fill the memory that is meant for them. Try again.", {"Retry-After": "1"}
            )
        admission.bytes += size - self.bytes
        self.bytes = size
