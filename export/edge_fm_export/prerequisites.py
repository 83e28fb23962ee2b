"""What an export needs before it begins: targets, packages, and disjoint sets of images that fit the model."""

from __future__ import annotations

from edge_fm_export.context import BuildContext, EvaluationSet, SourceModel
from edge_fm_export.gate.fingerprints import count_common
from edge_fm_export.gate.gate import check_set
from edge_fm_export.planning import require_ready
from edge_fm_export.quantization.impossible_options import Requested, impossible
from edge_fm_export.targets import CALIBRATED, FORMAT_ENTRIES, Target, find_preflight
from edge_fm_runtime.errors import EdgeFMError, ExportError


def check_request(
    source: SourceModel, targets: tuple[Target, ...], test: EvaluationSet, static_batch: int | None
) -> None:
    """Refuse a request that cannot succeed, before any work.

    Raises:
        ExportError: no target, or an impossible batch size.
        DataError: the test images do not fit the model.
        MissingDependencyError: a package is missing.
    """
    if not targets:
        raise ExportError("No format was requested.", hint="Such as: edgefm export --format onnx")
    any_batch = any(FORMAT_ENTRIES[target.format].batch is None for target in targets)
    if any_batch and source.input.batch not in (None, static_batch):
        requested = "batches of any size were" if static_batch is None else f"batches of {static_batch} were"
        raise ExportError(
            f"{source.name} takes batches of {source.input.batch} images alone; {requested} requested.",
            hint=f"Fix the batch size of the artifact too: --static-batch {source.input.batch}",
        )
    if static_batch is not None and static_batch < 1:
        raise ExportError(f"A batch of {static_batch} images cannot be; --static-batch takes 1 or more.")
    require_ready(targets)
    check_set(test, source, what="test")


def refused_targets(context: BuildContext, targets: tuple[Target, ...]) -> dict[Target, EdgeFMError]:
    """The targets whose format cannot have this model, and why, found before any image is run through it.

    Args:
        context: of the export; images are not needed.
        targets: those that were requested.

    Raises:
        EdgeFMError: it is so of all of them.
    """
    reasons = {target: _why_refused(context, target) for target in targets}
    refused = {target: reason for target, reason in reasons.items() if reason is not None}
    if targets and len(refused) == len(targets):
        raise next(iter(refused.values()))
    return refused


def _why_refused(context: BuildContext, target: Target) -> EdgeFMError | None:
    error = impossible(target.format, target.precision, Requested.of(context))
    if error is not None:
        return error
    check = find_preflight(target.format)
    if check is not None:
        try:
            context.progress(f"checking what {target.format} can run", 0, None)
            check(context)
        except EdgeFMError as error:
            return error
    return None


def why_not_calibrated(
    source: SourceModel,
    targets: tuple[Target, ...],
    test: EvaluationSet,
    calibration: EvaluationSet | None,
    validation: EvaluationSet | None,
    no_calibration: EdgeFMError | None,
) -> EdgeFMError | None:
    """Why int8 and w8a16 cannot be built from these images; None where they can, or where no target is either."""
    wanted = [precision for precision in CALIBRATED if any(target.precision == precision for target in targets)]
    if not wanted:
        return None
    if calibration is None:
        return no_calibration or ExportError(
            f"{' and '.join(wanted)} {'need' if len(wanted) > 1 else 'needs'} images to calibrate on, from the "
            "training split.",
            hint="Give some: --calibration SOURCE (an image folder, .npz, fashion-mnist, ...)",
        )
    try:
        for name, images in (("calibration", calibration), ("validation", validation)):
            if images is not None:
                check_set(images, source, what=name)
                _require_disjoint(images, name, test, "test")
        if validation is not None:
            _require_disjoint(calibration, "calibration", validation, "validation")
    except EdgeFMError as error:
        return error
    return None


def _require_disjoint(images: EvaluationSet, name: str, evaluation: EvaluationSet, other: str) -> None:
    """Raise unless two sets have no image in common, pixel for pixel."""
    common = count_common(images.images, evaluation.images)
    if common:
        raise ExportError(
            f"{common:,} of the {len(images.images):,} {name} images are {other} images: the gate would evaluate the "
            "quantized model on what it was tuned on.",
            hint="Calibrate on other images: --calibration SOURCE",
        )
