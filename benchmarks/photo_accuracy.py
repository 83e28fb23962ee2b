"""How many photos of a labelled folder are classified correctly, and what that costs.

    python benchmarks/photo_accuracy.py FOLDER --artifact FOLDER [--json] [--wrong] [--sheet PNG]

FOLDER holds one folder for each label; folders whose names start with "_" are sets of their own with label folders
inside, and are counted apart. A folder's name is compared with the model's labels by letters and digits alone, so
`T-shirt_top` is "T-shirt/top".
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
    """A photo, the set it is counted in, and its label as the folder's name gives it."""

    path: Path
    group: str
    label: str


@dataclass(frozen=True)
class Classified:
    """What a model said about a photo."""

    photo: LabelledPhoto
    label: str
    seconds: float

    @property
    def right(self) -> bool:
        return plain(self.label) == plain(self.photo.label)


def plain(label: str) -> str:
    """Letters and digits alone, lower case: "T-shirt/top" and `T-shirt_top` are the same label."""
    return "".join(c for c in label.lower() if c.isalnum())


def list_photos(root: Path, labels: Iterable[str], *, group: str = "photos") -> list[LabelledPhoto]:
    """Every photo below `root` whose folder is named for one of `labels`; "_" folders are groups of their own."""
    known = {plain(label) for label in labels}
    found = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        if folder.name.startswith("_"):
            found += list_photos(folder, labels, group=folder.name.strip("_"))
        elif plain(folder.name) in known:
            files = sorted(p for p in folder.iterdir() if is_photo_name(p.name))
            found += [LabelledPhoto(file, group, folder.name) for file in files]
        else:
            raise SystemExit(f"{folder}: no label of the model is called that; labels are {', '.join(labels)}")
    return found


def measure(photos: Iterable[LabelledPhoto], classify: Callable[[Path], str]) -> list[Classified]:
    """Classified photos one after another; `classify` is a path -> label function."""
    predictions = []
    for photo in photos:
        start = perf_counter()
        label = classify(photo.path)
        predictions.append(Classified(photo, label, perf_counter() - start))
    return predictions


def probability_classifier(
    probabilities: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    labels: list[str],
    shape: tuple[int, int, int],
    mode: str = "garment",
    background: str = "dark",
    fill: int = 0,
) -> Callable[[Path], str]:
    """A path -> label function from one of uint8 `[N,H,W,C]` -> `[N,classes]`, for models that are no artifact yet."""
    from edge_fm_runtime.artifacts.metadata import PhotoSpec
    from edge_fm_runtime.photos.photo import load_canvas

    spec = PhotoSpec(mode=mode, background=background, fill=fill)  # type: ignore[arg-type]
    return lambda path: labels[int(probabilities(load_canvas(path, shape, spec)[None])[0].argmax())]


def report(predictions: list[Classified]) -> dict[str, Any]:
    """Accuracy with its 95% interval (Wilson), in all and for each label, for each group."""
    groups: dict[str, list[Classified]] = defaultdict(list)
    for prediction in predictions:
        groups[prediction.photo.group].append(prediction)
    return {
        name: {
            "n": len(group),
            "right": sum(a.right for a in group),
            "accuracy": sum(a.right for a in group) / len(group),
            "ci95": wilson(sum(a.right for a in group), len(group)),
            "median_ms": 1e3 * statistics.median(a.seconds for a in group),
            "per_label": {
                label: statistics.fmean(a.right for a in group if a.photo.label == label)
                for label in sorted({a.photo.label for a in group})
            },
            "confusions": [
                {"label": pair[0], "prediction": pair[1], "count": count}
                for pair, count in Counter((a.photo.label, a.label) for a in group if not a.right).most_common(10)
            ],
        }
        for name, group in groups.items()
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
    parser.add_argument("--artifact", type=Path, required=True, help="what `edgefm export` wrote")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--wrong", action="store_true", help="list the photos that were classified wrongly")
    parser.add_argument("--sheet", type=Path, help="draw every photo beside its canvas into this PNG")
    options = parser.parse_args()

    from edge_fm_runtime.classifier import Classifier
    from edge_fm_runtime.photos.photo import load_canvas

    with Classifier.load(options.artifact) as classifier:
        metadata = classifier.artifact.metadata
        photos = list_photos(options.folder, metadata.labels)
        predictions = measure(photos, lambda path: classifier.classify(path).label)
    result = report(predictions)
    if options.sheet:
        draw_sheet(predictions, lambda path: load_canvas(path, metadata.input.shape, metadata.photo), options.sheet)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, group in result.items():
        low, high = group["ci95"]
        print(
            f"{name}: {group['right']} of {group['n']} right, {group['accuracy']:.1%} "
            f"(95% interval {low:.1%} to {high:.1%}), {group['median_ms']:.1f} ms a photo"
        )
        print("  " + "  ".join(f"{label} {share:.0%}" for label, share in group["per_label"].items()))
        print("  " + ", ".join(f"{c['label']} -> {c['prediction']} {c['count']}" for c in group["confusions"]))
    if options.wrong:
        print("\n".join(f"{a.photo.path}: {a.label}" for a in predictions if not a.right))


if __name__ == "__main__":
    main()
