"""What a server costs: requests/s of one photo each beside `classify_many`, and latency at 70% of that.

    python benchmarks/serving/serving_load.py PHOTOS [ARTIFACT] [--seconds S]

PHOTOS is a folder. Needs `hey` (in Debian). The server is a process of its own; `hey` and `classify_many` get
the same photo bytes. `classify_many` gets them in memory, in threads. Too many requests: serving_overload.py.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge_fm import Classifier
from edge_fm_runtime.photos.suffixes import SUFFIXES


@contextmanager
def served(artifact: str, *options: str) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "edge_fm", "serve", f"model={artifact}", "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n") or text.count("{") != text.count("}"):
            line = process.stdout.readline()
            if not line:
                raise SystemExit("The server ended.")
            text += line
        try:
            yield json.loads(text)["url"], process.pid
        finally:
            process.terminate()


def load(url: str, photo: Path, seconds: float, workers: int, rate: float | None = None) -> dict[str, Any]:
    """Ask for `seconds` and read what `hey` prints.

    Args:
        url: of the server.
        photo: the body of every request.
        seconds: how long.
        workers: connections at once.
        rate: requests/s of all workers; None for as many as it takes.
    """
    limit = [] if rate is None else ["-q", f"{rate / workers:.3f}"]
    command = ["hey", "-z", f"{seconds:g}s", "-c", str(workers), *limit, "-t", "60", "-m", "POST", "-T", "image/jpeg"]
    done = subprocess.run(
        [*command, "-D", str(photo), f"{url}/v2/models/model/classify"], capture_output=True, text=True, check=True
    )
    statuses = {int(code): int(count) for code, count in re.findall(r"\[(\d{3})\]\t(\d+) responses", done.stdout)}
    found = re.search(r"99% in ([\d.]+) secs", done.stdout.replace("%%", "%"))
    took = re.search(r"Total:\t([\d.]+) secs", done.stdout)
    assert took is not None, done.stdout
    errors = done.stdout.partition("Error distribution:")[2]
    return {
        "statuses": statuses,
        "per_s": statuses.get(200, 0) / float(took[1]),
        "p99_ms": 1e3 * float(found[1]) if found else float("nan"),
        "errors": errors.strip(),
    }


def classify_many_per_s(artifact: str, photo: bytes, seconds: float) -> float:
    with Classifier.load(artifact, one_shot=True) as classifier:
        until = time.perf_counter() + seconds
        start = time.perf_counter()

        def photos() -> Iterator[bytes]:
            while time.perf_counter() < until:
                yield photo

        done = sum(1 for _ in classifier.classify_many(photos()))
        return done / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("artifact", nargs="?", default="edgenet-s-onnx-int8")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    files = sorted(p for p in given.photos.rglob("*") if p.suffix.lower() in SUFFIXES)
    photo = files[len(files) // 2]
    content = photo.read_bytes()
    ratios = []
    with served(given.artifact) as (url, _):
        load(url, photo, 2, 8)
        for _ in range(given.rounds):
            many = classify_many_per_s(given.artifact, content, given.seconds)
            most = load(url, photo, given.seconds, 8)
            ratios.append(most["per_s"] / many)
            print(f"classify_many {many:.0f} photos/s, server {most['per_s']:.0f} requests/s: {ratios[-1]:.2f}")
        print(f"median ratio {sorted(ratios)[len(ratios) // 2]:.2f} ({photo.name}, {given.artifact})")
        part = load(url, photo, given.seconds, 8, 0.7 * most["per_s"])
        print(f"at 70%: {part['per_s']:.0f} requests/s, p99 {part['p99_ms']:.1f} ms, {part['statuses']}")


def resident(process: int) -> int:
    """Bytes of memory that a process holds (Linux)."""
    text = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(text.partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    main()
