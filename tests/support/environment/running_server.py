"""A server in a thread of the test's process, at a free port."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge_fm.serving.options import ModelSource, ServeOptions
from edge_fm.serving.server import Serving, run_server

needs_server = pytest.mark.needs("starlette", "uvicorn", "python_multipart", "prometheus_client")


@dataclass
class Running:
    """A server that listens."""

    serving: Serving
    notes: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.serving.url.removeprefix("http://")

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and content of a response: parsed where it is JSON, else bytes."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
            kind = response.headers.get("Content-Type", "")
            return response.status, json.loads(content) if kind.startswith("application/json") else content
        finally:
            connection.close()


@contextmanager
def running(*sources: ModelSource | Path | str, **options: Any) -> Iterator[Running]:
    given = [one if isinstance(one, ModelSource) else ModelSource.parse(str(one)) for one in sources]
    stop, begun = threading.Event(), threading.Event()
    found: list[Running] = []
    notes: list[str] = []
    errors: list[BaseException] = []

    def started(serving: Serving) -> None:
        found.append(Running(serving, notes))
        begun.set()

    def run() -> None:
        try:
            run_server(
                given,
                ServeOptions(**{"port": 0, "watch_s": 0.0, **options}),
                started=started,
                note=notes.append,
                stop=stop,
            )
        except BaseException as error:  # noqa: BLE001  # raised by the test's own thread
            errors.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    try:
        if errors:
            raise errors[0]
        yield found[0]
    finally:
        stop.set()
        thread.join()
    if errors:
        raise errors[0]
