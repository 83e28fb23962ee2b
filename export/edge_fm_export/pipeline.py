"""`export`: one model to many artifacts, each proven, each put in its place whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from edge_fm_export.browser_runtime.package import WebRuntime
from edge_fm_export.context import BuildContext, Built, EvaluationSet, QuantizeOptions, RejectionSets, SourceModel
from edge_fm_export.description import describe_artifact, with_gate_results, with_rejection
from edge_fm_export.documents.bom import BOM_FILE, bill_of_materials, require_bom
from edge_fm_export.documents.card import CARD_FILE, model_card
from edge_fm_export.gate.advice import gate_advice
from edge_fm_export.gate.drift_reference import write_reference
from edge_fm_export.gate.gate import GateResult, original_warning, run_gate
from edge_fm_export.gate.golden_images import GoldenInputs, GoldenKind
from edge_fm_export.gate.golden_selection import golden_extra, golden_inputs
from edge_fm_export.gate.reference import reference_predictions
from edge_fm_export.gate.score_fitting import select_threshold
from edge_fm_export.graph import count_macs
from edge_fm_export.planning import artifact_name
from edge_fm_export.prerequisites import check_request, refused_targets, why_not_calibrated
from edge_fm_export.quantization.explanation.explanation import Explanation
from edge_fm_export.results import ExportFailure, ExportReport, ExportResult
from edge_fm_export.targets import CALIBRATED, Target, find_builder, find_embed, find_finish
from edge_fm_export.writer import check_replaceable, disk_errors, install, workspace
from edge_fm_runtime.arrays import Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact, load_unsigned
from edge_fm_runtime.artifacts.files import hash_file, list_files
from edge_fm_runtime.artifacts.golden import GOLDEN_FILE, Golden, save_golden
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, Metadata, Precision, dump_metadata
from edge_fm_runtime.errors import EdgeFMError, EngineError, ExportError, GateError
from edge_fm_runtime.parity.checks import Limits
from edge_fm_runtime.progress import ProgressFn, silent
from edge_fm_runtime.system.brief_errors import brief


def export_targets(
    source: SourceModel,
    targets: Iterable[Target],
    out_dir: str | Path,
    *,
    test: EvaluationSet,
    calibration: EvaluationSet | None = None,
    validation: EvaluationSet | None = None,
    no_calibration: EdgeFMError | None = None,
    limits_override: Limits | Mapping[Precision, Limits] | None = None,
    quantize: QuantizeOptions = QuantizeOptions(),  # noqa: B008 - frozen
    rejection: RejectionSets | None = None,
    held_out: EvaluationSet | None = None,
    static_batch: int | None = None,
    board: str | None = None,
    refused: Mapping[Target, EdgeFMError] | None = None,
    golden: GoldenKind = "data",
    force: bool = False,
    bom: bool = False,
    web_runtime: WebRuntime | None = None,
    progress: ProgressFn = silent,
) -> ExportReport:
    """Export `source` to every target, prove each, and put those that pass into `out_dir`.

    Artifacts stand at `out_dir/<name>-<format>-<precision>`. One that fails its gate, or cannot be built, leaves
    whatever stood there as it was; the others are still built, and the report has both.

    Args:
        source: as from `load_source`.
        targets: as from `parse_targets`.
        out_dir: where the artifacts will stand; made if absent.
        test: the evaluation set: images of the test split, labelled or not.
        calibration: images from the training split; int8 and w8a16 need them.
        validation: labelled images that are not of the test split, for accuracy control and to estimate what int8
            and w8a16 lose.
        no_calibration: why there are no calibration images; int8 and w8a16 fail with it.
        limits_override: tolerances in place of the defaults, field by field; for all precisions or for each its own.
        quantize: how to quantize.
        rejection: images that the threshold of each artifact is selected on; None records none.
        held_out: images that `edgefm drift` compares photos with, labelled or not; None records none.
        static_batch: a fixed batch size, or None for a free one.
        board: name of the microcontroller board that an artifact for TFLM must fit; None for any.
        refused: targets whose format cannot have this model, as from `prerequisites.refused_targets`; None to find out.
        golden: what the images are that travel with the artifacts.
        force: replace artifacts of another model.
        bom: add a bill of materials (CycloneDX) to each artifact.
        web_runtime: ONNX Runtime Web's files; the web format needs them.
        progress: called as work goes on.

    Raises:
        ExportError: nothing can be built, the sets have images in common, or a folder cannot be written or replaced.
        DataError: the test images do not fit the model.
        MissingDependencyError: a package is missing; raised before any work.
    """
    wanted = tuple(targets)
    out_dir = Path(out_dir)
    if bom:
        require_bom()
    check_request(source, wanted, test, static_batch)
    blocked = why_not_calibrated(source, wanted, test, calibration, validation, no_calibration)
    if blocked is not None and all(target.precision in CALIBRATED for target in wanted):
        raise blocked
    for target in wanted:
        check_replaceable(out_dir / artifact_name(source.name, target), source_sha256=source.sha256, force=force)
    results: list[ExportResult] = []
    failures: list[ExportFailure] = []
    with workspace(out_dir) as work:
        scratch = work / "scratch"
        scratch.mkdir()
        sets = source, scratch, calibration, validation
        context = BuildContext(*sets, quantize, static_batch, progress, web_runtime, board)
        refused = refused_targets(context, wanted) if refused is None else refused
        reference = reference_predictions(source, test.images, progress=progress)
        warning = original_warning(source, test, reference)
        export_ = _Export(
            context,
            test,
            reference,
            golden_inputs(golden, context, test, reference),
            count_macs(source.model),
            limits_override,
            () if warning is None else (warning,),
            rejection,
            held_out,
            bom,
        )
        for done, target in enumerate(wanted):
            progress(f"exporting {target}", done, len(wanted))
            place = out_dir / artifact_name(source.name, target)
            try:
                if target in refused:
                    raise refused[target]
                if blocked is not None and target.precision in CALIBRATED:
                    raise blocked
                made = _make(export_, target, work / place.name)
                if isinstance(made, ExportFailure):
                    failures.append(made)
                    continue
                replaced = (place / METADATA_FILE).is_file()
                install(work / place.name, place, source_sha256=source.sha256, force=force)
                results.append(replace(made, path=place, replaced=replaced))
            except EdgeFMError as error:
                failures.append(ExportFailure(place.name, target, error))
        progress("exporting", len(wanted), len(wanted))
    failed = tuple(_with_older(failure, out_dir / failure.name) for failure in failures)
    return ExportReport(tuple(results), reference, failed, export_.warnings)


def _with_older(failure: ExportFailure, place: Path) -> ExportFailure:
    """The failure with the artifact of an earlier export that still stands at its place, if there is one."""
    return replace(failure, older=place if (place / METADATA_FILE).is_file() else None)


@dataclass(frozen=True, eq=False)
class _Export:
    """What all targets of one export share."""

    context: BuildContext
    test: EvaluationSet
    reference: Probabilities
    golden: GoldenInputs
    macs: int | None
    limits: Limits | Mapping[Precision, Limits] | None
    warnings: tuple[str, ...] = ()
    rejection: RejectionSets | None = None
    held_out: EvaluationSet | None = None
    bom: bool = False

    def limits_for(self, precision: Precision) -> Limits | None:
        return self.limits.get(precision) if isinstance(self.limits, Mapping) else self.limits


def _make(export_: _Export, target: Target, folder: Path) -> ExportResult | ExportFailure:
    """Build, embed, prove and describe one artifact in `folder`; a failure where it does not pass its gate."""
    context = export_.context
    built = _build(context, target, folder)
    metadata = describe_artifact(context, target, built, macs=export_.macs, warnings=export_.warnings)
    rejection = None
    if export_.rejection is not None:
        # Before it is embedded with the rest.
        built_artifact = Artifact(folder, metadata, folder / built.payload)
        rejection = select_threshold(built_artifact, export_.rejection, progress=context.progress)
        metadata = with_rejection(metadata, rejection)
    # Before the gate: what is proven is what ships, byte for byte.
    with disk_errors(folder):
        find_embed(target.format)(folder / built.payload, metadata.embedded(), metadata)
    gate = _prove(export_, Artifact(folder, metadata, folder / built.payload))
    explanation = None
    wanted = {"none": False, "failed": bool(gate.failures), "all": True}[context.quantize.explain]
    if built.explain is not None and wanted:
        explanation = cast("Explanation", built.explain())
    size = sum(hash_file(folder / name).bytes for name in list_files(folder))
    if gate.failures:
        error = GateError(
            f"{target} failed {len(gate.failures)} of {len(gate.checks)} checks on {gate.parity.n:,} images:",
            gate.failures,
            hint=gate_advice(
                gate.checks, target, context.quantize, calibrated=_calibrated(context), explanation=explanation
            ),
        )
        return ExportFailure(
            folder.name,
            target,
            error,
            size,
            gate.parity,
            gate.checks,
            gate.engine,
            built.notes,
            explanation=explanation,
        )
    metadata = with_gate_results(metadata, gate, export_.test, size, export_.golden.kind)
    proven = Artifact(folder, metadata, folder / built.payload)
    metadata = write_reference(proven, export_.held_out, progress=context.progress)
    metadata = _write(export_, metadata, gate, folder)
    threshold = () if rejection is None else (rejection.sentence(),)
    notes = (*context.source.notes, *built.notes, *export_.warnings, *gate.warnings, *threshold)
    return ExportResult(
        folder, target, size, gate.parity, gate.checks, gate.engine, metadata, notes, explanation=explanation
    )


def _calibrated(context: BuildContext) -> int:
    return 0 if context.calibration is None else len(context.calibration.images)


def _build(context: BuildContext, target: Target, folder: Path) -> Built:
    with disk_errors(folder):
        try:
            folder.mkdir()
            return find_builder(target)(context, folder)
        except (EdgeFMError, OSError):
            raise
        except Exception as error:
            raise ExportError(
                f"The conversion to {target} failed: {type(error).__name__}: {brief(error)}",
                hint=_other_ways(target, context.static_batch),
            ) from error


def _prove(export_: _Export, artifact: Artifact) -> GateResult:
    metadata = artifact.metadata
    what = f"{metadata.format} {metadata.precision}"
    try:
        gate = run_gate(
            artifact,
            export_.context.source,
            export_.test,
            export_.reference,
            golden=export_.golden,
            override=export_.limits_for(metadata.precision),
            progress=export_.context.progress,
        )
    except EngineError as error:
        # It cannot be run, or predicts NaN: no check can pass.
        hint = _other_ways(Target(metadata.format, metadata.precision), metadata.input.batch)
        raise GateError(f"{what} failed its gate:", [error.message], hint=hint) from error
    return gate


def _other_ways(target: Target, static_batch: int | None) -> str:
    """What to try where a library cannot convert a model, or cannot run what it converted."""
    if target.precision == "fp32":
        return "Try another --format."
    hint = "Try another --precision, such as fp32, or --format."
    if (target.format, target.precision) == ("openvino", "int8") and static_batch is None:
        # OpenVINO cannot load a vision transformer with a class token and some dozens of patches otherwise.
        return f"Fix the batch size, which layers such as attention need here: --static-batch 1. {hint}"
    return hint


def _write(export_: _Export, metadata: Metadata, gate: GateResult, folder: Path) -> Metadata:
    """Add golden predictions, card and metadata with the hashes of all files, then read it back as a device would."""
    golden = export_.golden
    with disk_errors(folder):
        extra = golden_extra(export_.context.source, golden, gate)
        save_golden(Golden(golden.images, golden.reference, gate.golden, extra), folder / GOLDEN_FILE)
        (folder / CARD_FILE).write_text(model_card(metadata), encoding="utf-8")
        if (finish := find_finish(metadata.format)) is not None:
            finish(export_.context, folder, metadata)
        metadata = replace(metadata, files={name: hash_file(folder / name) for name in list_files(folder)})
        if export_.bom:
            (folder / BOM_FILE).write_text(bill_of_materials(metadata), encoding="utf-8")
            metadata = replace(metadata, files={**metadata.files, BOM_FILE: hash_file(folder / BOM_FILE)})
        (folder / METADATA_FILE).write_text(dump_metadata(metadata), encoding="utf-8")
    load_unsigned(folder)
    return metadata
