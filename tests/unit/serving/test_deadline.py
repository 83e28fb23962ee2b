"""`verify --server` ends where a server hangs, or sends a byte now and then, which no timeout of a socket notices."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

import edge_fm
from edge_fm.cli import cli
from edge_fm.serving.client.deadline import call_within
from edge_fm_runtime.errors import EngineError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
DRIPPING = {"nothing": b"", "its head": b"HTTP/1.1 200 OK\r\nX-Long: ", "its body": HEAD}


@contextmanager
def dripping(at_once: bytes, *, drips: bool) -> Iterator[str]:
    """The address of a server that sends so much at once, and then a byte now and then, or nothing."""
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(at_once)
            while not over.wait(0.02):
                try:
                    connection.sendall(b" " if drips else b"")
                except OSError:  # the client has given up
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        thread.join()


@pytest.mark.parametrize("part", DRIPPING)
def test_a_server_that_never_completes_its_response(part: str, artifact_folder: Path) -> None:
    with (
        dripping(DRIPPING[part], drips=part != "nothing") as url,
        pytest.raises(EngineError, match=r"/infer has not responded within 0\.3 seconds") as caught,
    ):
        edge_fm.verify(artifact_folder, server=url, timeout_s=0.3)
    assert "--timeout 3" in str(caught.value.hint)


def test_the_command(artifact_folder: Path) -> None:
    with dripping(HEAD, drips=True) as url:
        done = CliRunner().invoke(cli, ["verify", str(artifact_folder), "--server", url, "--timeout", "0.3"])
    assert done.exit_code == 1 and "has not responded within 0.3 seconds" in done.stderr
    for seconds in ("0", "-1", "x"):
        assert CliRunner().invoke(cli, ["verify", str(artifact_folder), "--timeout", seconds]).exit_code == 2
    alone = CliRunner().invoke(cli, ["verify", str(artifact_folder), "--timeout", "5"])
    assert alone.exit_code == 1 and "but no server" in alone.stderr


def test_what_the_function_returns_and_raises_comes_through() -> None:
    assert call_within(30, lambda: 7) == 7
    with pytest.raises(json.JSONDecodeError):
        call_within(30, lambda: json.loads("{"))
    with pytest.raises(TimeoutError):
        call_within(0.01, lambda: threading.Event().wait(1))
