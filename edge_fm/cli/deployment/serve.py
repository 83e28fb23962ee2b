"""`edgefm serve`: artifacts over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import Console, print_line
from edge_fm.cli.options import COUNT, MIN_SCORE, PATH, console_options, engine_options, signature_option
from edge_fm_runtime.errors import EdgeFMError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from edge_fm.serving.server import Serving

TOKEN_VARIABLE = "EDGEFM_SERVE_TOKEN"
_SECONDS = click.FloatRange(min=0, min_open=True)
_CALLED = {
    "max_body": "max_body_mib",
    "timeout": "timeout_s",
    "batch_delay": "batch_delay_ms",
    "watch": "watch_s",
    "stop_timeout": "stop_s",
}
"""Option -> what `ServeOptions` calls it."""


@click.command("serve")
@click.argument("artifacts", nargs=-1, metavar="[[NAME[@VERSION]=]ARTIFACT]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for every one.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--token-file",
    type=PATH,
    metavar="FILE",
    help=f"Refuse requests without this token (Authorization: Bearer TOKEN). Default: ${TOKEN_VARIABLE}, else none.",
)
@engine_options
@click.option("--min-score", type=MIN_SCORE, metavar="X|auto", help="Photos with a lower best score get no label.")
@click.option("--max-requests", type=COUNT, default=64, show_default=True, help="At once; others get status 429.")
@click.option("--max-body", type=COUNT, default=32, show_default=True, metavar="MIB", help="Of one request.")
@click.option("--max-pixels", type=COUNT, default=DEFAULT_MAX_PIXELS, show_default=True, help="Of one photo.")
@click.option("--max-photos", type=COUNT, default=64, show_default=True, help="Of one request.")
@click.option("--timeout", type=_SECONDS, default=30.0, show_default=True, help="Seconds for one request.")
@click.option("--max-batch-size", type=COUNT, default=8, show_default=True, help="Waiting photos computed together.")
@click.option(
    "--batch-delay",
    type=click.FloatRange(0, 1000),
    default=0.0,
    show_default=True,
    metavar="MS",
    help="How long a photo waits for others; 0 takes together what waits anyhow.",
)
@click.option(
    "--watch",
    type=click.FloatRange(0, 86400),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look for artifacts that were replaced on disk; 0 never does.",
)
@click.option("--stop-timeout", type=COUNT, default=10, show_default=True, help="Seconds to end requests in.")
@signature_option
@console_options
def command(console: Console, artifacts: tuple[str, ...], token_file: Path | None, **options: Any) -> None:
    """Serve artifacts over HTTP: the Open Inference Protocol (KServe v2), and photos at /v2/models/NAME/classify.

    Every artifact is copied and its golden predictions are replayed before it is served. One that is replaced on disk
    is verified and swapped in without a lost request; a bad one is refused, and the old one is kept. Ends with 0 once
    SIGTERM or Ctrl-C asks it to and the requests in hand are complete. Needs the extra serve.
    """
    from edge_fm.api.artifacts.serve import serve
    from edge_fm.serving.options import ServeOptions

    limits = {_CALLED.get(name, name): value for name, value in options.items()}
    token = _token(token_file)
    if token is None and limits["host"] not in ("127.0.0.1", "localhost", "::1"):
        console.warn(f"Anybody who reaches {limits['host']} may use this server: no token is set (--token-file).")

    def started(serving: Serving) -> None:
        console.show(serving, _print_started)

    serve(artifacts, options=ServeOptions(token=token, **limits), started=started, note=console.note)


def _token(file: Path | None) -> str | None:
    token = os.environ.get(TOKEN_VARIABLE) if file is None else file.read_text("utf-8").strip()
    if token is None:
        return None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        where = f"${TOKEN_VARIABLE}" if file is None else str(file)
        raise EdgeFMError(
            f"{where} holds no token: supported are printable ASCII characters without spaces.",
            hint="Make one: openssl rand -hex 32",
        )
    return token


def _print_started(serving: Serving) -> None:
    for name, version, artifact in serving.models:
        print_line(f"{name} (version {version}): {artifact}")
    print_line(f"Listening at {serving.url}")
