"""What a model computed: checked before a label or a comparison is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.classification import Classification, Decoded, classification_of
from edge_fm_runtime.errors import EngineError

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.artifact import Artifact
    from edge_fm_runtime.artifacts.metadata import Metadata
    from edge_fm_runtime.engines import Engine
    from edge_fm_runtime.engines.outputs import Outputs

ClassifyFn: TypeAlias = Callable[[Sequence[Decoded]], tuple[list[Classification], Probabilities]]
"""From photos that are ready, at least one, to their classifications and their probabilities, float32 `[N,classes]`."""

_FLOAT32 = np.dtype(np.float32)
_FEW = 16


def checked_probabilities(values: Probabilities, n: int, artifact: Artifact) -> Probabilities:
    """Refuse what no label or score could be made of: a damaged or hostile model computes anything.

    Args:
        values: what the model computed.
        n: from how many images.
        artifact: of the model.

    Raises:
        EngineError: they are no float32 `[n,classes]`, or not finite.
    """
    shape = n, len(artifact.metadata.labels)
    # Few values are added in Python in less time than NumPy takes to start, which beside a small network counts.
    few = n * shape[1] <= _FEW and values.shape == shape and values.dtype == _FLOAT32
    if few and isfinite(sum(values.ravel().tolist())):
        return values
    return _checked(values, shape, PROBABILITIES, artifact)


def run_checked(
    engine: Engine, images: Pixels, extra: Sequence[str], artifact: Artifact
) -> tuple[Probabilities, Outputs]:
    """Compute probabilities and extra outputs of images, and check them.

    Args:
        engine: runs the model.
        images: uint8 `[N,H,W,C]`, at least one.
        extra: names of the extra outputs.
        artifact: of the model.

    Returns:
        Probabilities float32 `[N,classes]`, and each extra output, float32 `[N,...]` as recorded.

    Raises:
        EngineError: the model computed something else.
    """
    n = len(images)
    if not extra:
        return checked_probabilities(engine.predict_all(images), n, artifact), {}
    found = engine.predict_outputs(images)
    shapes = {output.name: output.shape for output in artifact.metadata.extra_outputs}
    missing = [name for name in extra if name not in found]
    if missing:
        raise EngineError(
            f"The {engine.name} engine returns {', '.join(found)}, and no {', '.join(missing)}.",
            hint="Use --engine auto",
        )
    outputs = {name: _checked(found[name], (n, *shapes[name]), name, artifact) for name in extra}
    return checked_probabilities(found[PROBABILITIES], n, artifact), outputs


def classify_decoded(
    engine: Engine,
    artifact: Artifact,
    min_score: float | None,
    decoded: Sequence[Decoded],
    *,
    top_k: int,
    extra: Sequence[str] = (),
) -> tuple[list[Classification], Probabilities]:
    """Classify photos that are ready, in one batch.

    Args:
        engine: runs the model.
        artifact: of the model.
        min_score: a photo whose best score is below this is rejected; None rejects none.
        decoded: the photos, at least one.
        top_k: how many classes each gets.
        extra: names of the extra outputs.

    Returns:
        A classification for each photo, and the probabilities, float32 `[N,classes]`.

    Raises:
        EngineError: the model computed something else, or `top_k` is less than 1.
    """
    start = perf_counter_ns()
    canvases = np.stack([d.canvas for d in decoded])
    probabilities, outputs = run_checked(engine, canvases, extra, artifact)
    infer_ms = (perf_counter_ns() - start) / 1e6 / len(decoded)
    found = []
    for place, (one, row) in enumerate(zip(decoded, probabilities, strict=True)):
        result = classification_of(artifact.metadata, row, one.name, top_k, min_score, one.decode_ms, infer_ms)
        found.append(with_outputs(result, outputs, place))
    return found, probabilities


def _checked(
    values: npt.NDArray[np.float32], shape: tuple[int, ...], name: str, artifact: Artifact
) -> npt.NDArray[np.float32]:
    right = values.shape == shape and values.dtype == _FLOAT32
    if right:
        flat = values.ravel()
        # Finite where all values are, and a quarter of the time that asking each takes.
        if isfinite(flat.dot(flat)):
            return values
    what = f"{values.dtype} {list(values.shape)}"
    if right:
        what += ", some of it no finite numbers,"
    raise EngineError(
        f"{artifact.payload} computed {what} from {shape[0]} images; {name} {'are' if name == PROBABILITIES else 'is'} "
        f"float32 {list(shape)}.",
        hint="Check the artifact (edgefm verify), or export the model again: edgefm export",
    )


def wanted_outputs(artifact: Artifact, *, embedding: bool, heatmap: bool) -> tuple[str, ...]:
    """Names of the extra outputs that are wanted of an artifact.

    Raises:
        EngineError: it has none of that name.
    """
    wanted = tuple(name for name, given in (("embedding", embedding), ("cam", heatmap)) if given)
    for name in wanted:
        require_output(artifact, name)
    return wanted


def with_outputs(result: Classification, outputs: Outputs, place: int) -> Classification:
    """The result of the image at `place` of a batch, with its embedding, and its class's map as `heatmap`."""
    if "embedding" in outputs:
        result = replace(result, embedding=outputs["embedding"][place])
    if "cam" in outputs:
        result = replace(result, heatmap=np.ascontiguousarray(outputs["cam"][place, ..., result.index]))
    return result


def model_to_export(metadata: Metadata) -> str:
    """What a hint to export again names: the run that the artifact is of where it lies here, else MODEL.keras."""
    run = (metadata.training or {}).get("run")
    return f"runs/{run}" if run and Path("runs", run).is_dir() else "MODEL.keras"


def require_output(artifact: Artifact, name: str) -> None:
    """Raise unless the model of an artifact returns the output `name`.

    Raises:
        EngineError: it does not; the hint is the command that exports one that does.
    """
    metadata = artifact.metadata
    has = [output.name for output in metadata.extra_outputs]
    if name in has:
        return
    outputs = ",".join([*has, name])
    raise EngineError(
        f"{artifact.path} returns {' and '.join(['probabilities', *has])}, and no {name}.",
        hint=f"Export one that does: edgefm export {model_to_export(metadata)} "
        f"--format {metadata.format} --precision {metadata.precision} --outputs {outputs}",
    )
