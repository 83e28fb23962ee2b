"""Ways to resize images that TensorFlow alone knows: refused before a converter makes something else of them."""

from __future__ import annotations

from collections.abc import Collection

from edge_fm_runtime.errors import ExportError

_TENSORFLOW_ALONE = {"ResizeArea": '"area"', "ScaleAndTranslate": '"lanczos3", "lanczos5" or antialias=True'}
"""Operators, with the interpolation of `keras.layers.Resizing` and `tf.image.resize` that they come from. Of the first,
tf2onnx makes an ordinary resize, whose predictions differ."""


def require_usual_resizing(operators: Collection[str], target: str) -> None:
    """Raise if a model resizes its images as only TensorFlow does.

    Args:
        operators: of the model's graph.
        target: what it is to be converted to.

    Raises:
        ExportError: it does; says which interpolation can be exported.
    """
    found = [operator for operator in _TENSORFLOW_ALONE if operator in operators]
    if found:
        raise ExportError(
            f"{target} has no operator for {', '.join(found)}: the model resizes its images with interpolation "
            f"{', '.join(_TENSORFLOW_ALONE[operator] for operator in found)}.",
            hint='Build it with Resizing(..., interpolation="bilinear") or "nearest", which have no weights to train '
            "(check its accuracy), or use --format savedmodel.",
        )
