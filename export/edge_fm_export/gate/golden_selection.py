"""What goes into golden.npz: the images, and what the original and the artifact give for them."""

from __future__ import annotations

from edge_fm_export.context import BuildContext, EvaluationSet, SourceModel
from edge_fm_export.gate.gate import GateResult
from edge_fm_export.gate.golden_images import (
    GoldenInputs,
    GoldenKind,
    data_inputs,
    generated_candidates,
    generated_inputs,
)
from edge_fm_export.gate.reference import ReferenceOutputs, reference_predictions
from edge_fm_runtime.arrays import Probabilities
from edge_fm_runtime.artifacts.golden import ExtraPair


def golden_inputs(
    kind: GoldenKind, context: BuildContext, test: EvaluationSet, reference: Probabilities
) -> GoldenInputs:
    """The images that travel with the artifacts, and the original's predictions for them.

    Args:
        kind: images of the evaluation set, or generated ones.
        context: of the export.
        test: the evaluation set.
        reference: float32 `[N,classes]`, the original's predictions for it.
    """
    batch = context.static_batch or 1
    if kind == "data":
        return data_inputs(test, reference, multiple_of=batch)
    candidates = generated_candidates(context.source.input.shape)
    return generated_inputs(candidates, reference_predictions(context.source, candidates), multiple_of=batch)


def golden_extra(source: SourceModel, golden: GoldenInputs, gate: GateResult) -> dict[str, ExtraPair]:
    """What the original and the artifact give beside the probabilities for the golden images, by the outputs' names."""
    if source.extra is None:
        return {}
    reference = ReferenceOutputs(source)(golden.images)
    return {name: ExtraPair(reference[name], values) for name, values in gate.golden_extra.items()}
