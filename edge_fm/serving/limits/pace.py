"""Refusals that keep a pace, so that they take little of the processor from the requests in hand.

A client that repeats a refused request at once, over many connections, would otherwise keep the event loop busy, and
the threads that decode and compute would wait for it. So only so many refusals are sent in a second; the others wait,
and with them the connection, which sends its next request after the response.
"""

from __future__ import annotations

import asyncio

REFUSALS_PER_S = 200
"""Sent without a wait; each takes a fraction of a millisecond, the bytes of its body included."""
LONGEST_WAIT_S = 1.0
"""The `Retry-After` of what is refused for lack of room."""
_MOST_BYTES = 64 << 20
"""Of the bodies of refusals that wait; more are sent without a wait."""
MOST_OF_ONE = 320 << 10
"""Bytes of a body that may have arrived before the server reads on: its buffer, and what one read brings."""


class Pace:
    """Spreads refusals over time; used by the event loop alone.

    Args:
        per_s: how many go out in a second.
        longest_s: the longest wait of each.
        most_bytes: of the bodies of those that wait.
    """

    def __init__(
        self, per_s: float = REFUSALS_PER_S, longest_s: float = LONGEST_WAIT_S, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._step_s = 1 / per_s
        self._longest_s = longest_s
        self._most_bytes = most_bytes
        self._next = 0.0
        self._held = 0

    async def turn(self, size: int = 0) -> None:
        """Wait until the next refusal may be sent: not at all while there are few.

        Args:
            size: bytes of the body, where it has not been read.
        """
        now = asyncio.get_running_loop().time()
        following = max(self._next, now - 1.0) + self._step_s  # after a quiet second, as many may go out together
        wait = min(following - now, self._longest_s)
        size = min(size, MOST_OF_ONE)
        if wait > 0 and self._held + size > self._most_bytes:
            return
        self._next = now + wait
        if wait <= 0:
            return
        self._held += size
        try:
            await asyncio.sleep(wait)
        finally:
            self._held -= size
