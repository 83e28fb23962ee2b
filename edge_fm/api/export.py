"""`export`: a run or any `.keras` file becomes proven artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.artifacts.web import export_artifact, find_artifact, require_artifact_options, require_target
from edge_fm.api.common.export_options import (
    ExportOptions,
    quantize_options,
    refused_formats,
    requested_targets,
    without_refused,
)
from edge_fm.api.common.places import EXPORTS, RUNS, is_run, select_model
from edge_fm.api.common.reading import Reading
from edge_fm_runtime.errors import ExportError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.api.common.calibration import Calibration
    from edge_fm.api.common.original import Sets
    from edge_fm_export.context import SourceModel
    from edge_fm_export.planning import PlannedTarget
    from edge_fm_export.results import ExportReport
    from edge_fm_export.targets import Target


_DEFAULTS = ExportOptions()


@dataclass(frozen=True)
class ExportPlan:
    """What an export would build.

    Attributes:
        targets: each with its folder's name and the packages that are missing here.
    """

    targets: tuple[PlannedTarget, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """The list that `edgefm export --dry-run --json` prints."""
        return [{**asdict(one.target), "folder": one.folder, "missing": list(one.missing)} for one in self.targets]


def export(
    model: str | Path | None = None,
    formats: str | Sequence[str] = ("onnx",),
    precisions: str | Sequence[str] | None = None,
    *,
    out: str | Path | None = None,
    options: ExportOptions = _DEFAULTS,
    strict: bool = True,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
    warn: MessageFn = ignore_message,
) -> ExportReport:
    """Export a model to every format and precision, prove each artifact, and write those that pass.

    Args:
        model: a run, a Keras file, or the name of a trained model of the package; None for the newest run. For the
            format "web" also an ONNX artifact, whose graph is taken as it is.
        formats: "onnx", "openvino", "savedmodel", "litert", "web", "tflm" or "all", which has "web" and "tflm" where
            the package that each needs is on this machine, and "tflm" where no option forbids it.
        precisions: "fp32", "fp16", "int8", "w8a16" (of litert) or "all": the first three; None for int8 of tflm, fp32
            of the others.
        out: where the artifacts go; None for export/ in the run.
        options: everything else.
        strict: raise for targets that were not written; else the report has them as failures.
        progress: called as work goes on.
        note: called with what a person should know of the choices that were made.
        warn: called with what the worth of the artifacts depends on.

    Raises:
        GateError: an artifact is out of tolerance; the others were written.
        EdgeFMError: the model or its data cannot be read, or a target cannot be built.
    """
    targets, named = requested_targets(formats, precisions, options, note)
    if model is not None and (artifact := find_artifact(model)) is not None:
        return export_artifact(artifact, targets, out=out, options=options, progress=progress, note=note)
    path = select_model(model, note)
    if out is None:
        # A model of the package is exported into the user's runs.
        beside = is_run(path) and (model is None or Path(model) == path)
        out = (path if beside else RUNS / path.stem) / EXPORTS
    report = _export(path, targets, Path(out), options, progress, note, warn, named)
    if strict:
        report.require_all()
    return report


def plan_export(
    model: str | Path | None = None,
    formats: str | Sequence[str] = ("onnx",),
    precisions: str | Sequence[str] | None = None,
    *,
    options: ExportOptions = _DEFAULTS,
    note: MessageFn = ignore_message,
) -> ExportPlan:
    """List what `export` would build and which packages are missing here, without loading the model.

    Raises:
        ExportError: the options exclude each other, or all that was requested.
    """
    from edge_fm.models.records import trained_model
    from edge_fm_export.planning import plan
    from edge_fm_export.sources import source_name

    targets, _ = requested_targets(formats, precisions, options, note)
    if model is not None and (artifact := find_artifact(model)) is not None:
        require_artifact_options(artifact, options)
        return ExportPlan(tuple(plan(targets, name=require_target(artifact, targets))))
    targets = without_refused(targets, options, note)
    path = RUNS / "latest" if model is None else trained_model(model)
    name = "model" if model is None and not is_run(path) else source_name(path)
    return ExportPlan(tuple(plan(targets, name=name)))


def _require_utf8(out: Path) -> None:
    """Refuse, before any work, a folder that TensorFlow could not write to.

    Raises:
        ExportError: its path has bytes that are no UTF-8.
    """
    try:
        str(out).encode()
    except UnicodeEncodeError as error:
        raise ExportError(
            f"{out} is no UTF-8, and TensorFlow writes to no such path.",
            hint="Name another folder: --out DIR. Artifacts may be moved into this one later.",
        ) from error


def _export(
    path: Path,
    targets: Sequence[Target],
    out: Path,
    options: ExportOptions,
    progress: ProgressFn,
    note: MessageFn,
    warn: MessageFn,
    named: bool,
) -> ExportReport:
    """Open the model, select the evaluation set and the calibration images, export, and note what matters."""
    from edge_fm.api.artifacts.held_out import held_out_images
    from edge_fm.api.common.label_thresholds import fit_thresholds, require_single_options
    from edge_fm.api.common.original import evaluation_data
    from edge_fm.api.common.score_sets import fit_scores
    from edge_fm_export.outputs.extra import extra_outputs, require_outputs
    from edge_fm_export.pipeline import export_targets
    from edge_fm_export.planning import require_ready
    from edge_fm_export.targets import FORMAT_ENTRIES
    from edge_fm_runtime.parity.checks import Limits

    require_ready(targets)
    _require_utf8(out)
    if options.explain:
        from edge_fm.evaluation.page import require_pages

        require_pages()
    runtime = None
    if any(target.format == "web" for target in targets):
        from edge_fm.web_runtime import obtain_web_runtime

        runtime = obtain_web_runtime(options.web_runtime, progress=progress, note=note)
    progress("loading the model", 0, None)
    original = _open(path, options, note)
    require_outputs(original.model, options.outputs)
    if original.task is not None:
        require_single_options(options, original.name)
    for text in original.notes:
        if text in original.warnings:
            warn(text)
        else:
            note(f"Note: {text}")
    refused = refused_formats(original, tuple(targets), options, progress, warn)
    sets = evaluation_data(options.data, original, progress, reading=Reading.from_options(options), note=note)
    if sets.note:
        note(f"Note: {sets.note}")
    if sets.labels is not None:
        original = replace(original, labels=sets.labels)
    elif not original.named:
        last = len(original.labels) - 1
        note(f"Note: No labels were given: the classes are called class_0 to class_{last}: --labels FILE.")
    if original.scaling_trial is not None and sets.test.labels is not None and original.task is None:
        better = original.scaling_trial.warning(sets.test.images, sets.test.labels, data=sets.test.name)
        if better is not None:
            warn(better)
    rejection = None
    if original.task is None:
        original, rejection = fit_scores(path, options, sets, original, progress=progress, note=note)
    else:
        original = fit_thresholds(path, options, sets, original, progress=progress, note=note)
    if options.outputs:  # once the logits have their temperature
        original = replace(original, extra=extra_outputs(original.model, options.outputs))
    selected = _calibration(targets, options, sets, original, progress, note, warn)
    if selected.problem is not None:  # what is in "all" only where it can be
        targets = [t for t in targets if named or FORMAT_ENTRIES[t.format].optional is None]
    report = export_targets(
        original,
        targets,
        out,
        test=sets.test,
        calibration=selected.calibration,
        validation=selected.validation,
        no_calibration=selected.problem,
        limits_override=Limits(options.min_agreement, options.max_drop, options.max_diff),
        quantize=quantize_options(options),
        rejection=rejection,
        held_out=held_out_images(path, options, sets, original, note=note),
        static_batch=options.static_batch,
        board=options.board,
        refused=refused,
        golden=options.golden,
        force=options.force,
        bom=options.bom,
        web_runtime=runtime,
        progress=progress,
    )
    if options.explain:
        from edge_fm.evaluation.explanation_page import unexplained, write_explanations

        for page in write_explanations(report, out):
            note(f"Page: {page}")
        for text in unexplained(report):
            note(text)
    known = {*original.notes, *report.warnings}
    for result in report.results:
        for text in result.notes:
            if text not in known:
                known.add(text)
                if text in result.doubts:
                    warn(f"{result.target}: {text}")
                else:
                    note(f"Note on {result.target}: {text}")
    for failure in report.failures:
        for text in failure.notes:
            note(f"Note on {failure.target}: {text}")
    for text in report.warnings:
        warn(text)
    return report


def _calibration(
    targets: Sequence[Target],
    options: ExportOptions,
    sets: Sets,
    original: SourceModel,
    progress: ProgressFn,
    note: MessageFn,
    warn: MessageFn,
) -> Calibration:
    """Select the images for int8 and w8a16 where they are targets; an error in them ends these alone."""
    from edge_fm.api.common.calibration import Calibration, calibration_sets
    from edge_fm_export.targets import CALIBRATED
    from edge_fm_runtime.errors import EdgeFMError

    wanted = [precision for precision in CALIBRATED if any(target.precision == precision for target in targets)]
    if not wanted:
        return Calibration()
    try:
        selected = calibration_sets(
            options.calibration,
            sets,
            original,
            precisions=wanted,
            samples=options.samples,
            hold_out=options.accuracy_control,
            seed=options.seed,
            reading=Reading.from_options(options).for_other(options.calibration, options.data),
            progress=progress,
            note=note,
        )
    except EdgeFMError as error:
        if all(target.precision in CALIBRATED for target in targets):
            raise
        warn(f"{' and '.join(wanted)} will not be built: {error.message}")
        return Calibration(problem=error)
    for text in selected.notes:
        note(f"Note: {text}")
    return selected


def _open(path: Path, options: ExportOptions, note: MessageFn) -> SourceModel:
    from edge_fm.api.common.named_labels import read_labels
    from edge_fm_export.sources import load_source

    return load_source(
        path,
        labels=read_labels(Path(options.labels), note) if isinstance(options.labels, str | Path) else options.labels,
        preprocessing=options.preprocessing,
        trust=options.trust,
        photo=options.photo,
        input_size=options.input_size,
    )
