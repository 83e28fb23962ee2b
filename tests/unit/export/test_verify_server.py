"""Golden predictions through a server: what passes, and what each fault of a server is called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from click.testing import CliRunner
from running_server import needs_server, running

import edge_fm
from edge_fm.cli import cli
from edge_fm_runtime.errors import EngineError

PACKAGED = "edgenet-s-onnx-int8"


@needs_server
def test_golden_predictions_are_replayed_through_a_server() -> None:
    with running(PACKAGED) as server:
        result = edge_fm.verify(PACKAGED, server=server.serving.url)
        assert result.passed and result.engine == "server"
        assert {check.name: check.value for check in result.checks}["max_abs_diff_to_exported_batch"] == 0
        with pytest.raises(EngineError, match=r"404.*There is no model 'none'"):
            edge_fm.verify(PACKAGED, server=server.serving.url, model_name="none")
        with pytest.raises(EngineError, match="cannot be set here"):
            edge_fm.verify(PACKAGED, server=server.serving.url, engine="openvino")
        with pytest.raises(EngineError, match="404"):
            edge_fm.verify(PACKAGED, server=server.serving.url, server_api="tfserving")


@needs_server
def test_another_model_on_the_server_does_not_pass(artifact_folder: Path) -> None:
    with running(PACKAGED) as server, pytest.raises(EngineError, match="400"):
        edge_fm.verify(artifact_folder, server=server.serving.url, model_name=PACKAGED)


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:8000", "ftp://host", "http://", "http://host/v2/models", "", "http://[::1", "http://a b"),
        *("http://host:99999", "http://host:x", "http://host#part", "http://user:secret@host:8000"),
    ],
)
def test_what_is_no_address_is_refused(url: str, artifact_folder: Path) -> None:
    with pytest.raises(EngineError, match="not the address of a server") as caught:
        edge_fm.verify(artifact_folder, server=url)
    assert "secret" not in str(caught.value)


def test_a_host_whose_name_cannot_exist(artifact_folder: Path) -> None:
    with pytest.raises(EngineError, match="cannot be reached"):
        edge_fm.verify(artifact_folder, server="http://host..name")


@contextmanager
def responding(data: Callable[[int], str]) -> Iterator[str]:
    """The address of a server whose responses have these probabilities, JSON, for so many images."""

    class Responder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            values = data(request["inputs"][0]["shape"][0])
            body = f'{{"outputs": [{{"name": "probabilities", "data": {values}}}]}}'.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Responder) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("value", ["1" + "0" * 400, '"x"', "[]", "{}"])
def test_values_that_are_no_probabilities(value: str, artifact_folder: Path) -> None:
    with responding(lambda _: f"[{value}]") as url, pytest.raises(EngineError, match="the output probabilities is"):
        edge_fm.verify(artifact_folder, server=url)


def test_what_fails_on_a_server_is_not_blamed_on_the_artifact(artifact_folder: Path) -> None:
    with np.load(artifact_folder / "golden.npz") as golden:
        labels = golden["reference"].shape[1]
    with responding(lambda images: str([2.0] * images * labels)) as url:
        result = CliRunner().invoke(cli, ["verify", str(artifact_folder), "--server", url])
    assert result.exit_code == 3 and "export it again" not in result.stderr and url in result.stderr


def test_a_server_that_is_not_there(artifact_folder: Path) -> None:
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        edge_fm.verify(artifact_folder, server="http://127.0.0.1:9")
    assert "--server http://HOST:PORT" in str(caught.value.hint)
    with pytest.raises(EngineError, match="but no server"):
        edge_fm.verify(artifact_folder, model_name="tiny")


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_server_that_returns_no_finite_numbers_is_named(value: str, artifact_folder: Path) -> None:
    with (
        responding(lambda images: "[" + ", ".join([value] * images * 3) + "]") as url,
        pytest.raises(EngineError, match="no finite numbers") as caught,
    ):
        edge_fm.verify(artifact_folder, server=url)
    assert url in caught.value.message
