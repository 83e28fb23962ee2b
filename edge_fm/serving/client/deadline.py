"""A deadline for a whole request, whose steps each have a timeout of their own alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def call_within(seconds: float, function: Callable[[], T]) -> T:
    """Call a function in a thread of its own, and wait for its result for so long.

    The timeout of a socket is that of one read: a server that sends a byte every now and then never exceeds it, and
    looking up a name or a TLS handshake may take as long as they like.

    Args:
        seconds: until the result must be there.
        function: what to call; where it is late, it is left to itself, in a thread that ends with the process.

    Raises:
        TimeoutError: the result is not there in time.
        Exception: whatever the function raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # raised by the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name="edgefm-request")
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
