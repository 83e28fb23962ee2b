"""`serve`: artifacts over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from edge_fm.api.common.places import select_artifact
from edge_fm.serving.options import ModelSource, ServeOptions
from edge_fm_runtime.progress import MessageFn, ignore_message

if TYPE_CHECKING:
    from edge_fm.serving.server import Serving


def serve(
    artifacts: str | Path | ModelSource | Sequence[str | Path | ModelSource] = (),
    *,
    options: ServeOptions | None = None,
    started: Callable[[Serving], None] = lambda serving: None,
    stop: Event | None = None,
    note: MessageFn = ignore_message,
) -> None:
    """Serve artifacts over HTTP: the Open Inference Protocol (KServe v2), and photos as they are.

    Returns after SIGINT or SIGTERM, or once `stop` is set, when the requests in hand are complete. Each artifact is
    copied and its golden predictions are replayed before the server listens, and again before one that was replaced on
    disk is swapped in.

    Args:
        artifacts: folders, or names of artifacts in the package; as text also `NAME=ARTIFACT` or
            `NAME@VERSION=ARTIFACT`. None at all for the one that `classify` would take.
        options: address, limits and settings.
        started: called once with the address, when the server listens.
        stop: ends the server when another thread sets it.
        note: called with what a person should know, from several threads.

    Raises:
        MissingDependencyError: a package of the extra `serve` is not installed.
        EdgeFMError: an artifact cannot be opened, is not proven on this machine or has the name of another, or the
            address cannot be listened at.
    """
    from edge_fm.serving.server import run_server

    given = [artifacts] if isinstance(artifacts, str | Path | ModelSource) else list(artifacts)
    sources = [
        one if isinstance(one, ModelSource) else ModelSource.parse(one) if isinstance(one, str) else ModelSource(one)
        for one in given or [select_artifact(None, note)]
    ]
    run_server(sources, options or ServeOptions(), started=started, note=note, stop=stop)
