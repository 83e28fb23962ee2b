"""What artifacts lose beside their fp32 original on photos of a labelled folder: accuracy, drop and its interval.

    python -m benchmarks.artifacts.int8_drop FOLDER --against FP32 ARTIFACT [ARTIFACT ...] [--files FILE] [--json]

FOLDER holds a folder for each label; folders whose names start with "_" are passed over. FP32 is the artifact that the
others are compared with, such as the one of `edgefm export RUN --format all --precision all` that ends in -onnx-fp32.
Every artifact classifies every photo as a device does, from its file. The interval of the drop is paired (Agresti and
Min 2005), and so is the test of the verdict: a drop is within the limit where its estimate is.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.photos.rejection import find_photos, predict
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.parity.comparison import compare_probabilities

LIMIT_POINTS = 0.5
Floats = npt.NDArray[np.float64]


def row(name: str, reference: Floats, found: Floats, truth: npt.NDArray[np.int64], labels: list[str]) -> dict[str, Any]:
    """The figures of one artifact, as JSON values.

    Args:
        name: of the artifact.
        reference: float `[N,classes]`, of the fp32 artifact.
        found: likewise, of this one.
        truth: `[N]` labels of the photos.
        labels: names of the classes.
    """
    parity = compare_probabilities(reference, found, labels=truth, label_names=labels)
    right = found.argmax(axis=1) == truth
    assert parity.drop_points is not None
    return {
        "artifact": name,
        "n": parity.n,
        "accuracy_fp32": parity.accuracy_reference,
        "accuracy": parity.accuracy,
        "balanced_accuracy": float(np.mean([right[truth == label].mean() for label in np.unique(truth)])),
        "drop_points": parity.drop_points,
        "drop_ci95": parity.drop_ci95,
        "agreement": parity.top1_agreement,
        "within_limit": parity.drop_points <= LIMIT_POINTS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="labelled photos")
    parser.add_argument("artifacts", type=Path, nargs="+", help="what `edgefm export` wrote")
    parser.add_argument("--against", type=Path, required=True, help="the fp32 artifact of the same model")
    parser.add_argument("--files", type=Path, help="take only these photos: paths in FOLDER, one a line")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    metadata = load_artifact(options.against).metadata
    if metadata.precision != "fp32":
        raise SystemExit(f"{options.against} is {metadata.precision}: --against takes an fp32 artifact.")
    labels = list(metadata.labels)
    only = None if options.files is None else frozenset(options.files.read_text().splitlines())
    labelled, _ = find_photos(options.folder, labels, only=only)
    files, truth = [file for file, _ in labelled], np.array([number for _, number in labelled])
    _, reference = predict(options.against, files)
    rows = []
    for path in options.artifacts:
        artifact, found = predict(path, files)
        if list(artifact.metadata.labels) != labels:
            raise SystemExit(f"{path} has other labels than {options.against}.")
        rows.append(row(artifact.metadata.name, reference, found, truth, labels))
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{len(truth):,} photos; {metadata.name} is right on {rows[0]['accuracy_fp32']:.1%}")
    width = max(len(one["artifact"]) for one in rows)
    print(f"{'':{width}} {'right':>7} {'balanced':>9} {'agrees':>7} {'drop':>6}  95% interval")
    for one in rows:
        low, high = one["drop_ci95"]
        verdict = "" if one["within_limit"] else f"  above {LIMIT_POINTS:g}"
        print(
            f"{one['artifact']:{width}} {one['accuracy']:>7.1%} {one['balanced_accuracy']:>9.1%} "
            f"{one['agreement']:>7.1%} {one['drop_points']:>6.2f}  {low:.2f} to {high:.2f}{verdict}"
        )


if __name__ == "__main__":
    main()
