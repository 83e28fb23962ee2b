"""Refusals while a server has all it can do: nothing of the body is asked for, and a storm of them keeps a pace."""

from __future__ import annotations

import asyncio
import http.client
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from running_server import Running, needs_server, running

from edge_fm.serving.limits.pace import MOST_OF_ONE, Pace

pytestmark = needs_server
CLASSIFY = "/v2/models/tiny/classify"


class Clock:
    """Time that passes where somebody sleeps, and nowhere else."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(
        "edge_fm.serving.limits.pace.asyncio", SimpleNamespace(get_running_loop=lambda: found, sleep=found.sleep)
    )
    return found


def turns(pace: Pace, count: int, size: int = 0) -> None:
    for _ in range(count):
        asyncio.run(pace.turn(size))


def test_a_burst_is_refused_at_once_and_what_follows_keeps_the_pace(clock: Clock) -> None:
    pace = Pace(per_s=4, longest_s=1.0)
    turns(pace, 4)
    assert clock.slept == []
    turns(pace, 6)
    assert clock.slept == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    clock.now += 10  # quiet: as at the start
    turns(pace, 4)
    assert len(clock.slept) == 6


def test_a_steady_excess_below_the_pace_never_waits(clock: Clock) -> None:
    pace = Pace(per_s=4)
    for _ in range(50):
        turns(pace, 1)
        clock.now += 0.25
    assert clock.slept == []


def test_those_who_wait_hold_no_more_of_their_bodies_than_there_is_memory_for() -> None:
    async def held() -> int:
        pace = Pace(per_s=1, longest_s=30, most_bytes=3 * MOST_OF_ONE)
        waiting = [asyncio.create_task(pace.turn(1 << 30)) for _ in range(10)]
        await asyncio.sleep(0)
        left = sum(not one.done() for one in waiting)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return left

    assert asyncio.run(held()) == 3


def hold(server: Running, **headers: str) -> http.client.HTTPConnection:
    """A request that is in hand: its head has arrived, and its body has not."""
    connection = http.client.HTTPConnection(server.address, timeout=30)
    connection.putrequest("POST", CLASSIFY)
    connection.putheader("Content-Length", "4")
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    while b"edgefm_requests_in_hand 1.0" not in server.ask("GET", "/metrics", None, headers)[1]:
        pass
    return connection


def test_nothing_of_a_body_is_asked_for_that_is_refused(artifact_folder: Path) -> None:
    with running(artifact_folder, max_requests=1) as server:
        first = hold(server)
        for path in (CLASSIFY, "/v2/models/tiny/versions/1/infer"):
            connection = http.client.HTTPConnection(server.address, timeout=30)
            connection.putrequest("POST", path)
            connection.putheader("Content-Length", str(1 << 30))
            connection.putheader("Expect", "100-continue")
            connection.endheaders()
            response = connection.getresponse()  # it skips "100 Continue", after which it would wait for ever
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
            assert response.headers["Content-Type"] == "application/json"
            assert response.read().startswith(b'{"error": "1 requests are in hand')
            connection.close()
        counted = server.ask("GET", "/metrics")[1].decode()
        first.send(b"none")
        assert first.getresponse().status == 422
        first.close()
    for endpoint in ("classify", "infer"):
        assert f'edgefm_requests_total{{endpoint="{endpoint}",model="tiny",status="429"}} 1.0' in counted


def test_what_waits_for_its_refusal_is_let_in_where_there_is_room_by_then(
    artifact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, go = threading.Event(), threading.Event()

    async def turn(pace: Pace, size: int = 0) -> None:
        waits.set()
        await asyncio.to_thread(go.wait, 30)

    monkeypatch.setattr(Pace, "turn", turn)
    found: list[int] = []
    with running(artifact_folder, max_requests=1) as server:
        first = hold(server)
        second = threading.Thread(target=lambda: found.append(server.ask("POST", CLASSIFY, b"none")[0]))
        second.start()
        assert waits.wait(30)
        first.send(b"none")
        assert first.getresponse().status == 422
        first.close()
        go.set()
        second.join(30)
    assert found == [422]


def test_a_full_server_asks_for_the_token_first(artifact_folder: Path) -> None:
    given = {"Authorization": "Bearer secret"}
    with running(artifact_folder, max_requests=1, token="secret") as server:
        first = hold(server, **given)
        assert [server.ask("POST", CLASSIFY, b"x", headers)[0] for headers in ({}, given)] == [401, 429]
        first.send(b"none")
        assert first.getresponse().status == 422
        first.close()
