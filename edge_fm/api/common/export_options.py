"""The options of an export, and the formats that cannot be made with them, or of this model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edge_fm_runtime.errors import EdgeFMError, ExportError, MissingDependencyError
from edge_fm_runtime.progress import MessageFn, ProgressFn

if TYPE_CHECKING:
    from edge_fm_export.context import QuantizeOptions, SourceModel
    from edge_fm_export.gate.golden_images import GoldenKind
    from edge_fm_export.quantization.impossible_options import Requested
    from edge_fm_export.targets import Target
    from edge_fm_export.third_party_models.pixel_scaling import Preprocessing
    from edge_fm_runtime.artifacts.metadata import PhotoMode


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """How `export` opens, converts and checks a model; each default is that of `edgefm export`.

    Attributes:
        calibration: source of the images that int8 and w8a16 are calibrated on; None for the training split of `data`.
        samples: how many images to calibrate on; None for 300, or as many as there are.
        max_drop: largest accuracy drop in points; None for the precision's own limit, 0.5 for int8 and
            w8a16.
        min_agreement: least top-1 agreement, 0 to 1; None for the precision's own limit.
        max_diff: largest difference of a probability; None for the format's own limit.
        accuracy_control: leave in float what costs too much accuracy, to stay under `max_drop`.
        keep_float: layers that stay in float at int8 (onnx, openvino, litert), by their names in the Keras model.
        explain: measure what int8 does to each layer of every int8 artifact, not of those alone that fail their gate;
            the reports' `explanation` has it.
        temperature: divide the logits by this number before the softmax, or "auto" for what fits the validation images
            best; None leaves the model as it is.
        validation: source of labelled images that scores are fitted on; None for the validation split of `data`, or of
            the run.
        other_things: folders or manifests of images of what is none of the classes; the threshold keeps most of them
            out. None named: those of the run's recipe that are of the groups of the validation images.
        target_accuracy: share of the labels above the recorded threshold that must be right; None for 0.92.
        max_others: largest share of images of other things that may get a label; None for 0.25.
        any_cpu: int8 for ONNX that predicts the same on CPUs without VNNI: weights of 7 bits.
        data: source of the evaluation set; None for the run's own.
        skip_unreadable: share of a folder's images that may be left out; None for what the run's training left out.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the run's training said of the same source.
        label_column: column of a manifest that holds the labels; None for what it said, else to tell by the names.
        labels: label names in the order of the output, or a file with one a line; None for the model's own.
        preprocessing: scaling that is put into the graph before the model; None for none.
        input_size: height and width of a model that takes any; None for the model's own.
        photo: how photos become the input; None for the run's own, or "stretch" for a third-party model.
        trust: load models that carry code (Lambda layers), which will run.
        static_batch: a fixed batch size in the graph; None for a free one.
        board: name of the microcontroller board that an artifact for TFLM must fit; None for any.
        seed: of the choice of calibration images.
        golden: images in golden.npz, which travels with the artifact: "data" for 32 of the evaluation set, "generated"
            for drawn shapes, where photos must not be given away.
        drift_reference: record what `drift` compares photos with, of images that the model has not learned from: those
            of `validation`, else the validation split, else the evaluation set.
        force: replace artifacts that came from another model.
        bom: add a bill of materials, bom.cdx.json (CycloneDX), to each artifact.
        outputs: what the model returns beside the probabilities: "embedding", the feature vector that its last layer
            reads, and "cam", a map for each class of what each place of the image adds to its logit. None named: the
            probabilities alone.
        web_runtime: file of the npm package onnxruntime-web for the format "web"; None for the one that the environment
            variable `EDGEFM_WEB_RUNTIME` names, else the one in the cache folder, else the registry's.
    """

    calibration: str | None = None
    samples: int | None = None
    max_drop: float | None = None
    min_agreement: float | None = None
    max_diff: float | None = None
    accuracy_control: bool = False
    keep_float: Sequence[str] = ()
    explain: bool = False
    temperature: float | Literal["auto"] | None = None
    validation: str | None = None
    other_things: Sequence[str | Path] = ()
    target_accuracy: float | None = None
    max_others: float | None = None
    any_cpu: bool = False
    data: str | None = None
    skip_unreadable: float | None = None
    group: str | None = None
    label_column: str | None = None
    labels: str | Path | Sequence[str] | None = None
    preprocessing: Preprocessing | None = None
    input_size: tuple[int, int] | None = None
    photo: PhotoMode | None = None
    trust: bool = False
    static_batch: int | None = None
    board: str | None = None
    seed: int = 0
    golden: GoldenKind = "data"
    drift_reference: bool = True
    force: bool = False
    bom: bool = False
    outputs: Sequence[str] = ()
    web_runtime: str | Path | None = None


def requested_targets(
    formats: str | Sequence[str], precisions: str | Sequence[str] | None, options: ExportOptions, note: MessageFn
) -> tuple[tuple[Target, ...], bool]:
    """The targets of an export, and whether the formats were named one by one, so that each must be made or fail.

    Args:
        formats: as `export` takes them.
        precisions: as `export` takes them.
        options: of the export.
        note: called with what "all" leaves out, and why.

    Raises:
        ExportError: an unknown format, precision or board, or a board that no format is for.
    """
    from edge_fm_export.browser_runtime.package import BYTES, PACKAGE, VERSION, find_package
    from edge_fm_export.targets import BUILDERS, Target, parse_targets

    targets = parse_targets(formats, precisions)
    parts = [formats] if isinstance(formats, str) else formats
    named = "all" not in {name.strip().lower() for part in parts for name in part.split(",")}
    require_board_format(options, targets)
    if not named:
        has_web = any(target.format == "web" for target in targets)
        wanted = any(Target("web", target.precision) in BUILDERS for target in targets)
        if not has_web and wanted and find_package() is None:
            size = f"{BYTES / 1e6:.0f} MB"
            note(f"Note: web is left out: {PACKAGE} {VERSION} is not here; --format web fetches it ({size}).")
        targets = without_impossible(targets, options, note)
    return targets, named


def without_impossible(targets: Sequence[Target], options: ExportOptions, note: MessageFn) -> tuple[Target, ...]:
    """Leave out of "all" what is not installed here or cannot be with these options, with a note on each.

    Args:
        targets: those that "all" means.
        options: of the export.
        note: called with what is left out and why.

    Raises:
        ExportError: a board was named, and what is for it is left out; or nothing is left.
    """
    from edge_fm_export.packages import missing_packages
    from edge_fm_export.planning import distribution
    from edge_fm_export.quantization.impossible_options import impossible
    from edge_fm_export.targets import FORMAT_ENTRIES, target_packages

    kept = []
    error: EdgeFMError | None = None
    for target in targets:
        optional = FORMAT_ENTRIES[target.format].optional
        missing = [distribution(package) for package in missing_packages(target_packages(target))] if optional else []
        if missing:
            why = f"{', '.join(missing)} is not installed"
            error = MissingDependencyError(f"{target} cannot be: {why}.", hint=f"pip install 'edge-fm[{optional}]'")
            reason = f"{why}: {error.hint}"
        else:
            error = impossible(target.format, target.precision, requested_options(options))
            reason = "" if error is None else error.message.rstrip(".")
        if error is None:
            kept.append(target)
        elif target.format == "tflm" and options.board is not None:
            raise error
        else:
            note(f"Note: {target} is left out: {reason}.")
    if not kept and error is not None:
        raise error
    return tuple(kept)


def without_refused(targets: Sequence[Target], options: ExportOptions, note: MessageFn) -> tuple[Target, ...]:
    """Leave out the targets that an export with these options would refuse, with a note on each.

    Args:
        targets: those that were requested.
        options: of the export.
        note: called with what will not be built and why.

    Raises:
        ExportError: all are refused.
    """
    from edge_fm_export.quantization.impossible_options import impossible

    reasons = {target: impossible(target.format, target.precision, requested_options(options)) for target in targets}
    errors = [error for error in reasons.values() if error is not None]
    if errors and len(errors) == len(targets):
        raise errors[0]
    for target, error in reasons.items():
        if error is not None:
            note(f"{target} will not be built: {error.message}")
    return tuple(target for target, error in reasons.items() if error is None)


def requested_options(options: ExportOptions) -> Requested:
    """What of the options of an export some formats cannot have."""
    from edge_fm_export.quantization.impossible_options import Requested

    return Requested(options.static_batch, tuple(options.outputs), quantize_options(options))


def require_board_format(options: ExportOptions, targets: Sequence[Target]) -> None:
    """Refuse a board that does not exist, or that no target is for.

    Raises:
        ExportError: it is unknown, or no format for microcontrollers was requested.
    """
    if options.board is None:
        return
    from edge_fm_export.tflm.boards import find_board

    board = find_board(options.board)
    if not any(target.format == "tflm" for target in targets):
        raise ExportError(
            f"--board {board.name} was given, but no format for microcontrollers was requested.",
            hint=f"Export for it: --format tflm --board {board.name}",
        )


def quantize_options(options: ExportOptions) -> QuantizeOptions:
    """How to quantize, of the options of an export."""
    from edge_fm_export.context import QuantizeOptions

    usual = QuantizeOptions(
        options.accuracy_control,
        seed=options.seed,
        any_cpu=options.any_cpu,
        keep_float=tuple(options.keep_float),
        explain="all" if options.explain else "failed",
    )
    return usual if options.max_drop is None else replace(usual, max_drop_points=options.max_drop)


def refused_formats(
    original: SourceModel, targets: tuple[Target, ...], options: ExportOptions, progress: ProgressFn, warn: MessageFn
) -> dict[Target, EdgeFMError]:
    """The targets whose format cannot have this model, and why; before images are read.

    Args:
        original: the model, opened.
        targets: those that were requested.
        options: of the export.
        progress: called as work goes on.
        warn: called for each refused target, where there are others.

    Raises:
        EdgeFMError: all are refused.
    """
    from tempfile import TemporaryDirectory

    from edge_fm_export.context import BuildContext
    from edge_fm_export.outputs.extra import extra_outputs
    from edge_fm_export.prerequisites import refused_targets

    opened = original
    if options.outputs:
        opened = replace(original, extra=extra_outputs(original.model, options.outputs))
    with TemporaryDirectory() as scratch:
        context = BuildContext(
            opened,
            Path(scratch),
            static_batch=options.static_batch,
            board=options.board,
            quantize=quantize_options(options),
            progress=progress,
        )
        refused = refused_targets(context, targets)
    for target, error in refused.items():
        warn(f"{target} will not be built: {error.message}")
    return refused
