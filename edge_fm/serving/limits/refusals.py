"""Requests that are refused: a status and a sentence, which the protocol gives as `{"error": ...}`."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A request that gets no result.

    Args:
        status: of HTTP.
        message: what was got, what is supported, what to do.
        headers: of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})
