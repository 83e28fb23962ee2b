"""What a required signature adds to the cold start of `edgefm infer photo.jpg`: whole processes, in pairs.

    python benchmarks/startup/signature_start.py [--artifact NAME|FOLDER] [--photo FILE] [--pairs 41] [--json]

A copy of the artifact is signed with a new key. Each pair is one run without and one with `--require-signature`; which
comes first changes from pair to pair. Prints the medians and the median of the
differences, in milliseconds of wall and of CPU time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.startup.cold_start import MAKE_PHOTO


def run_once(command: list[str]) -> tuple[float, float]:
    """Run a command; returns wall and CPU milliseconds, the latter from the kernel's accounting of the process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
    return 1000 * wall, 1000 * (usage.ru_utime + usage.ru_stime)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", default="efficientnet-lite0-onnx-int8", help="default: the one in the package")
    parser.add_argument("--photo", type=Path, help="default: a 600 px JPEG made from a dataset image")
    parser.add_argument("--pairs", type=int, default=41, help="after one that is not counted")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    import edge_fm

    with tempfile.TemporaryDirectory() as scratch:
        folder, key, public = (Path(scratch) / name for name in ("artifact", "signing.key", "signing.pub"))
        shutil.copytree(edge_fm.Classifier.load(arguments.artifact).artifact.path, folder)
        make = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key)]
        subprocess.run(make, check=True)
        subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public)], check=True)
        edge_fm.sign(folder, key)
        photo = arguments.photo or Path(scratch) / "photo.jpg"
        if arguments.photo is None:
            subprocess.run([sys.executable, "-c", MAKE_PHOTO, str(photo)], check=True)
        plain = [str(Path(sys.executable).with_name("edgefm")), "infer", str(photo), "--model", str(folder)]
        required = [*plain, "--require-signature", str(public)]
        rows = []
        for turn in range(arguments.pairs + 1):
            if turn % 2:
                without, with_signature = run_once(plain), run_once(required)
            else:
                with_signature, without = run_once(required), run_once(plain)
            if turn:
                rows.append((*without, *with_signature))
    names = ("plain_wall_ms", "plain_cpu_ms", "signed_wall_ms", "signed_cpu_ms")
    result: dict[str, object] = {"artifact": arguments.artifact, "pairs": arguments.pairs}
    result |= {name: statistics.median(row[i] for row in rows) for i, name in enumerate(names)}
    result["added_wall_ms"] = statistics.median(row[2] - row[0] for row in rows)
    result["added_cpu_ms"] = statistics.median(row[3] - row[1] for row in rows)
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'':16} {'wall ms':>9} {'CPU ms':>9}   ({arguments.pairs} pairs, {arguments.artifact})")
    for title, kind in (("without", "plain"), ("with signature", "signed"), ("added", "added")):
        print(f"{title:16} {result[f'{kind}_wall_ms']:9.1f} {result[f'{kind}_cpu_ms']:9.1f}")


if __name__ == "__main__":
    main()
