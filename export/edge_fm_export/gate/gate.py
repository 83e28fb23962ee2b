"""The gate: an artifact is written only if it predicts like the original on the whole evaluation set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from edge_fm_export.context import EvaluationSet, SourceModel
from edge_fm_export.engines import REFERENCE_ENGINES
from edge_fm_export.gate.extra_outputs import compare_extra_outputs
from edge_fm_export.gate.golden_images import GoldenInputs
from edge_fm_export.gate.reference import batch_size, reference_predictions
from edge_fm_export.outputs.extra import extra_outputs
from edge_fm_export.targets import FORMAT_ENTRIES
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import PROBABILITIES, Precision
from edge_fm_runtime.engines import ENGINES, Engine, EngineOptions, create_engine
from edge_fm_runtime.errors import DataError, EngineError
from edge_fm_runtime.parity.chance import accuracy_warning
from edge_fm_runtime.parity.checks import (
    Check,
    Limits,
    check_parity,
    default_limits,
    doubts,
)
from edge_fm_runtime.parity.comparison import Parity, compare_probabilities
from edge_fm_runtime.parity.extra_outputs import OutputParity
from edge_fm_runtime.parity.multi_label import multi_label_warning
from edge_fm_runtime.parity.predictions import compare_predictions
from edge_fm_runtime.parity.verification import Verification
from edge_fm_runtime.progress import ProgressFn, silent

_SINGLES = 32
_SELF_AGREEMENT: dict[Precision, float] = {"fp32": 1e-3, "fp16": 0.05, "int8": 0.25, "w8a16": 0.05}
"""How far an engine's predictions for an image may depend on the other images of a batch: kernels differ."""


@dataclass(frozen=True, eq=False)
class GateResult:
    """What the gate measured.

    Attributes:
        parity: the artifact's predictions beside the original's.
        checks: every check, passed or not.
        limits: the tolerances that were applied.
        predictions: float32 `[N,classes]`, the artifact's predictions for the evaluation set.
        engine: name of the engine that ran it.
        golden: float32 `[N,classes]`, its predictions for the golden images; empty where there are none.
        extra: its outputs beside the probabilities, compared with the original's.
        golden_extra: what these are for the golden images, by their names.
    """

    parity: Parity
    checks: tuple[Check, ...]
    limits: Limits
    predictions: Probabilities
    engine: str
    golden: Probabilities = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    extra: tuple[OutputParity, ...] = ()
    golden_extra: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for each failed check."""
        return tuple(check.describe() for check in self.checks if not check.passed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each check whose estimate is beyond its limit on too few images to tell."""
        return doubts(self.checks, self.parity.n)


def run_gate(
    artifact: Artifact,
    source: SourceModel,
    test: EvaluationSet,
    reference: Probabilities,
    *,
    golden: GoldenInputs,
    override: Limits | None = None,
    progress: ProgressFn = silent,
) -> GateResult:
    """Compare a built artifact's predictions with the original's: all checks are made, none is raised.

    The engine runs at exact arithmetic; the whole set in batches, some dozens of images one by one, and one batch of
    an odd size, which must not change a prediction.

    Args:
        artifact: the very files that will ship.
        source: the original.
        test: held-out images, labelled or not.
        reference: float32 `[N,classes]`, the original's predictions for them.
        golden: the images that will travel with the artifact.
        override: tolerances in place of the defaults, field by field.
        progress: called as work goes on.

    Raises:
        EngineError: the artifact cannot be run, or predicts NaN.
    """
    name = FORMAT_ENTRIES[artifact.metadata.format].engine
    engine = create_engine(
        artifact, name, options=EngineOptions(arithmetic="exact"), registry={**ENGINES, **REFERENCE_ENGINES}
    )
    try:
        result = compare_engine(artifact, engine, test, reference, override=override, progress=progress)
        if source.extra is not None:
            extra, checks = compare_extra_outputs(artifact, engine, source, test)
            values = dict(engine.predict_outputs(golden.images, batch=batch_size(golden.images)))
            values.pop(PROBABILITIES)
            result = replace(result, checks=(*result.checks, *checks), extra=extra, golden_extra=values)
        if golden.rows is not None:
            return replace(result, golden=result.predictions[golden.rows])
        return replace(result, golden=engine.predict_all(golden.images, batch=batch_size(golden.images)))
    finally:
        engine.close()


def compare_engine(
    artifact: Artifact,
    engine: Engine,
    test: EvaluationSet,
    reference: Probabilities,
    *,
    override: Limits | None = None,
    progress: ProgressFn = silent,
) -> GateResult:
    """Compare a running engine's predictions with the original's; see `run_gate`."""
    metadata = artifact.metadata
    fixed = metadata.input.batch
    stage = f"checking {metadata.format} {metadata.precision}"
    batch = batch_size(test.images)
    predictions = engine.predict_all(test.images, batch=batch, stage=stage, progress=progress)
    limits = merge_limits(default_limits(metadata.format, metadata.precision), override)
    parity = compare_predictions(metadata, reference, predictions, labels=test.labels)
    checks = list(check_parity(parity, limits))
    if fixed is None:
        odd = min(len(test.images), batch + 1 if len(test.images) > batch else 7)
        checks += [
            _same(engine, test.images[:_SINGLES], predictions, 1, "batch1", metadata.precision),
            _same(engine, test.images[:odd], predictions, odd, f"batch{odd}", metadata.precision),
        ]
    return GateResult(parity, tuple(checks), limits, predictions, engine.name)


def verify_against(
    artifact: Artifact,
    source: SourceModel,
    test: EvaluationSet,
    engine: Engine,
    *,
    limits: Limits | None = None,
    progress: ProgressFn = silent,
) -> Verification:
    """Compare an artifact with its original on `test`, under the limits that it was exported with.

    Args:
        artifact: what to verify.
        source: the original.
        test: images, labelled or not.
        engine: runs the artifact.
        limits: tolerances in place of the recorded ones, field by field.
        progress: called as work goes on.

    Raises:
        EngineError: the two do not fit together.
    """
    check_set(test, source, what="test")
    if artifact.metadata.input.shape != source.input.shape or len(artifact.metadata.labels) != len(source.labels):
        raise EngineError(
            f"{artifact.path} takes {list(artifact.metadata.input.shape)} and predicts {len(artifact.metadata.labels)} "
            f"classes; {source.name} takes {list(source.input.shape)} and predicts {len(source.labels)}.",
            hint="Give the model that the artifact was made from: --against RUN|MODEL.keras",
        )
    if artifact.metadata.task != source.task:
        raise EngineError(
            f"{artifact.path} is {artifact.metadata.task or 'one class of many'}; {source.name} is "
            f"{source.task or 'one class of many'}.",
            hint="Give the model that the artifact was made from: --against RUN|MODEL.keras",
        )
    reference = reference_predictions(source, test.images, progress=progress)
    override = merge_limits(recorded_limits(artifact), limits)
    result = compare_engine(artifact, engine, test, reference, override=override, progress=progress)
    checks = result.checks
    if artifact.metadata.extra_outputs:
        names = [output.name for output in artifact.metadata.extra_outputs]
        source = replace(source, extra=extra_outputs(source.model, names))
        checks += compare_extra_outputs(artifact, engine, source, test)[1]
    warning = original_warning(source, test, reference)
    return Verification(
        str(artifact.path),
        engine.name,
        engine.device,
        engine.precision,
        result.parity,
        checks,
        () if warning is None else (warning,),
    )


def original_warning(source: SourceModel, test: EvaluationSet, reference: Probabilities) -> str | None:
    """The warning that the original itself is hardly better than guessing, or has its names in another order."""
    if test.labels is None:
        return None
    if source.task is not None:
        return multi_label_warning(reference, test.labels, who="The original model itself", data=test.name)
    return accuracy_warning(
        reference.argmax(axis=1),
        test.labels,
        source.labels,
        who="The original model itself",
        data=test.name,
        trained=source.trained,
    )


def recorded_limits(artifact: Artifact) -> Limits:
    """The tolerances that an artifact was exported with; none where it records none."""
    recorded = (artifact.metadata.parity or {}).get("limits")
    fields = Limits.__dataclass_fields__
    values = recorded if isinstance(recorded, dict) else {}
    return Limits(**{k: float(v) for k, v in values.items() if k in fields and isinstance(v, int | float)})


def merge_limits(limits: Limits, override: Limits | None) -> Limits:
    """Replace those tolerances that `override` names."""
    if override is None:
        return limits
    given = {k: getattr(override, k) for k in Limits.__dataclass_fields__}
    return replace(limits, **{k: v for k, v in given.items() if v is not None})


def check_set(images: EvaluationSet, source: SourceModel, *, what: str) -> None:
    """Raise unless `images` fit `source`.

    Raises:
        DataError: no images, another shape, or labels that the model does not have.
    """
    if images.images.dtype != np.uint8 or images.images.ndim != 4 or images.images.shape[1:] != source.input.shape:
        raise DataError(
            f"The {what} images ({images.name}) are {images.images.dtype} {list(images.images.shape)}; "
            f"{source.name} takes uint8 [N, {', '.join(map(str, source.input.shape))}].",
            hint="Give another --data SOURCE.",
        )
    if not len(images.images):
        raise DataError(f"The {what} set ({images.name}) holds no images.", hint="Give another --data SOURCE.")
    labels = images.labels
    if source.task is not None:
        _check_label_table(images, source, what=what)
    elif labels is not None and (
        len(labels) != len(images.images) or labels.min() < 0 or labels.max() >= len(source.labels)
    ):
        raise DataError(
            f"The {what} set ({images.name}) has {len(labels)} labels from {labels.min()} to {labels.max()} for "
            f"{len(images.images)} images; {source.name} knows {len(source.labels)} classes.",
            hint="Give another --data SOURCE, or the right --labels FILE.",
        )


def _check_label_table(images: EvaluationSet, source: SourceModel, *, what: str) -> None:
    """Raise unless the labels of a multi-label model are 0 or 1 for each of its labels."""
    labels, shape = images.labels, (len(images.images), len(source.labels))
    if labels is not None and (labels.shape != shape or not np.isin(labels, (0, 1)).all()):
        raise DataError(
            f"The {what} set ({images.name}) has labels {list(labels.shape)}; {source.name} is multi-label: 0 or 1 for "
            f"each image and label, {list(shape)}.",
            hint="Give another --data SOURCE, or the right --labels FILE.",
        )


def _same(
    engine: Engine, images: Pixels, predictions: Probabilities, batch: int, name: str, precision: Precision
) -> Check:
    again = engine.predict_all(images, batch=batch)
    limit = _SELF_AGREEMENT[precision]
    value = compare_probabilities(predictions[: len(again)], again).max_abs_diff
    return Check(f"max_abs_diff_{name}", value, limit, value <= limit)
