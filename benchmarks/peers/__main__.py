"""The peers table: ours over theirs, same model, same threads, same batch, in one run.

    python -m benchmarks.peers RUN [--batch 1] [--rounds 10] [--seconds 0.25] [--out FILE.json]

RUN is a training run with its exports in all formats; see `benchmarks/model.py`. Prints the table as Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers import LEFT_OUT
from benchmarks.peers.compare import compare
from benchmarks.peers.report import markdown, to_json
from edge_fm.evaluation.benchmark.benchmark import environment
from edge_fm_runtime.system.machine import usable_cpus

PATTERNS = ("*-onnx-fp32", "*-onnx-int8", "*-openvino-fp32", "*-openvino-int8", "*-litert-fp32", "*-litert-int8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--batch",
        type=int,
        action="append",
        help="may be repeated; Keras and commands run at the first alone; default: 1 and 32",
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.25, help="of one block")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="artifacts whose name has it")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = [f for pattern in PATTERNS for f in sorted((given.run / "export").glob(pattern))]
    found = [f for f in found if not given.only or any(text in f.name for text in given.only)]
    if not found:
        sys.exit(f"{given.run} has no exports to compare: make some with python -m benchmarks.model")
    rows = []
    batches = given.batch or [1, 32]
    for batch in batches:
        for artifact in found:
            rows += compare(
                given.run,
                artifact,
                batch=batch,
                threads=usable_cpus(),
                rounds=given.rounds,
                seconds=given.seconds,
                originals=artifact.name.endswith("fp32") and batch == batches[0],
                tools=batch == batches[0],
                on_round=lambda text: print(text, file=sys.stderr, flush=True),
            )
    report = {"environment": environment(), "rows": [to_json(row) for row in rows], "left_out": LEFT_OUT}
    report["date"] = datetime.now(UTC).date().isoformat()
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(report, indent=2) + "\n")
    print(markdown(report))


if __name__ == "__main__":
    main()
