"""What `edgefm train --data DIR` reaches without an option on small sets of photos, beside edgenet-s at the same size.

    python benchmarks/photos/small_photo_sets.py FOLDER [--manifest CSV] [--sets NAME,...] [--recipes NAME,...]
        [--side N] [--epochs N] [--precision NAME] [--json]

FOLDER holds one folder of photos for each label. Three sets are made of it, each a folder for each class:

- `three-classes`: 3 classes of 60 photos;
- `one-small-class`: up to 20 classes of at most 60 photos, one of them with 9;
- `one-sender`: the photos of the one who sent the most, and a twentieth as many of others; tested on other people's
  photos alone. It needs a manifest with the columns file, class and sender, by default FOLDER/index.csv.

Both networks see the same splits at the same size. `--epochs` shortens both trainings alike, for a quick look;
`--recipes` trains one of them alone, and `--precision mixed_bfloat16` takes half the time on a CPU that computes in it.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from edge_fm_runtime.photos.suffixes import is_photo_name

RECIPES = ("photo", "edgenet-s")
SETS = ("three-classes", "one-small-class", "one-sender")
_PHOTOS, _FEW, _CLASSES, _OTHERS, _TESTED = 60, 9, 20, 20, 300
Photos = Mapping[str, Sequence[Path]]


def labelled_photos(folder: Path) -> dict[str, list[Path]]:
    """Label -> its photos, for the labels that have some, the largest first."""
    found = {
        sub.name: sorted(path for path in sub.rglob("*") if is_photo_name(path.name))
        for sub in sorted(folder.iterdir())
        if sub.is_dir()
    }
    return dict(sorted(((label, paths) for label, paths in found.items() if paths), key=lambda pair: -len(pair[1])))


def senders_of(manifest: Path) -> dict[Path, str]:
    """Photo -> who sent it."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return {manifest.parent / row["file"]: row["sender"] for row in csv.DictReader(file)}


def draw(paths: Sequence[Path], count: int, rng: np.random.Generator) -> list[Path]:
    """At most so many photos, at random."""
    return [paths[i] for i in sorted(rng.permutation(len(paths))[:count])]


def write_set(folder: Path, photos: Photos) -> None:
    """Copy photos into a folder for each class."""
    for label, paths in photos.items():
        (folder / label).mkdir(parents=True)
        for path in paths:
            shutil.copyfile(path, folder / label / path.name)


def make_set(name: str, photos: Photos, folder: Path, senders: Mapping[Path, str]) -> None:
    """Write one of `SETS` into a folder.

    Raises:
        SystemExit: FOLDER has too few photos for it.
    """
    rng = np.random.default_rng(0)
    if name == "three-classes":
        large = [label for label, paths in photos.items() if len(paths) >= _PHOTOS][:3]
        if len(large) < 3:
            raise SystemExit(f"{name} takes 3 classes of {_PHOTOS} photos; there are {len(large)}.")
        write_set(folder, {label: draw(photos[label], _PHOTOS, rng) for label in large})
    elif name == "one-small-class":
        labels = list(photos)[:_CLASSES]
        counts = dict.fromkeys(labels, _PHOTOS) | {labels[-1]: _FEW}
        write_set(folder, {label: draw(photos[label], counts[label], rng) for label in labels})
    else:
        by_sender = Counter(senders[path] for paths in photos.values() for path in paths if path in senders)
        if len(by_sender) < 2:
            raise SystemExit(f"{name} takes a manifest that names the senders of the photos: --manifest CSV.")
        sender, most = by_sender.most_common(1)[0]
        own = {label: [p for p in paths if senders.get(p) == sender] for label, paths in photos.items()}
        own = {label: paths for label, paths in own.items() if len(paths) >= _FEW}
        others = rng.permutation(
            [(label, str(p)) for label in own for p in photos[label] if p in senders and senders[p] != sender]
        )
        few = max(len(own), most // _OTHERS)
        train: dict[str, list[Path]] = defaultdict(list, own)
        test: dict[str, list[Path]] = defaultdict(list)
        for number, (label, path) in enumerate(others.tolist()):
            (train if number < few else test)[label].append(Path(path))
        write_set(folder / "train", train)
        write_set(folder / "test", {label: paths[: _TESTED // len(own)] for label, paths in test.items()})


def train(data: Path, out: Path, options: Sequence[str]) -> dict[str, Any]:
    """Train by the command line; returns the run's metrics."""
    command = [sys.executable, "-m", "edge_fm", "train", "--data", str(data), "--out", str(out), "--json", *options]
    began = perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout), "wall_s": round(perf_counter() - began, 1)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--sets", default=",".join(SETS), help="which, separated by commas")
    parser.add_argument("--recipes", default=",".join(RECIPES), help="which, separated by commas")
    parser.add_argument("--side", type=int, help="of the images; left out: the recipe's own")
    parser.add_argument("--epochs", type=int, help="of both trainings; left out: what the recipes take")
    parser.add_argument(
        "--precision", choices=("float32", "mixed_bfloat16"), help="of the trainings; left out: the recipe's own"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for option, known in (("sets", SETS), ("recipes", RECIPES)):
        unknown = sorted({*getattr(arguments, option).split(",")} - {*known})
        if unknown:
            parser.error(f"--{option} {','.join(unknown)}: there are {', '.join(known)}.")
    photos = labelled_photos(arguments.folder)
    manifest = arguments.manifest or arguments.folder / "index.csv"
    senders = senders_of(manifest) if manifest.is_file() else {}
    shared = ["--epochs", str(arguments.epochs)] if arguments.epochs else []
    if arguments.precision:
        shared += ["--set", f"training.precision={arguments.precision}"]
    size = f"{arguments.side}x{arguments.side}x3" if arguments.side else "192x192x3"
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for name in arguments.sets.split(","):
            data = Path(place) / name
            make_set(name, photos, data, senders)
            ways = {
                "photo": ["--size", size] if arguments.side else [],
                "edgenet-s": ["--recipe", "edgenet-s", "--size", size],
            }
            for model in arguments.recipes.split(","):
                metrics = train(data, Path(place) / f"{name}-{model}", [*ways[model], *shared])
                rows.append(
                    {
                        "set": name,
                        "recipe": model,
                        "size": size,
                        **{key: metrics[key] for key in ("test_accuracy", "test_balanced_accuracy", "test_macro_f1")},
                        **{key: metrics[key] for key in ("epochs", "seconds", "wall_s")},
                    }
                )
                if not arguments.json:
                    row = rows[-1]
                    print(
                        f"{name:16} {model:10} {size:10} accuracy {100 * row['test_accuracy']:5.1f}%  balanced "
                        f"{100 * row['test_balanced_accuracy']:5.1f}%  {row['epochs']:3} epochs  {row['wall_s']:.0f} s",
                        flush=True,
                    )
    if arguments.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
