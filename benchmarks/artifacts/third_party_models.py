"""Export keras.applications models with random weights and print how well each copy agrees.

    python benchmarks/artifacts/third_party_models.py [--side 96] [--precision fp32] [--model MobileNetV2 ...]

Random weights make near ties of the classes, so that agreement on random images is a sharper test than it looks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MODELS = ("MobileNetV2", "MobileNetV3Small", "EfficientNetV2B0", "ResNet50", "DenseNet121", "ConvNeXtTiny")


def main() -> int:
    """Return 1 if any export fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--preset", action="store_true", help="put the family's preprocessing in front")
    parser.add_argument("--format", nargs="+", default=["onnx", "openvino"])
    parser.add_argument("--precision", nargs="+", default=["fp32"])
    parser.add_argument("--model", nargs="+", default=list(MODELS))
    options = parser.parse_args()

    from edge_fm_export.compat.tensorflow_setup import require_tensorflow
    from edge_fm_export.context import EvaluationSet
    from edge_fm_export.pipeline import export_targets
    from edge_fm_export.quantization.calibration import hash_images
    from edge_fm_export.targets import parse_targets
    from edge_fm_export.third_party_models.adapt import load_third_party_model
    from edge_fm_export.third_party_models.pixel_scaling import find_preset
    from edge_fm_runtime.errors import EdgeFMError

    _, keras = require_tensorflow("the models")
    shape = (options.side, options.side, 3)

    def images(seed: int) -> EvaluationSet:
        pixels = np.random.default_rng(seed).integers(0, 256, (options.images, *shape), dtype=np.uint8)
        return EvaluationSet(f"noise {seed}", pixels, None, hash_images(pixels, None))

    failed = False
    print(f"{'model':18} {'target':14} {'agreement':>9} {'max diff':>9} {'MiB':>6} {'seconds':>7} nodes")
    for name in options.model:
        keras.utils.set_random_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.keras"
            network = getattr(keras.applications, name)
            network(weights=None, input_shape=shape, classes=options.classes).save(file)
            source = load_third_party_model(file, preprocessing=find_preset(name) if options.preset else None)
            for target in parse_targets(options.format, options.precision):
                start = time.perf_counter()
                try:
                    report = export_targets(source, [target], folder, test=images(1), calibration=images(2))
                    report.require_all()
                except EdgeFMError as error:
                    failed = True
                    print(f"{name:18} {target!s:14} {error}", flush=True)
                    continue
                (made,) = report.results
                parity, nodes = made.parity, (made.metadata.graph or {}).get("nodes")
                print(
                    f"{name:18} {target!s:14} {parity.top1_agreement:9.4f} {parity.max_abs_diff:9.2g} "
                    f"{made.bytes / 2**20:6.1f} {time.perf_counter() - start:7.1f} {nodes}",
                    flush=True,
                )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
