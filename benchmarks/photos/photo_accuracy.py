"""How many photos of a labelled folder are classified correctly, and what that costs.

    python benchmarks/photos/photo_accuracy.py FOLDER [--artifact NAME] [--min-score auto] [--json]
        [--wrong] [--sheet PNG]

FOLDER holds one folder for each label; folders whose names start with "_" are sets of their own, and are counted apart:
with label folders inside, photos of the same labels; with photos inside, other things, which have no label. A folder's
name is compared with the model's labels by letters and digits alone, so `T-shirt_top` is "T-shirt/top". With
--min-score, photos whose score is lower get no label: the share that gets one, how many of these are right, and the
share of other things that gets a label nevertheless.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from PIL import Image

from edge_fm_runtime.photos.suffixes import is_photo_name


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo, the set it is counted in, and its label as the folder's name gives it; None for other things."""

    path: Path
    group: str
    label: str | None


@dataclass(frozen=True)
class Classified:
    """What a model said about a photo."""

    photo: LabelledPhoto
    label: str
    seconds: float
    labelled: bool = True

    @property
    def right(self) -> bool:
        return self.photo.label is not None and plain(self.label) == plain(self.photo.label)


def plain(label: str) -> str:
    """Letters and digits alone, lower case: "T-shirt/top" and `T-shirt_top` are the same label."""
    return "".join(c for c in label.lower() if c.isalnum())


def list_photos(root: Path, labels: Iterable[str], *, group: str = "photos") -> list[LabelledPhoto]:
    """Every photo below `root` whose folder is named for one of `labels`; "_" folders are groups of their own."""
    known = {plain(label) for label in labels}
    found = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        if folder.name.startswith("_") and not any(p.is_dir() for p in folder.iterdir()):
            files = sorted(p for p in folder.iterdir() if is_photo_name(p.name))
            found += [LabelledPhoto(file, folder.name.strip("_"), None) for file in files]
        elif folder.name.startswith("_"):
            found += list_photos(folder, labels, group=folder.name.strip("_"))
        elif plain(folder.name) in known:
            files = sorted(p for p in folder.iterdir() if is_photo_name(p.name))
            found += [LabelledPhoto(file, group, folder.name) for file in files]
        else:
            raise SystemExit(f"{folder}: no label of the model is called that; labels are {', '.join(labels)}")
    return found


def measure(photos: Iterable[LabelledPhoto], classify: Callable[[Path], tuple[str, bool]]) -> list[Classified]:
    """Classified photos one after another; `classify` returns the best label, and whether its score is enough."""
    predictions = []
    for photo in photos:
        start = perf_counter()
        label, labelled = classify(photo.path)
        predictions.append(Classified(photo, label, perf_counter() - start, labelled))
    return predictions


def report(predictions: list[Classified]) -> dict[str, Any]:
    """Accuracy with its 95% interval (Wilson), in all and for each label, for each group; other things apart."""
    groups: dict[str, list[Classified]] = defaultdict(list)
    for prediction in predictions:
        groups[prediction.photo.group].append(prediction)
    return {
        name: _of_labels(group) if group[0].photo.label is not None else _of_other_things(group)
        for name, group in groups.items()
    }


def _of_labels(group: list[Classified]) -> dict[str, Any]:
    per_label = {
        label: statistics.fmean(a.right for a in group if a.photo.label == label)
        for label in sorted({str(a.photo.label) for a in group})
    }
    labelled = [a for a in group if a.labelled]
    return {
        "n": len(group),
        "right": sum(a.right for a in group),
        "accuracy": sum(a.right for a in group) / len(group),
        "ci95": wilson(sum(a.right for a in group), len(group)),
        "balanced_accuracy": statistics.fmean(per_label.values()),
        "answered": len(labelled) / len(group),
        "accuracy_of_answered": statistics.fmean(a.right for a in labelled) if labelled else None,
        "median_ms": 1e3 * statistics.median(a.seconds for a in group),
        "per_label": per_label,
        "confusions": [
            {"label": pair[0], "prediction": pair[1], "count": count}
            for pair, count in Counter((a.photo.label, a.label) for a in group if not a.right).most_common(10)
        ],
    }


def _of_other_things(group: list[Classified]) -> dict[str, Any]:
    return {
        "n": len(group),
        "answered": statistics.fmean(a.labelled for a in group),
        "predictions": dict(Counter(a.label for a in group).most_common()),
    }


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    z, share = 1.959964, right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return centre - half, centre + half


def draw_sheet(predictions: list[Classified], canvas: Callable[[Path], np.ndarray[Any, Any]], target: Path) -> None:
    """Draw photo and canvas side by side, wrong ones on red, so that a person sees what goes wrong."""
    cell, across = 96, 8
    sheet = Image.new("RGB", (2 * cell * across, cell * -(-len(predictions) // across)))
    for i, prediction in enumerate(predictions):
        tile = Image.new("RGB", (2 * cell, cell), "black" if prediction.right else "darkred")
        with Image.open(prediction.photo.path) as image:
            image.thumbnail((cell - 4, cell - 4))
            tile.paste(image.convert("RGB"), (2, 2))
        seen = Image.fromarray(np.squeeze(canvas(prediction.photo.path)))
        tile.paste(seen.resize((cell - 4, cell - 4), Image.Resampling.NEAREST).convert("RGB"), (cell + 2, 2))
        sheet.paste(tile, (2 * cell * (i % across), cell * (i // across)))
    sheet.save(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="labelled photos")
    parser.add_argument("--artifact", help="what `edgefm export` wrote; default: the one in the package")
    parser.add_argument("--min-score", help="a number from 0 to 1, or auto for what the artifact records")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--wrong", action="store_true", help="list the photos that were classified wrongly")
    parser.add_argument("--sheet", type=Path, help="draw every photo beside its canvas into this PNG")
    options = parser.parse_args()

    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.photos.photo import load_canvas

    given = options.min_score
    min_score: Any = given if given in (None, "auto") else float(given)
    with Classifier.load(options.artifact, min_score=min_score) as classifier:
        metadata = classifier.artifact.metadata

        def classify(path: Path) -> tuple[str, bool]:
            found = classifier.classify(path)
            return found.top[0].label, not found.rejected

        photos = list_photos(options.folder, metadata.labels)
        predictions = measure(photos, classify)
    result = report(predictions)
    if options.sheet:
        draw_sheet(predictions, lambda path: load_canvas(path, metadata.input.shape, metadata.photo), options.sheet)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, group in result.items():
        print_group(name, group, thresholded=given is not None)
    if options.wrong:
        print("\n".join(f"{a.photo.path}: {a.label}" for a in predictions if a.photo.label and not a.right))


def print_group(name: str, group: dict[str, Any], *, thresholded: bool) -> None:
    """Print the figures of one set."""
    if "accuracy" not in group:
        counts = ", ".join(f"{label} {count}" for label, count in group["predictions"].items())
        print(f"{name} (other things): {group['n']}, {group['answered']:.1%} get a label: {counts}")
        return
    low, high = group["ci95"]
    print(
        f"{name}: {group['right']} of {group['n']} right, {group['accuracy']:.1%} (95% interval {low:.1%} to "
        f"{high:.1%}), balanced {group['balanced_accuracy']:.1%}, {group['median_ms']:.1f} ms a photo"
    )
    if thresholded and group["accuracy_of_answered"] is not None:
        print(f"  labelled {group['answered']:.1%}, of these right {group['accuracy_of_answered']:.1%}")
    print("  " + "  ".join(f"{label} {share:.0%}" for label, share in group["per_label"].items()))
    print("  " + ", ".join(f"{c['label']} -> {c['prediction']} {c['count']}" for c in group["confusions"]))


if __name__ == "__main__":
    main()
