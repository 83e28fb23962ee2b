"""Run the application until it is asked to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_fm.serving.application import create_application
from edge_fm.serving.metrics import Metrics
from edge_fm.serving.models import Models
from edge_fm.serving.options import ModelSource, ServeOptions
from edge_fm.serving.service import Service
from edge_fm.serving.watch import Watcher
from edge_fm_runtime.errors import EdgeFMError, MissingDependencyError
from edge_fm_runtime.progress import MessageFn, ignore_message

if TYPE_CHECKING:
    from uvicorn import Server

_MOST_CONNECTIONS = 1000
"""Connections at once, most of which wait for their next request; more get status 503."""


@dataclass(frozen=True)
class Serving:
    """A server that has started.

    Attributes:
        url: its address, such as "http://127.0.0.1:8000".
        models: name, version and folder of every model.
    """

    url: str
    models: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm serve --json` prints once it listens."""
        keys = ("name", "version", "artifact")
        return {"url": self.url, "models": [dict(zip(keys, model, strict=True)) for model in self.models]}


def run_server(
    sources: Sequence[ModelSource],
    options: ServeOptions,
    *,
    started: Callable[[Serving], None] = lambda serving: None,
    note: MessageFn = ignore_message,
    stop: threading.Event | None = None,
) -> None:
    """Serve artifacts until SIGINT or SIGTERM, or until `stop` is set; requests in hand are completed first.

    Args:
        sources: the artifacts.
        options: limits and settings.
        started: called once, when the server listens.
        note: called with what a person should know; from several threads.
        stop: set by another thread to end the server.

    Raises:
        MissingDependencyError: a package of the extra `serve` is not installed.
        EdgeFMError: an artifact cannot be opened or is not proven, or the address cannot be listened at.
    """
    _check_packages()
    metrics = Metrics()
    with _listen(options) as listener:
        models = Models(sources, options, metrics.batch)
        service = Service(models, options, metrics, note)
        watcher = Watcher(models, options.watch_s, metrics, note)
        try:
            serving = Serving(_url(listener), tuple((m.name, m.version, str(m.folder)) for m in models))
            server = _server(service, options, lambda: started(serving))
            watcher.start()
            if stop is not None:
                threading.Thread(target=_stop_when, args=(stop, server), daemon=True).start()
            server.run(sockets=[listener])
        finally:
            watcher.stop()
            service.close()
            models.close()


def _check_packages() -> None:
    from importlib.util import find_spec

    needed = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
    needed["prometheus_client"] = "prometheus-client"
    if missing := [package for module, package in needed.items() if find_spec(module) is None]:
        raise MissingDependencyError.for_extra(", ".join(missing), "serve", "edgefm serve")


def _listen(options: ServeOptions) -> socket.socket:
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((options.host, options.port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        raise EdgeFMError(
            f"Cannot listen at {options.host}, port {options.port}: {_reason(error)}.",
            hint="Name another address or port: --host 127.0.0.1 --port 0 takes a free one.",
        ) from error


def _reason(error: OSError | OverflowError) -> str:
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError) or error.errno is None:
        return str(getattr(error, "strerror", None) or error)
    return os.strerror(error.errno)  # the error's own text repeats the address


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(service: Service, options: ServeOptions, started: Callable[[], None]) -> Server:
    import uvicorn

    class ServerThatStops(uvicorn.Server):
        """Ends with exit code 0 where a signal asks it to stop, as it has done all that it had to."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                started()

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    config = uvicorn.Config(
        create_application(service),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=options.stop_s,
    )
    return ServerThatStops(config)


def _stop_when(stop: threading.Event, server: Server) -> None:
    stop.wait()
    server.should_exit = True
