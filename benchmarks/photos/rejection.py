"""What a threshold for scores does with photos of a labelled folder, and with photos of other things beside them.

    python -m benchmarks.photos.rejection FOLDER --artifact FOLDER [--other NAME ...] [--files FILE] [--json]

FOLDER holds a folder for each label, and folders of other things whose names start with "_other" (or as --other names
them). For `--min-score auto` and a table of thresholds it prints the share of photos that get a label, how many of
these labels are right, and how many photos of other things get one. Then, how well other scores would do, as far as
probabilities alone have them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.photos.photo_accuracy import plain, wilson
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.photos.suffixes import is_photo_name

Floats = npt.NDArray[np.float64]

THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def find_photos(
    root: Path, labels: Sequence[str], *, others: Sequence[str] = (), only: frozenset[str] | None = None
) -> tuple[list[tuple[Path, int]], list[tuple[Path, str]]]:
    """The photos of the labels, with their numbers, and those of other things, with their folders' names.

    Args:
        root: the folder.
        labels: the model's.
        others: names of folders of other things; empty for all that start with "_other".
        only: paths relative to `root`; None takes all photos.
    """
    numbers = {plain(label): number for number, label in enumerate(labels)}
    labelled: list[tuple[Path, int]] = []
    unknown: list[tuple[Path, str]] = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        files = [
            file
            for file in sorted(folder.iterdir())
            if is_photo_name(file.name) and (only is None or file.relative_to(root).as_posix() in only)
        ]
        if folder.name in others or (not others and folder.name.startswith("_other")):
            unknown += [(file, folder.name) for file in files]
        elif plain(folder.name) in numbers and not folder.name.startswith("_"):
            labelled += [(file, numbers[plain(folder.name)]) for file in files]
    missing = sorted(set(others) - {name for _, name in unknown})
    if missing or not labelled:
        raise SystemExit(f"{root} has no photos of {', '.join(missing) or 'the labels ' + ', '.join(labels)}.")
    return labelled, unknown


def at_threshold(threshold: float, scores: Floats, right: npt.NDArray[np.bool_], others: Floats) -> dict[str, Any]:
    """Coverage, accuracy and accepted other things; the latter two with their 95% intervals (Wilson)."""
    given = scores >= threshold
    labelled, hits, passed = int(given.sum()), int(right[given].sum()), int((others >= threshold).sum())
    return {
        "threshold": threshold,
        "coverage": labelled / len(scores),
        "accuracy": hits / labelled if labelled else None,
        "accuracy_ci95": wilson(hits, labelled) if labelled else None,
        "others_accepted": passed / len(others) if len(others) else None,
        "others_ci95": wilson(passed, len(others)) if len(others) else None,
    }


SCORES: dict[str, Callable[[Floats], Floats]] = {
    "highest probability": lambda p: p.max(axis=1),
    "margin of the two best": lambda p: np.diff(np.sort(p, axis=1)[:, -2:], axis=1)[:, 0],
    "negative entropy": lambda p: (p * np.log(np.maximum(p, 1e-30))).sum(axis=1),
}


def separation(one: Floats, other: Floats) -> float | None:
    """The chance that a score of `one` is above one of `other` (area under the ROC curve); None where one is empty."""
    if not len(one) or not len(other):
        return None
    both = np.concatenate([one, other])
    _, places, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # equal scores share their mean rank
    return float((ranks[: len(one)].sum() - len(one) * (len(one) + 1) / 2) / (len(one) * len(other)))


def coverage_at(accuracy: float, scores: Floats, right: npt.NDArray[np.bool_]) -> float:
    """The largest share of photos, the surest first, of which so many are right."""
    order = np.argsort(-scores, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    reached = np.flatnonzero(share >= accuracy)
    return float(reached.max() + 1) / len(order) if len(reached) else 0.0


def report(
    probabilities: Floats, labels: npt.NDArray[np.int64], others: Floats, groups: Sequence[str], auto: float | None
) -> dict[str, Any]:
    """All figures, as JSON values.

    Args:
        probabilities: `[N,classes]` of the labelled photos.
        labels: `[N]`.
        others: `[M,classes]` of the photos of other things.
        groups: the folder of each of these.
        auto: the threshold that the artifact records; None where it records none.
    """
    right = probabilities.argmax(axis=1) == labels
    scores, other_scores = probabilities.max(axis=1), others.max(axis=1)
    names = np.array(groups)
    return {
        "n": len(labels),
        "others": len(others),
        "auto": None if auto is None else at_threshold(auto, scores, right, other_scores),
        "others_by_folder": {}
        if auto is None
        else {name: float((other_scores[names == name] >= auto).mean()) for name in sorted(set(groups))},
        "table": [at_threshold(threshold, scores, right, other_scores) for threshold in THRESHOLDS],
        "scores": {
            name: {
                "right_above_wrong": separation(score(probabilities)[right], score(probabilities)[~right]),
                "classes_above_others": separation(score(probabilities), score(others)),
                "coverage_at_92": coverage_at(0.92, score(probabilities), right),
            }
            for name, score in SCORES.items()
        },
    }


def predict(artifact: Path, files: Sequence[Path]) -> tuple[Artifact, Floats]:
    """The artifact, and its probabilities `[N,classes]` for photos."""
    from edge_fm_runtime.classifier import Classifier

    with Classifier.load(artifact) as classifier:
        classes = len(classifier.artifact.metadata.labels)
        rows = np.zeros((len(files), classes))
        for row, one in zip(rows, classifier.classify_many(files, top_k=classes), strict=True):
            for prediction in one.top if hasattr(one, "top") else unreadable(one):
                row[prediction.index] = prediction.score
        return classifier.artifact, rows


def unreadable(failure: Any) -> Any:
    raise SystemExit(f"{failure.input}: {failure.error}")


def row_text(name: str, row: dict[str, Any]) -> str:
    right = "-" if row["accuracy"] is None else f"{100 * row['accuracy']:.1f}%"
    passed = "-" if row["others_accepted"] is None else f"{100 * row['others_accepted']:.1f}%"
    return f"{name:>12} {100 * row['coverage']:>9.1f}% {right:>9} {passed:>15}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="labelled photos, and other things")
    parser.add_argument("--artifact", type=Path, required=True, help="what `edgefm export` wrote")
    parser.add_argument("--other", action="append", default=[], help="a folder of other things; may be repeated")
    parser.add_argument("--files", type=Path, help="take only these photos: paths in FOLDER, one a line")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    from edge_fm_runtime.artifacts.artifact import load_artifact

    labels = load_artifact(options.artifact).metadata.labels
    only = None if options.files is None else frozenset(options.files.read_text().splitlines())
    labelled, unknown = find_photos(options.folder, labels, others=options.other, only=only)
    artifact, rows = predict(options.artifact, [file for file, _ in (*labelled, *unknown)])
    auto = ((artifact.metadata.scores or {}).get("rejection") or {}).get("threshold")
    truth = np.array([number for _, number in labelled])
    result = report(rows[: len(truth)], truth, rows[len(truth) :], [name for _, name in unknown], auto)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['n']:,} photos of the classes, {result['others']:,} of other things")
    print(f"{'threshold':>12} {'labelled':>10} {'of these':>9} {'other things':>15}")
    print(f"{'':>12} {'':>10} {'right':>9} {'labelled':>15}")
    if result["auto"] is not None:
        print(row_text(f"auto {auto:g}", result["auto"]))
    for row in result["table"]:
        print(row_text(f"{row['threshold']:g}", row))
    for name, share in result["others_by_folder"].items():
        print(f"  at auto, {name}: {100 * share:.1f}% get a label")
    for name, figures in result["scores"].items():
        above = [figures["right_above_wrong"], figures["classes_above_others"]]
        shown = ["-" if value is None else f"{value:.3f}" for value in above]
        print(
            f"{name}: right above wrong {shown[0]}, classes above others {shown[1]}, "
            f"92% right at a coverage of {100 * figures['coverage_at_92']:.1f}%"
        )


if __name__ == "__main__":
    main()
