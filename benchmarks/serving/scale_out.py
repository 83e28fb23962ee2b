"""Photos over several processes: exactly once though workers are killed, throughput beside one process, memory.

    python -m benchmarks.serving.scale_out --photos 10000 --pairs 5 --many 100000
    python -m benchmarks.serving.scale_out --skip kill speed --many 100000

Photos are JPEGs of Fashion-MNIST images; those whose number alone matters, for the driver's memory, are small ones.
Prints one JSON object: ratios of one run on one machine. Speeds are those of pairs, one process and Ray in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from edge_fm_runtime.system.scratch import scratch_folder

EDGEFM = [sys.executable, "-m", "edge_fm"]
_PEAK = """
import json, resource, sys
import edge_fm
result = edge_fm.classify_to_files(sys.argv[1], sys.argv[2], sys.argv[3], on=sys.argv[5], workers=int(sys.argv[4]))
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
print(json.dumps({"photos": result.classified, "peak_rss_mib": int(peak.split()[1]) / 1024}))
"""


def make_photos(folder: Path, count: int, *, side: int) -> None:
    """JPEGs of a dataset's images, enlarged; after the first 2,000 they are links to earlier ones."""
    from PIL import Image

    from edge_fm.data import load_dataset

    images = load_dataset("fashion-mnist-mini").train.images
    folder.mkdir()
    for number in range(count):
        file = folder / f"{number:06d}.jpg"
        if number < 2000:
            Image.fromarray(images[number, ..., 0]).resize((side, side)).convert("RGB").save(file, quality=90)
        else:
            os.link(folder / f"{number % 2000:06d}.jpg", file)


def plain(photos: Path, model: str) -> tuple[dict[str, dict[str, Any]], float]:
    """What one process predicts, and the images/s that it prints."""
    command = [*EDGEFM, "infer", str(photos), "--model", model, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {row["input"]: row for row in map(json.loads, done.stdout.splitlines())}
    found = re.search(r"([\d,.]+) images/s", done.stderr)
    assert found is not None, done.stderr
    return rows, float(found[1].replace(",", ""))


def on_ray(photos: Path, out: Path, model: str, workers: int, on: str = "ray") -> dict[str, Any]:
    command = [*EDGEFM, "infer", str(photos), "--model", model, "--out", str(out), "--on", on, "--json"]
    done = subprocess.run([*command, "--workers", str(workers)], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def results_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(out.glob("*.jsonl")) for line in file.open()]


def worker_processes(parent: int) -> list[int]:
    """The processes that classify, among those that `parent` has started."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found = []
    for pid in parents:
        above, seen = pid, 0
        while above in parents and above != parent and seen < 50:
            above, seen = parents[above], seen + 1
        try:
            name = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if above == parent and name.startswith(b"ray::classify_block"):
            found.append(pid)
    return sorted(found)


def killed(photos: Path, out: Path, model: str, workers: int, kills: int) -> dict[str, Any]:
    """Run a job, and kill a worker after each quarter of its results."""
    command = [*EDGEFM, "infer", str(photos), "--model", model, "--out", str(out), "--on", "ray"]
    child = subprocess.Popen([*command, "--workers", str(workers), "--quiet"], stdout=subprocess.DEVNULL)
    dead: list[int] = []
    while child.poll() is None:
        blocks, done = len([*out.glob("inputs-*")]), len([*out.glob("results-*")])
        if len(dead) < kills and blocks and done > len(dead) * blocks / 4:
            for pid in [pid for pid in worker_processes(child.pid) if pid not in dead][:1]:
                os.kill(pid, signal.SIGKILL)
                dead.append(pid)
        time.sleep(0.05)
    return {"workers": workers, "killed": len(dead), "exit_code": child.returncode}


def same(expected: dict[str, dict[str, Any]], out: Path) -> dict[str, Any]:
    """How the results of a job differ from those of one process."""
    rows = results_of(out)
    counted = Counter(row["input"] for row in rows)
    differ = [r for r in rows if r["input"] in expected and r["label"] != expected[r["input"]]["label"]]
    scores = [abs(r["score"] - expected[r["input"]]["score"]) for r in rows if r["error"] is None]
    return {
        "rows": len(rows),
        "missing": len(expected.keys() - counted.keys()),
        "twice": sum(count > 1 for count in counted.values()),
        "other_label": len(differ),
        "largest_score_difference": max(scores, default=0.0),
    }


def peak(photos: Path, out: Path, model: str, workers: int, on: str) -> dict[str, Any]:
    command = [sys.executable, "-c", _PEAK, str(photos), str(out), model, str(workers), on]
    return dict(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000)
    parser.add_argument("--side", type=int, default=160, help="of the photos, in pixels")
    parser.add_argument("--pairs", type=int, default=3, help="of one process and Ray, in turns")
    parser.add_argument("--many", type=int, default=0, help="photos of the job whose memory is compared; 0 for none")
    parser.add_argument("--small-side", type=int, default=28, help="of the photos of that job, in pixels")
    parser.add_argument("--few", type=int, default=1_000, help="photos of the job that it is compared with")
    parser.add_argument("--model", default="efficientnet-lite0-onnx-int8")
    parser.add_argument(
        "--on", default="ray", help="address of a Ray that runs already, where speed and memory are had"
    )
    parser.add_argument("--skip", nargs="*", default=[], choices=["kill", "speed"])
    options = parser.parse_args()
    report: dict[str, Any] = {"cpus": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    with scratch_folder() as scratch:
        photos = scratch / "photos"
        if {"kill", "speed"} - {*options.skip}:
            make_photos(photos, options.photos, side=options.side)
        if "kill" not in options.skip:
            expected, _ = plain(photos, options.model)
            report["kill"] = killed(photos, scratch / "killed", options.model, workers=4, kills=2)
            report["kill"] |= same(expected, scratch / "killed")
        if "speed" not in options.skip:
            report["images_per_s"] = []
            for number in range(options.pairs):
                _, alone = plain(photos, options.model)
                spread = on_ray(photos, scratch / f"speed-{number}", options.model, report["cpus"], options.on)[
                    "images_per_s"
                ]
                pair = {"one_process": alone, "ray": spread, "ratio": round(spread / alone, 3)}
                report["images_per_s"].append(pair)
            report["median_ratio"] = statistics.median(pair["ratio"] for pair in report["images_per_s"])
        if options.many:
            for name, count in (("few", options.few), ("many", options.many)):
                make_photos(scratch / name, count, side=options.small_side)
                report[f"driver_{name}"] = peak(
                    scratch / name, scratch / f"{name}-out", "edgenet-s-onnx-int8", 2, options.on
                )
            ratio = report["driver_many"]["peak_rss_mib"] / report["driver_few"]["peak_rss_mib"]
            report["driver_memory_ratio"] = round(ratio, 3)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
