"""What the endpoints share: models, limits, counters, and the threads that decode and compute."""

from __future__ import annotations

import asyncio
import hmac
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from edge_fm.serving.limits.admission import Admission, Reserved
from edge_fm.serving.limits.pace import Pace
from edge_fm.serving.limits.refusals import Refusal
from edge_fm.serving.metrics import Metrics
from edge_fm.serving.models import Models
from edge_fm.serving.options import ServeOptions
from edge_fm_runtime.errors import EdgeFMError
from edge_fm_runtime.progress import MessageFn
from edge_fm_runtime.system.machine import usable_cpus

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

T = TypeVar("T")
Handler: TypeAlias = "Callable[[Service, Request], Awaitable[Response]]"
LimitedHandler: TypeAlias = "Callable[[Service, Request, Call], Awaitable[Response]]"


class Service:
    """One server's models and what bounds the work on them.

    Args:
        models: what is served.
        options: the limits.
        metrics: the counters.
        note: called with what a person should know, such as an error that no request is to blame for.
    """

    def __init__(self, models: Models, options: ServeOptions, metrics: Metrics, note: MessageFn) -> None:
        self.models = models
        self.options = options
        self.metrics = metrics
        self.note = note
        self.admission = Admission(options.max_requests, options.max_body_mib << 20)
        self.pace = Pace()
        self.threads = ThreadPoolExecutor(usable_cpus(), thread_name_prefix="edgefm-serve")
        metrics.in_hand.set_function(lambda: self.admission.requests)

    def close(self) -> None:
        """End the threads, once what they have begun is done."""
        self.threads.shutdown(cancel_futures=True)

    def accepts(self, authorization: str) -> bool:
        """Whether a request with this header carries the token, or none is required."""
        if self.options.token is None:
            return True
        expected = f"Bearer {self.options.token}"
        return hmac.compare_digest(authorization.encode("latin-1", "replace"), expected.encode())

    def check_token(self, request: Request) -> None:
        """Refuse a request without the token, where one is required.

        Raises:
            Refusal: with status 401.
        """
        if not self.accepts(request.headers.get("authorization", "")):
            raise Refusal(
                401,
                "The request does not carry this server's token. Send the header `Authorization: Bearer TOKEN`.",
                {"WWW-Authenticate": "Bearer"},
            )

    def open(self, handler: Handler, name: str, *, token: bool = True) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that costs next to nothing: it is there also while the server has all that it can do."""

        async def endpoint(request: Request) -> Response:
            if token:
                self.check_token(request)
            return await handler(self, request)

        return self._counted(endpoint, name)

    def limited(self, handler: LimitedHandler, name: str) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint whose requests are bounded in number, size and time."""

        async def endpoint(request: Request) -> Response:
            try:
                self.check_token(request)
                with self.admission.request() as reserved:
                    return await handler(self, request, Call(self.options.timeout_s, reserved))
            except Refusal:
                await self.pace.turn()
                raise

        return self._counted(endpoint, name)

    def _counted(
        self, endpoint: Callable[[Request], Awaitable[Response]], name: str
    ) -> Callable[[Request], Awaitable[Response]]:
        async def counted(request: Request) -> Response:
            start = time.perf_counter()
            response = await _respond(self, endpoint, request)
            model = request.path_params.get("name", "")
            known = model if self.models.versions(model) else ""
            self.metrics.request(name, known, response.status_code, time.perf_counter() - start)
            return response

        return counted


async def _respond(service: Service, endpoint: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    from starlette.requests import ClientDisconnect
    from starlette.responses import JSONResponse, Response

    try:
        return await endpoint(request)
    except Refusal as refusal:
        return JSONResponse({"error": refusal.message}, refusal.status, refusal.headers)
    except ClientDisconnect:
        return Response(status_code=499)  # nobody reads it; the counters do
    except EdgeFMError as error:
        service.note(f"{request.method} {request.url.path}: {error}")
        return JSONResponse({"error": str(error)}, 500)
    except Exception:  # noqa: BLE001  # ours: counted like the others, and the next request is none the worse for it
        service.note(f"{request.method} {request.url.path} failed:\n{traceback.format_exc()}")
        return JSONResponse({"error": "The server failed; its log says why."}, 500)


class Call:
    """One limited request: its deadline, and the bytes that it may take.

    Args:
        timeout_s: seconds from now on.
        reserved: counts its body.
    """

    def __init__(self, timeout_s: float, reserved: Reserved) -> None:
        self._reserved = reserved
        self._timeout_s = timeout_s
        self._deadline = asyncio.get_running_loop().time() + timeout_s

    async def body(self, request: Request) -> bytes:
        """The request's body.

        Raises:
            Refusal: it is too large (413), compressed (415), or has not arrived in time (408).
        """
        encoding = request.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise Refusal(415, f"The body has the Content-Encoding {encoding!r}; supported is none.")
        length = request.headers.get("content-length", "")
        if length.isascii() and length.isdigit():
            self._reserved.grow(int(length))
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout_at(self._deadline):
                async for chunk in request.stream():
                    size += len(chunk)
                    self._reserved.grow(size)
                    chunks.append(chunk)
        except TimeoutError:
            raise Refusal(
                408,
                f"The body has not arrived within {self._timeout_s:g} seconds; {size:,} bytes have.",
                {"Connection": "close"},
            ) from None
        return b"".join(chunks)

    async def result(self, waited: Awaitable[T]) -> T:
        """What a thread computes.

        Raises:
            Refusal: with status 503, it is not there in time.
        """
        try:
            async with asyncio.timeout_at(self._deadline):
                return await waited
        except TimeoutError:
            raise Refusal(
                503, f"There was no result within {self._timeout_s:g} seconds. Try again.", {"Retry-After": "1"}
            ) from None
