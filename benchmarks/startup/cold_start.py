"""What `edgefm infer photo.jpg` costs beside a bare script that does the least: whole processes, in alternation.

    python benchmarks/startup/cold_start.py [--artifact FOLDER] [--photo FILE] [--runs 21] [--json]

The bare script imports numpy, PIL and onnxruntime, opens the image, creates the session and runs it once. Both get the
same number of threads. Prints the ratio of the medians of wall time and of peak memory (VmHWM, the process's own).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BARE = """
import sys
import numpy as np
from PIL import Image
import onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
shape = session.get_inputs()[0].shape
mode = "L" if shape[3] == 1 else "RGB"
image = Image.open(sys.argv[2]).convert(mode).resize((shape[2], shape[1]))
batch = np.asarray(image, dtype=np.uint8).reshape(1, *shape[1:])
print(session.run(None, {session.get_inputs()[0].name: batch})[0].argmax())
"""

MAKE_PHOTO = """
import sys
from edge_fm.data import load_dataset, sample_photo
sample_photo(load_dataset("fashion-mnist-mini").test.images[0], sys.argv[1])
"""


def run_once(command: list[str]) -> tuple[float, float]:
    """Run a command; returns wall seconds and peak resident MiB, from the kernel's accounting of the process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(command)} failed: {process.stderr.read().decode() if process.stderr else ''}")
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    process.returncode = 0
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--artifact",
        type=Path,
        help="ONNX artifact; default: the newest export under runs/, else the classifier in the package",
    )
    parser.add_argument("--photo", type=Path, help="default: a 600 px JPEG made from a dataset image")
    parser.add_argument("--runs", type=int, default=21, help="runs of each, after one that is not counted")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL
    from edge_fm_runtime.system.machine import usable_cpus

    folder = arguments.artifact
    if folder is None:
        found = sorted(Path("runs").glob("*/export/*-onnx-*/edgefm.json"), key=lambda p: p.stat().st_mtime)
        folder = found[-1].parent if found else Path(DEFAULT_MODEL)
        print(f"Artifact: {folder}", file=sys.stderr)
    artifact = load_artifact(folder)
    with tempfile.TemporaryDirectory() as scratch:
        photo = arguments.photo
        if photo is None:
            photo = Path(scratch) / "photo.jpg"
            # In a process of its own: a child's peak memory starts at its parent's, so this one must stay small.
            subprocess.run([sys.executable, "-c", MAKE_PHOTO, str(photo)], check=True)
        bare = Path(scratch) / "bare.py"
        bare.write_text(BARE)
        edgefm = Path(sys.executable).with_name("edgefm")
        commands = {
            "edgefm": [str(edgefm), "infer", str(photo), "--model", str(artifact.path)],
            "bare": [sys.executable, str(bare), str(artifact.payload), str(photo), str(usable_cpus())],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        memory: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(arguments.runs + 1):
            for name, command in commands.items():
                took, peak = run_once(command)
                if turn:
                    seconds[name].append(took)
                    memory[name].append(peak)
    medians = {n: (statistics.median(seconds[n]), statistics.median(memory[n])) for n in commands}
    result = {
        "artifact": str(folder),
        "runs": arguments.runs,
        "edgefm_s": medians["edgefm"][0],
        "bare_s": medians["bare"][0],
        "time_ratio": medians["edgefm"][0] / medians["bare"][0],
        "edgefm_mib": medians["edgefm"][1],
        "bare_mib": medians["bare"][1],
        "memory_ratio": medians["edgefm"][1] / medians["bare"][1],
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'':10} {'median s':>10} {'peak MiB':>10}")
    for name in commands:
        print(f"{name:10} {medians[name][0]:10.3f} {medians[name][1]:10.1f}")
    print(f"{'ratio':10} {result['time_ratio']:10.2f} {result['memory_ratio']:10.2f}   ({arguments.runs} runs each)")


if __name__ == "__main__":
    main()
