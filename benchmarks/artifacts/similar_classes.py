"""Extra outputs of every format: how near they are to Keras, and how often the most similar image is of the same class.

    python -m benchmarks.artifacts.similar_classes [MODEL] [--data SOURCE] [--format FORMAT] [--precision PRECISION]
        [--outputs NAME,NAME] [--json]

Exports MODEL (a run, a model's file or a trained model of the package; default: edgenet-s) to every format and
precision with `--outputs embedding,cam`, and prints for each artifact what its gate measured on up to 1,000 test
images. Then each of the first 500 test images is compared, as `edgefm similar` does, with the other 499 and with the
training images; the last columns are the shares whose most similar image is of the same class, and that share for all
test images among each other.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

QUERIES = 500


def same_class_first(
    queries: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    others: npt.NDArray[np.float32],
    other_labels: npt.NDArray[np.int64],
    *,
    same: bool,
) -> float:
    """The share of queries whose most similar embedding is of their class.

    Args:
        queries: embeddings `[N,D]`.
        labels: `[N]`.
        others: embeddings `[M,D]` to search in.
        other_labels: `[M]`.
        same: whether the others are the queries themselves: none is compared with itself.
    """
    one, other = (e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-12) for e in (queries, others))
    likeness = one @ other.T
    if same:
        np.fill_diagonal(likeness, -np.inf)
    return float((other_labels[likeness.argmax(axis=1)] == labels).mean())


def embeddings(artifact: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Embeddings float32 `[N,D]` of canvases uint8 `[N,H,W,C]`, by the artifact on its own engine."""
    from edge_fm.api.common.engines import ALL_ENGINES
    from edge_fm_runtime import create_engine, load_artifact

    engine = create_engine(load_artifact(artifact), registry=ALL_ENGINES)
    try:
        return engine.predict_outputs(images, batch=64)["embedding"]
    finally:
        engine.close()


def measure(
    model: str, source: str, formats: list[str], precisions: list[str], outputs: list[str]
) -> list[dict[str, Any]]:
    """One row for each artifact."""
    import edge_fm
    from edge_fm.data import load_dataset

    data = load_dataset(source)
    # The first ones: evenly spaced ones of a set whose classes take turns would be half of the classes.
    images, labels = np.asarray(data.test.images[:QUERIES]), data.test.labels[:QUERIES]
    every, every_label = np.asarray(data.test.images), data.test.labels
    training, training_labels = np.asarray(data.train.images), data.train.labels
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        options = edge_fm.ExportOptions(outputs=outputs, data=source)
        report = edge_fm.export(model, formats, precisions, out=folder, options=options)
        for result in report.results:
            measured = (result.metadata.parity or {})["extra_outputs"]
            found = embeddings(result.path, images)
            searched, of_all = embeddings(result.path, training), embeddings(result.path, every)
            rows.append(
                {
                    "artifact": result.path.name,
                    "outputs": measured,
                    "among_test": same_class_first(found, labels, found, labels, same=True),
                    "among_training": same_class_first(found, labels, searched, training_labels, same=False),
                    "all_test": same_class_first(of_all, every_label, of_all, every_label, same=True),
                    "queries": len(images),
                }
            )
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="edgenet-s")
    parser.add_argument("--data", default="fashion-mnist-mini", metavar="SOURCE")
    parser.add_argument("--format", action="append", dest="formats")
    parser.add_argument("--precision", action="append", dest="precisions")
    parser.add_argument("--outputs", default="embedding,cam", metavar="NAME,NAME")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    rows = measure(
        given.model, given.data, given.formats or ["all"], given.precisions or ["all"], given.outputs.split(",")
    )
    if given.json:
        print(json.dumps(rows, indent=2))
        return 0
    first = f"{'same class first: test':>23} {'training':>9} {'all test':>9}"
    compared = "".join(f" {name + ':':>10} {'max diff':>9} {'mean cosine':>12}" for name in rows[0]["outputs"])
    print(f"{'artifact':28}{compared} {first}")
    for row in rows:
        print(
            f"{row['artifact']:28}"
            + "".join(
                f" {'':10} {one['max_abs_diff']:9.2g} {one['mean_cosine']:12.6f}" for one in row["outputs"].values()
            )
            + " "
            f"{100 * row['among_test']:22.1f}% {100 * row['among_training']:8.1f}% "
            f"{100 * row['all_test']:8.1f}%"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
