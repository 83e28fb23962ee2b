"""Dataset images saved as PNG: are the labels of `edgefm infer` those of `Classifier.predict_pixels`?

    python benchmarks/png_round_trip.py --artifact FOLDER [--data fashion-mnist] [--limit N]

Every image of the test split is written as a file and answered as a photo; exits with 1 where a label differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from edge_fm.data import load_dataset
from edge_fm_runtime import Classifier


def infer(artifact: Path, folder: Path) -> list[dict[str, object]]:
    """What `edgefm infer FOLDER --json` prints, one object for each file, in the order of their names."""
    edgefm = Path(sys.executable).with_name("edgefm")
    command = [str(edgefm), "infer", str(folder), "--model", str(artifact), "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    images = load_dataset(given.data).test.images[: given.limit]
    with Classifier.load(given.artifact) as classifier:
        batches = np.array_split(images, max(1, len(images) // 500))
        labels = np.concatenate([classifier.predict_pixels(batch).argmax(axis=1) for batch in batches])
    with tempfile.TemporaryDirectory() as scratch:
        for number, pixels in enumerate(images):
            Image.fromarray(np.squeeze(pixels)).save(Path(scratch) / f"{number:06}.png")
        answers = infer(given.artifact, Path(scratch))
    wrong = [a["input"] for a, label in zip(answers, labels, strict=True) if a["index"] != label]
    print(f"{len(images) - len(wrong)} of {len(images)} labels alike")
    if wrong:
        print("\n".join(map(str, wrong[:20])), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
