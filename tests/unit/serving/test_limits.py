"""What is too much is refused: in number, in size, in time, without a token."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running_server import needs_server, running

from edge_fm.serving.batching import Batcher
from edge_fm.serving.limits.admission import Admission
from edge_fm.serving.limits.refusals import Refusal
from edge_fm_runtime.arrays import Pixels, Probabilities

pytestmark = needs_server
CLASSIFY = "/v2/models/tiny/classify"


def send_head(address: str, length: int) -> socket.socket:
    """A connection that has sent the head of a request, and nothing of its body."""
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST {CLASSIFY} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


def response(connection: socket.socket) -> tuple[int, bytes]:
    found = http.client.HTTPResponse(connection)
    found.begin()
    return found.status, found.read()


def test_more_requests_than_may_be_in_hand_are_refused_at_once(artifact_folder: Path) -> None:
    with running(artifact_folder, max_requests=2) as server:
        waiting = [send_head(server.address, 10) for _ in range(2)]
        while b"edgefm_requests_in_hand 2.0" not in server.ask("GET", "/metrics")[1]:
            time.sleep(0.005)
        status, found = server.ask("POST", CLASSIFY, b"0123456789")
        assert status == 429 and found["error"].startswith("2 requests are in hand")
        assert server.ask("GET", "/v2/health/ready")[0] == 200
        for connection in waiting:  # those that were let in are completed
            connection.sendall(b"0123456789")
            assert response(connection)[0] == 422
            connection.close()
        assert server.ask("POST", CLASSIFY, b"0123456789")[0] == 422


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(artifact_folder: Path, chunked: bool) -> None:
    with running(artifact_folder, max_body_mib=1) as server:
        pieces = (bytes(1 << 18) for _ in range(5))
        status, found = server.ask("POST", CLASSIFY, pieces if chunked else b"".join(pieces))
        assert status == 413 and found["error"].startswith("The body is larger than 1,048,576 bytes")


def test_a_body_that_does_not_arrive_is_not_waited_for(artifact_folder: Path) -> None:
    with running(artifact_folder, timeout_s=0.2) as server, send_head(server.address, 10) as connection:
        connection.sendall(b"0123")
        status, content = response(connection)
    assert status == 408 and b"has not arrived within 0.2 seconds; 4 bytes have." in content


def test_a_result_that_takes_too_long_is_not_waited_for(artifact_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr(Batcher, "_compute", lambda *_: go.wait(30))
    photo = io.BytesIO()
    Image.new("L", (4, 4)).save(photo, "PNG")
    with running(artifact_folder, timeout_s=0.2) as server:
        status, found = server.ask("POST", CLASSIFY, photo.getvalue())
        go.set()
    assert status == 503 and found["error"].startswith("There was no result within 0.2 seconds")


@pytest.mark.parametrize("given", [None, "Bearer wrong", "secret", "Basic secret", "Bearer sécret"])
def test_without_the_token_nothing_but_health_and_the_page_is_given(artifact_folder: Path, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    with running(artifact_folder, token="secret") as server:
        for method, path in (
            ("GET", "/v2"),
            ("GET", "/v2/models"),
            ("GET", "/v2/models/tiny"),
            ("GET", "/metrics"),
            ("POST", "/v2/repository/index"),
            ("POST", CLASSIFY),
            ("POST", "/v2/models/tiny/infer"),
        ):
            status, found = server.ask(method, path, None, headers)
            assert status == 401 and "does not carry this server's token" in found["error"]
        for path in ("/", "/v2/health/live", "/v2/health/ready"):
            assert server.ask("GET", path)[0] == 200
        assert server.ask("GET", "/v2/models", None, {"Authorization": "Bearer secret"}) == (200, {"models": ["tiny"]})


def test_the_bodies_of_all_requests_together_are_bounded() -> None:
    admission = Admission(100, 100 << 20)
    with admission.request() as first, admission.request() as second, admission.request() as third:
        for reserved in (first, second, third):
            reserved.grow(100 << 20)
        with admission.request() as fourth, admission.request() as fifth:
            fourth.grow(100 << 20)
            with pytest.raises(Refusal, match="fill the memory") as error:
                fifth.grow(1)
            assert error.value.status == 503
            assert admission.bytes == 400 << 20
        assert admission.bytes == 300 << 20
    assert (admission.bytes, admission.requests) == (0, 0)


def test_images_that_wait_are_computed_together() -> None:
    sizes: list[int] = []
    results: list[int] = []
    first, go = threading.Event(), threading.Event()

    def run(batch: Pixels) -> Probabilities:
        first.set()
        assert go.wait(30)
        return batch[:, 0, 0].astype(np.float32)

    batcher = Batcher(run, max_size=4, observe=sizes.append)

    def submit(number: int) -> None:
        batcher.submit(np.full((1, 1, 1), number, np.uint8), lambda row, _: results.append(int(row[0])))

    leader = threading.Thread(target=submit, args=(0,))
    leader.start()
    assert first.wait(30)
    for number in range(1, 7):
        submit(number)  # returns at once: the leader is at it
    assert results == []
    go.set()
    leader.join()
    assert (sizes, results) == ([1, 4, 2], [0, 1, 2, 3, 4, 5, 6])


def test_an_error_of_the_engine_reaches_everybody_who_waits_and_the_next_batch_runs() -> None:
    fails = [True]

    def run(batch: Pixels) -> Probabilities:
        if fails.pop() if fails else False:
            raise RuntimeError("no memory")
        return np.ones((len(batch), 2), np.float32)

    found: list[object] = []
    batcher = Batcher(run, max_size=2)
    for _ in range(2):
        batcher.submit(np.zeros((1, 1, 1), np.uint8), lambda row, _: found.append(row))
    assert str(found[0]) == "no memory" and isinstance(found[1], np.ndarray)


@pytest.mark.parametrize("delay_s", [0.0, 5.0])
def test_a_delay_fills_batches(delay_s: float) -> None:
    sizes: list[int] = []

    def run(batch: Pixels) -> Probabilities:
        return np.ones((len(batch), 2), np.float32)

    batcher = Batcher(run, max_size=3, delay_s=delay_s, observe=sizes.append)
    image = np.zeros((1, 1, 1), np.uint8)
    threads = [threading.Thread(target=batcher.submit, args=(image, lambda *_: None)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sizes) == 3 and (not delay_s or sizes == [3])


def test_a_fault_of_the_server_is_counted_and_noted_and_the_next_request_is_computed(
    artifact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_fm_runtime.classifier import Classifier

    photo = io.BytesIO()
    Image.new("L", (4, 4)).save(photo, "PNG")
    with running(artifact_folder) as server:
        with monkeypatch.context() as broken:
            broken.setattr(Classifier, "canvas", lambda *_: 1 / 0)
            assert server.ask("POST", CLASSIFY, photo.getvalue()) == (
                500,
                {"error": "The server failed; its log says why."},
            )
        assert server.ask("POST", CLASSIFY, photo.getvalue())[0] == 200
        assert 'endpoint="classify",model="tiny",status="500"} 1.0' in server.ask("GET", "/metrics")[1].decode()
        (note,) = server.notes
    assert note.startswith(f"POST {CLASSIFY} failed:") and "ZeroDivisionError" in note
