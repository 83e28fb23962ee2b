"""The page at `/`: drop a photo or use the camera, and see what the model saw and predicted."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from edge_fm.serving.service import Handler, Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

_OWN = "edge_fm.serving"
_FILES = {
    "/": (_OWN, "index.html"),
    "/page.js": (_OWN, "page.js"),
    "/page.css": (_OWN, "page.css"),
    "/photo_input.js": ("edge_fm_export.web", "photo_input.js"),  # as in the pages that run in a browser alone
}
"""Address -> package and name of the file in its folder `page`."""
_TYPES = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_HEADERS = {
    # Nothing from another host, nothing inline, no page around it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(service: Service) -> list[Route]:
    """The page and its files; they hold no data, so they need no token."""
    from starlette.routing import Route

    return [
        Route(path, service.open(_file(*file), "page", token=False), methods=["GET"]) for path, file in _FILES.items()
    ]


def _file(package: str, name: str) -> Handler:
    async def handler(service: Service, request: Request) -> Response:
        from starlette.responses import Response

        content = resources.files(package).joinpath("page", name).read_bytes()
        return Response(content, headers={**_HEADERS, "Content-Type": _TYPES[name.rpartition(".")[2]]})

    return handler
