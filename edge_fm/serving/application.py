"""The ASGI application: every endpoint, and what goes for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_fm.serving import routes_page, routes_photos, routes_protocol
from edge_fm.serving.overload import RefuseEarly
from edge_fm.serving.service import Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def create_application(service: Service) -> RefuseEarly:
    """The application that `edgefm serve` runs, for an ASGI server.

    Args:
        service: the models and limits; the caller closes it.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    application = Starlette(
        routes=[
            *routes_page.routes(service),
            *routes_protocol.routes(service),
            *routes_photos.routes(service),
            Route("/metrics", service.open(_metrics, "metrics"), methods=["GET"]),
        ],
        exception_handlers={404: _not_found, 405: _wrong_method},
    )
    return RefuseEarly(application, service)


async def _metrics(service: Service, request: Request) -> Response:
    from starlette.responses import Response

    return Response(service.metrics.text(), headers={"Content-Type": service.metrics.content_type})


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse({"error": message}, status, headers)


async def _not_found(request: Request, error: Exception) -> Response:
    return _error(404, f"There is no {request.url.path}; the models are listed at /v2/models.")


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = dict(getattr(error, "headers", None) or {})
    allowed = " and ".join(sorted(method.strip() for method in headers.get("Allow", "").split(",")))
    return _error(405, f"{request.url.path} does not take {request.method}; supported is {allowed}.", headers)
