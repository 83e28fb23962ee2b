"""A server that is asked for twice what it can do: what it classifies then, whether it is right, and its memory.

    python -m benchmarks.serving.serving_overload PHOTOS [ARTIFACT] [--minutes M] [--times N] [--max-requests N]

PHOTOS is a folder. Requests of one photo each are sent at a fixed rate, whatever becomes of those before (an open
loop). Each response with status 200 is compared with what `classify_many` gives for its photo; every other one must be
429 or 503. Capacity is measured before and after, by the same client over eight connections that wait for responses.
Then connections that repeat refused requests at once are added. Prints one JSON object; of the shares of the capacity,
the one by the server's processor time per photo is also right where the machine has other work at times.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.serving_load import resident, served
from edge_fm import Classifier
from edge_fm_runtime.photos.suffixes import SUFFIXES

_MOST_CONNECTIONS = 900
_PHOTOS = 200
_LOOK_S = 5.0
_LONGEST_IDLE_S = 2.0
"""A connection that nobody has used for longer is not used again; the server closes it after five."""
_ROUNDING = 2e-6
"""Between batches of other sizes, where kernels may round in other places; JSON has six digits."""


@dataclass(frozen=True)
class Asked:
    """A request, and what the response must say."""

    request: bytes
    expected: dict[str, Any]


@dataclass
class Seen:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    not_sent: int = 0
    largest_difference: float = 0.0
    took_s: float = 0.0

    def add(self, asked: Asked, status: int, content: bytes) -> None:
        self.statuses[status] += 1
        if status != 200:
            return
        (found,) = json.loads(content)["predictions"]
        for key in ("label", "index", "error"):
            if found[key] != asked.expected[key]:
                self.wrong.append(f"{asked.expected['input']}: {key} {found[key]!r}, not {asked.expected[key]!r}")
        difference = abs(found["score"] - asked.expected["score"])
        self.largest_difference = max(self.largest_difference, difference)
        if difference > _ROUNDING:
            self.wrong.append(f"{asked.expected['input']}: score {found['score']}, not {asked.expected['score']}")


class Client:
    """Connections that are kept, as many as are needed."""

    def __init__(self, url: str, seen: Seen) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._address = host, int(port)
        self._free: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._seen = seen
        self.used = 0

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        self.used += 1
        try:
            reader, writer = self._kept() or await asyncio.open_connection(*self._address)
            yield reader, writer
            self._free.append((time.monotonic(), reader, writer))
        finally:
            self.used -= 1

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        while self._free:
            since, reader, writer = self._free.pop()
            if time.monotonic() - since < _LONGEST_IDLE_S:
                return reader, writer
            writer.close()
        return None

    async def ask(self, asked: Asked) -> None:
        try:
            async with self._connection() as (reader, writer):
                writer.write(asked.request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(None, 1)[0])
                self._seen.add(asked, int(head.split(None, 2)[1]), await reader.readexactly(length))
        except (OSError, asyncio.IncompleteReadError) as error:
            self._seen.failed.append(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        for _, _, writer in self._free:
            writer.close()


async def closed_loop(url: str, photos: Sequence[Asked], seconds: float, connections: int) -> Seen:
    """Connections that send the next request once the response to the last one is there."""
    seen = Seen()
    client, following = Client(url, seen), itertools.cycle(photos)
    began = time.monotonic()

    async def one() -> None:
        while time.monotonic() - began < seconds:
            await client.ask(next(following))

    await asyncio.gather(*(one() for _ in range(connections)))
    seen.took_s = time.monotonic() - began
    client.close()
    return seen


async def open_loop(url: str, photos: Sequence[Asked], seconds: float, per_s: float) -> Seen:
    """Requests at a fixed rate, on as many connections as that needs."""
    seen = Seen()
    client, following = Client(url, seen), itertools.cycle(photos)
    running: set[asyncio.Task[None]] = set()
    began = time.monotonic()
    for number in itertools.count():
        due = number / per_s
        if due >= seconds:
            break
        if (early := began + due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        if client.used >= _MOST_CONNECTIONS:
            seen.not_sent += 1
            continue
        task = asyncio.create_task(client.ask(next(following)))
        running.add(task)
        task.add_done_callback(running.discard)
    seen.took_s = time.monotonic() - began
    await asyncio.gather(*running)
    client.close()
    return seen


def cpu_s(process: int) -> float:
    """Seconds that a process has had a processor (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def phase(process: int, run: Any) -> tuple[Seen, dict[str, Any]]:
    """Run a loop, and say what came of it."""
    before = cpu_s(process)
    seen: Seen = asyncio.run(run)
    accepted = seen.statuses[200]
    return seen, {
        "statuses": dict(sorted(seen.statuses.items())),
        "accepted_per_s": round(accepted / seen.took_s, 1),
        "server_cpu_ms_per_accepted": round(1e3 * (cpu_s(process) - before) / max(1, accepted), 2),
        "not_as_classify_many": len(seen.wrong),
        "largest_score_difference": seen.largest_difference,
        "failed": len(seen.failed),
        "not_sent": seen.not_sent,
        "first_faults": [*seen.wrong[:3], *seen.failed[:3]],
    }


async def watched(process: int, run: Any, found: list[int]) -> Seen:
    """Run a loop, and look at the server's memory meanwhile."""

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            found.append(resident(process))

    looking = asyncio.create_task(look())
    try:
        seen: Seen = await run
    finally:
        looking.cancel()
    return seen


def photos_of(folder: Path, artifact: str) -> list[Asked]:
    """Requests for photos of a folder that can be read, and what `classify_many` gives for each."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    files = files[:: max(1, len(files) // _PHOTOS)][:_PHOTOS]
    contents = [file.read_bytes() for file in files]
    with Classifier.load(artifact, one_shot=True) as classifier:
        found = [one.to_json() for one in classifier.classify_many(contents)]
    return [
        Asked(
            b"POST /v2/models/model/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: %d\r\n\r\n" % len(content) + content,
            expected | {"input": file.name},
        )
        for file, content, expected in zip(files, contents, found, strict=True)
        if expected["error"] is None
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("artifact", nargs="?", default="edgenet-s-onnx-int8")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement of the capacity, and the storm")
    parser.add_argument("--times", type=float, default=2, help="the rate, as a multiple of the capacity")
    parser.add_argument("--storm", type=int, default=32, help="connections more than requests are taken at once")
    parser.add_argument("--max-requests", type=int, default=64, help="of the server")
    given = parser.parse_args()
    photos = photos_of(given.photos, given.artifact)
    report: dict[str, Any] = {"photos": len(photos), "artifact": given.artifact, "load": os.getloadavg()[0]}
    with served(given.artifact, "--max-requests", str(given.max_requests)) as (url, process):

        def capacity(name: str) -> None:
            _, report[name] = phase(process, closed_loop(url, photos, given.seconds, 8))

        asyncio.run(closed_loop(url, photos, 3, 8))
        capacity("capacity_before")
        rate, memory = given.times * report["capacity_before"]["accepted_per_s"], list[int]()
        seen, found = phase(process, watched(process, open_loop(url, photos, 60 * given.minutes, rate), memory))
        report["overload"] = {"minutes": given.minutes, "asked_per_s": round(rate, 1), **found}
        capacity("capacity_after")
        report["overload"]["memory_mib"] = [round(one / 2**20) for one in (memory[0], max(memory), memory[-1])]
        report["overload"]["memory_ratio"] = round(max(memory) / memory[0], 3)
        _, report["storm"] = phase(process, closed_loop(url, photos, given.seconds, given.max_requests + given.storm))
        capacity("capacity_last")
    for name, around in (("overload", ("before", "after")), ("storm", ("after", "last"))):
        beside = [report[f"capacity_{one}"] for one in around]
        per_s, cpu = (sum(one[key] for one in beside) / 2 for key in ("accepted_per_s", "server_cpu_ms_per_accepted"))
        report[name]["share_of_capacity"] = round(report[name]["accepted_per_s"] / per_s, 3)
        report[name]["share_by_cpu_time"] = round(cpu / report[name]["server_cpu_ms_per_accepted"], 3)
    report["only_200_429_503"] = set(seen.statuses) <= {200, 429, 503} and not seen.failed and not seen.wrong
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
