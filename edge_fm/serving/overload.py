"""Requests that are refused before anything of them is read, where a server has all that it can do."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edge_fm.serving.limits.pace import MOST_OF_ONE
from edge_fm.serving.limits.refusals import Refusal
from edge_fm.serving.service import Service

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
LIMITED = ("classify", "infer")
"""The endpoints whose requests are bounded in number."""


class RefuseEarly:
    """Refuses what is too much with status 429 before anything of it is read or looked up.

    An ASGI application around another one. A request that waited for its refusal is let in where there is room by then.

    Args:
        application: gets every other request.
        service: how much may be in hand.
    """

    def __init__(self, application: Application, service: Service) -> None:
        self._application = application
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        if not service.admission.full or scope["type"] != "http" or (asked := self._limited(scope)) is None:
            return await self._application(scope, receive, send)
        await service.pace.turn(asked.size)
        if not service.admission.full:
            return await self._application(scope, receive, send)
        refusal = service.admission.refusal()
        await _send(send, refusal)
        service.metrics.request(asked.endpoint, asked.model, refusal.status, 0.0)
        return None

    def _limited(self, scope: Scope) -> _Asked | None:
        """What a request asks for that is bounded in number; None for every other one."""
        parts = scope["path"].split("/")
        if scope["method"] != "POST" or len(parts) < 5 or parts[-1] not in LIMITED or parts[:3] != ["", "v2", "models"]:
            return None
        headers = dict(scope["headers"])
        token = headers.get(b"authorization", b"").decode("latin-1")
        if not self._service.accepts(token) or not self._service.models.versions(parts[3]):
            return None  # which the endpoint says
        length = headers.get(b"content-length", b"")
        return _Asked(parts[-1], parts[3], int(length) if length.isdigit() else MOST_OF_ONE)


@dataclass(frozen=True)
class _Asked:
    """An endpoint, a model that is served, and bytes of the body."""

    endpoint: str
    model: str
    size: int


async def _send(send: Send, refusal: Refusal) -> None:
    content = json.dumps({"error": refusal.message}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content)), **refusal.headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": content})
