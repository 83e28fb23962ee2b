"""What tf2onnx costs as we call it, and as it comes: seconds and MiB on top of the model, each in its own process.

    python benchmarks/artifacts/conversion.py [MODEL...] [--rounds 2] [--json]

MODEL is a name that `edgefm models` lists, with fresh weights. Both ways take turns and must give the same operators.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

WAYS = ("ours", "plain")


def convert(name: str, way: str) -> dict[str, Any]:
    """Convert one model in this process."""
    import keras

    from edge_fm.models import MODELS, build_model
    from edge_fm_export.context import BuildContext
    from edge_fm_export.onnx import onnx_format
    from edge_fm_export.savedmodel.savedmodel_format import read_graph, saved_model
    from edge_fm_export.sources import load_source

    if way == "plain":
        setattr(onnx_format, "without_graph_copies", nullcontext)  # noqa: B010 - a name that the module imports
    keras.utils.set_random_seed(0)
    entry = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        build_model(name, input_shape=entry.input_shape, classes=entry.classes).save(file)
        source = load_source(file)
        graph = read_graph(saved_model(BuildContext(source, Path(folder))))
    before = peak_mib()
    started = time.perf_counter()
    model = onnx_format._convert(graph, source.output_names)
    return {
        "seconds": time.perf_counter() - started,
        "mib": peak_mib() - before,
        "operators": dict(Counter(node.op_type for node in model.graph.node)),
    }


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(name: str, way: str) -> dict[str, Any]:
    """Convert in a process of its own."""
    command = [sys.executable, __file__, name, "--way", way]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=["edgenet-s", "resnet50", "vgg19"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(convert(given.models[0], given.way)))
        return
    rows = []
    for name in given.models:
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for _ in range(given.rounds):
            for way in WAYS:
                runs[way].append(run(name, way))
        if any(one["operators"] != runs["ours"][0]["operators"] for many in runs.values() for one in many):
            raise SystemExit(f"{name}: both ways do not give the same operators.")
        row: dict[str, Any] = {"model": name}
        for figure in ("seconds", "mib"):
            values = {way: statistics.median(one[figure] for one in runs[way]) for way in WAYS}
            row[figure] = values | {"ratio": values["ours"] / values["plain"] if values["plain"] else None}
        rows.append(row)
        if not given.json:
            print(
                f"{name}: "
                + ", ".join(
                    f"{row[f]['ours']:.1f} {unit} beside {row[f]['plain']:.1f} {unit} ({row[f]['ratio']:.2f})"
                    for f, unit in (("seconds", "s"), ("mib", "MiB"))
                ),
                flush=True,
            )
    if given.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
