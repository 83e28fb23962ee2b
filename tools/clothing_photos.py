"""Make the manifest of the clothing photos from folders of photos, as `edgefm data fetch clothing-photos` does.

    python tools/clothing_photos.py OUT FOLDER [FOLDER ...]

A FOLDER holds one folder for each class, named as Fashion-MNIST's are (`T-shirt_top` is "T-shirt/top"). Folders whose
names start with "_" are other things. Where an index.csv (file, class, sender) is beside them, it names the senders;
photos that it does not list count as those of one sender, who is called as FOLDER is. The photos are copied to OUT.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from edge_fm.data import fashion_mnist
from edge_fm.data.clothing_photos import write_manifest
from edge_fm.data.clothing_photos.manifest import Photo
from edge_fm_runtime.photos.suffixes import is_photo_name


def photos_of(folder: Path, out: Path) -> list[Photo]:
    """Copy a folder's photos and list them."""
    index, senders = folder / "index.csv", {}
    if index.is_file():
        with index.open(encoding="utf-8", newline="") as stream:
            senders = {row["file"]: row["sender"] for row in csv.DictReader(stream)}
    names = {name.replace("/", "_").replace(" ", "_"): name for name in fashion_mnist.LABEL_NAMES}
    photos = []
    for path in sorted(folder.glob("*/*")):
        if not is_photo_name(path.name):
            continue
        kind = path.parent.name
        label = names.get(kind) or f"other: {kind.removeprefix('_').removeprefix('other_').replace('_', ' ')}"
        file = f"images/{folder.name}/{kind}/{path.name}"
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / file)
        photos.append(Photo(file, label, senders.get(f"{kind}/{path.name}", folder.name)))
    return photos


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("folders", type=Path, nargs="+", help="labelled photos")
    options = parser.parse_args()
    photos = [photo for folder in options.folders for photo in photos_of(folder, options.out)]
    train = fashion_mnist.load().train
    print(write_manifest(options.out, photos, train.images[..., 0], train.labels))


if __name__ == "__main__":
    main()
