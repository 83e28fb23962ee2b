"""`edgefm serve` as a process: what it prints, how it ends, what it leaves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running_server import needs_server

pytestmark = needs_server
COMMAND = [sys.executable, "-m", "edge_fm", "serve", "edgenet-s-onnx-int8"]


@contextmanager
def started(place: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1", "TMPDIR": str(place), **variables}
    command = [*COMMAND, "--port", "0", "--json", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            text = ""
            while not text.endswith("}\n") or text.count("{") != text.count("}"):
                line = process.stdout.readline()
                assert line, process.stderr and process.stderr.read()
                text += line
            yield process, json.loads(text)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_once_what_was_asked_is_done(tmp_path: Path, number: signal.Signals) -> None:
    with started(tmp_path) as (process, serving):
        (model,) = serving["models"]
        assert (model["name"], model["version"]) == ("edgenet-s-onnx-int8", "1")
        host, _, port = serving["url"].removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            path = "/v2/models/edgenet-s-onnx-int8/classify"
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n".encode())
            check = http.client.HTTPConnection(host, int(port), timeout=30)
            in_hand = b""
            while b"edgefm_requests_in_hand 1.0" not in in_hand:
                check.request("GET", "/metrics")
                in_hand = check.getresponse().read()
            check.close()
            process.send_signal(number)
            connection.sendall(b"none")
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 422 and b"not a photo that can be read" in response.read()
        assert process.wait(30) == 0
        assert process.stderr is not None and process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_one_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (
        f"Error: Cannot listen at 127.0.0.1, port {port}: Address already in use.\n"
        "Name another address or port: --host 127.0.0.1 --port 0 takes a free one.\n"
    )


def test_a_token_is_read_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    for arguments, variables in (([f"--token-file={file}"], {}), ([], {"EDGEFM_SERVE_TOKEN": "secret"})):
        with started(tmp_path, *arguments, **variables) as (_, serving):
            connection = http.client.HTTPConnection(serving["url"].removeprefix("http://"), timeout=30)
            for headers, status in (({}, 401), ({"Authorization": "Bearer secret"}, 200)):
                connection.request("GET", "/v2", headers=headers)
                response = connection.getresponse()
                response.read()
                assert response.status == status
            connection.close()


@pytest.mark.parametrize("token", ["", "two words", "sécret"])
def test_what_is_no_token_is_refused(tmp_path: Path, token: str) -> None:
    file = tmp_path / "token"
    file.write_text(token, "utf-8")
    done = subprocess.run([*COMMAND, "--token-file", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith(f"Error: {file} holds no token")
