"""A multi-label model from training to the device: mAP, what int8 loses, and whether infer and evaluate agree.

    python -m benchmarks.artifacts.multi_label FOLDER [--data fashion-mnist|fashion-mnist-mini] [--train N] [--test N]
        [--epochs N] [--json]

Each image is a pair of Fashion-MNIST images side by side, 28x56; each of four labels applies where one of the two is of
its kind, so an image has none, one or two. Pairs of training, validation and test are drawn from garments of their own.
FOLDER gets the pictures and pairs.csv, the run and its artifacts in every format and precision. It prints the mAP of
the run and of each artifact on the test pairs, the drop with the interval that the gate recorded, and what `edgefm
evaluate` and `edgefm infer`, on the files, each find: the share of the pairs that get exactly their labels, and the
largest difference of the F1 of a label.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KINDS: Mapping[str, tuple[str, ...]] = {
    "bag": ("Bag",),
    "dress": ("Dress",),
    "shoe": ("Sandal", "Sneaker", "Ankle boot"),
    "trousers": ("Trouser",),
}
"""Label -> the classes of Fashion-MNIST that it applies to."""
MANIFEST = "pairs.csv"


def make_pairs(folder: Path, source: str, *, train: int, validation: int, test: int) -> Path:
    """Write pairs of images, and a manifest that names the labels of each in one column and in columns of 0 and 1.

    Args:
        folder: gets images/ and the manifest.
        source: "fashion-mnist" or "fashion-mnist-mini".
        train: number of pairs; garments of the first five sixths of the training images.
        validation: number of pairs; garments of the last sixth.
        test: number of pairs; garments of the test images.

    Returns:
        the manifest.
    """
    from edge_fm.data import load_dataset

    dataset = load_dataset(source)
    kinds = {name: kind for kind, names in KINDS.items() for name in names}
    own = [kinds.get(name) for name in dataset.label_names]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    cut = len(dataset.train) * 5 // 6
    pools = {
        "train": (dataset.train, 0, cut, train),
        "val": (dataset.train, cut, len(dataset.train), validation),
        "test": (dataset.test, 0, len(dataset.test), test),
    }
    rng = np.random.default_rng(0)
    with (folder / MANIFEST).open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["file", "labels", "split", *KINDS])
        for part, (split, first, last, count) in pools.items():
            for number, both in enumerate(rng.integers(first, last, (count, 2)).tolist()):
                name = f"images/{part}-{number:05d}.png"
                Image.fromarray(np.concatenate([split.images[i, ..., 0] for i in both], axis=1)).save(folder / name)
                labels = sorted({kind for i in both if (kind := own[int(split.labels[i])]) is not None})
                writer.writerow([name, "|".join(labels), part, *(int(kind in labels) for kind in KINDS)])
    return folder / MANIFEST


def infer_figures(artifact: Path, manifest: Path) -> tuple[float, dict[str, float]]:
    """Share of the test files that `edgefm infer` gives exactly their labels, and the F1 of each label."""
    import edge_fm

    with manifest.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    files = [manifest.parent / row["file"] for row in rows]
    truth = [set(filter(None, row["labels"].split("|"))) for row in rows]
    given = [{p.label for p in one.labels} for one in edge_fm.classify(files, artifact)]  # type: ignore[union-attr]
    f1 = {}
    for kind in KINDS:
        hits = sum(kind in a and kind in b for a, b in zip(given, truth, strict=True))
        f1[kind] = 2 * hits / max(1, sum(kind in one for one in (*given, *truth)))
    return sum(a == b for a, b in zip(given, truth, strict=True)) / len(truth), f1


def artifact_row(artifact: Path, manifest: Path) -> dict[str, Any]:
    """The figures of one artifact, as JSON values."""
    import edge_fm
    from edge_fm_runtime.artifacts.artifact import load_artifact

    found = edge_fm.evaluate(artifact, data=str(manifest), label_column="labels").to_json()
    metadata = load_artifact(artifact).metadata
    parity = metadata.parity or {}
    # No device engine runs a SavedModel.
    exact, f1 = (None, {}) if metadata.format == "savedmodel" else infer_figures(artifact, manifest)
    return {
        "artifact": artifact.name,
        "map": found["map"],
        "macro_f1": found["macro_f1"],
        "drop_points": parity["drop_points"],
        "drop_ci95": parity["drop_ci95"],
        "label_agreement": parity["label_agreement"],
        "exact_match_evaluate": found["exact_match"],
        "exact_match_infer": exact,
        "max_f1_difference": max((abs(f1[kind] - found["per_label"][kind]["f1"]) for kind in f1), default=None),
    }


def run(folder: Path, *, source: str, train: int, test: int, epochs: int) -> dict[str, Any]:
    """Make the set, train, export all, and measure."""
    import edge_fm
    from edge_fm.api.train import TrainOptions

    manifest = make_pairs(folder, source, train=train, validation=test // 2, test=test)
    settings = {"data.multi_label": True, "training.select_by": "map", "photo.mode": "stretch"}
    options = TrainOptions(label_column="labels", epochs=epochs, settings=settings)
    trained = edge_fm.train("edgenet-s", str(manifest), folder / "run", options=options)
    report = edge_fm.export(folder / "run", "all", "all", strict=False)
    return {
        "data": {"source": source, "train": train, "validation": test // 2, "test": test},
        "epochs": epochs,
        "test_map": trained.metrics["test_map"],
        "test_macro_f1": trained.metrics["test_macro_f1"],
        "seconds": trained.metrics["seconds"],
        "artifacts": [artifact_row(result.path, manifest) for result in report.results],
        "failed": [failure.name for failure in report.failures],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--train", type=int, default=12_000)
    parser.add_argument("--test", type=int, default=4_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = run(given.folder, source=given.data, train=given.train, test=given.test, epochs=given.epochs)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['data']['test']:,} test pairs: mAP {100 * found['test_map']:.2f}%", end="")
    print(f", macro F1 {100 * found['test_macro_f1']:.2f}%, trained in {found['seconds']:.0f} s")
    for row in found["artifacts"]:
        ends = "{:+.2f}..{:+.2f}".format(*row["drop_ci95"])
        print(
            f"{row['artifact']:28} mAP {100 * row['map']:.2f}%  drop {row['drop_points']:+.2f} ({ends})"
            f"  all labels right: evaluate {100 * row['exact_match_evaluate']:.2f}%"
            + ("" if row["exact_match_infer"] is None else f", infer {100 * row['exact_match_infer']:.2f}%")
            + ("" if row["max_f1_difference"] is None else f"  F1 differs by {row['max_f1_difference']:.1e}")
        )
    for name in found["failed"]:
        print(f"{name:28} FAILED")


if __name__ == "__main__":
    main()
