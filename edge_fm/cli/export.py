"""`edgefm export`: a run or any `.keras` file becomes proven artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from edge_fm.cli.common import (
    EXPORTS,
    RUNS,
    Talk,
    is_run,
    output_options,
    print_json,
    print_table,
    skip_unreadable_option,
    word,
)
from edge_fm_runtime.metadata import MAX_SIDE

if TYPE_CHECKING:
    from edge_fm.cli.calibration import Calibration
    from edge_fm.cli.inputs import Sets
    from edge_fm_export.context import SourceModel
    from edge_fm_export.pipeline import ExportReport, ExportResult
    from edge_fm_export.planning import PlannedTarget
    from edge_fm_export.targets import Target
    from edge_fm_runtime.metadata import PhotoMode
    from edge_fm_runtime.progress import ProgressFn


@click.command("export")
@click.argument("model", required=False, type=click.Path(path_type=Path), metavar="[RUN|MODEL.keras|NAME]")
@click.option(
    "--format",
    "formats",
    multiple=True,
    default=("onnx",),
    show_default=True,
    metavar="onnx|openvino|savedmodel|litert|all",
    help="Format; may be repeated.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    default=("fp32",),
    show_default=True,
    metavar="fp32|fp16|int8|all",
    help="Precision; may be repeated.",
)
@click.option(
    "--calibration", metavar="SOURCE", help="Images that int8 is calibrated on. Default: the training split of --data."
)
@click.option(
    "--samples", type=click.IntRange(1), help="How many images to calibrate on. Default: 300, or as many as there are."
)
@click.option(
    "--max-drop", type=click.FloatRange(0), metavar="POINTS", help="Largest accuracy drop. Default for int8: 0.5."
)
@click.option(
    "--min-agreement", type=click.FloatRange(0, 1), help="Least top-1 agreement. Default: 0.9999 fp32, 0.999 fp16."
)
@click.option(
    "--max-diff",
    type=click.FloatRange(0),
    help="Largest difference of a probability. Default for fp32: 1e-4, openvino 1e-3.",
)
@click.option(
    "--accuracy-control", is_flag=True, help="Leave in float what costs too much accuracy, to stay under --max-drop."
)
@click.option(
    "--any-cpu", is_flag=True, help="int8 for ONNX that answers the same on CPUs without VNNI: weights of 7 bits."
)
@click.option(
    "--data", "source", metavar="SOURCE", help="Labelled images that judge the export. Default: the run's own."
)
@skip_unreadable_option
@click.option(
    "--labels",
    "labels_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Label names, one a line, in the order of the output.",
)
@click.option(
    "--preset",
    metavar="FAMILY",
    help="Scaling of a keras.applications family, such as mobilenet_v2, put into the graph.",
)
@click.option("--input-scale", metavar="X|1/X", help="Pixels are multiplied by this, in the graph, such as 1/255.")
@click.option("--mean", metavar="X[,X,X]", help="Then this is subtracted, one value or one for each channel.")
@click.option("--std", metavar="X[,X,X]", help="Then this divides.")
@click.option("--input-size", metavar="HxW", help="Input size of a model that takes any, or a flat vector.")
@click.option(
    "--photo",
    type=click.Choice(["garment", "fit", "crop", "stretch"]),
    help="How photos become the input. Default: the run's own; stretch for models of your own, as Keras' loaders do.",
)
@click.option("--trust", is_flag=True, help="Load models that carry code (Lambda layers): it will run.")
@click.option("--static-batch", type=click.IntRange(1), metavar="N", help="Fix the batch size in the graph.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the choice of calibration images.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the artifacts go. Default: export/ in the run."
)
@click.option("--force", is_flag=True, help="Replace artifacts that came from another model.")
@click.option("--dry-run", is_flag=True, help="Say what would be built and what is missing here; build nothing.")
@output_options
def command(**given: Any) -> None:
    """Export to SavedModel, ONNX, OpenVINO IR and LiteRT; ship only what still answers like the original.

    Without an argument the newest run is exported. Each artifact is run on the whole held-out set beside the Keras
    original; one that is out of tolerance is not written, and the exit code is 3. Agreement and accuracy drop are
    judged by what so many images can show: an artifact fails where its whole 95% interval is out of tolerance, and gets
    a warning where its estimate is. NAME is a trained model of the package, such as edgenet-n.
    """
    options = _Options(**given)
    talk = Talk(options.quiet)
    from edge_fm.cli.export_table import print_results
    from edge_fm_export.planning import plan
    from edge_fm_export.targets import parse_targets

    targets = parse_targets(options.formats, options.precisions)
    if options.dry_run:
        _print_plan(plan(targets, name=_planned_name(options.model)), options.as_json)
        return
    path = _choose_model(options.model, talk)
    # A model of the package is exported into the user's runs.
    beside = is_run(path) and options.model in (path, None)
    out = options.out or (path if beside else RUNS / path.stem) / EXPORTS
    report = run_export(path, targets, out, options, talk)
    if options.as_json:
        written = [result.to_json() for result in report.results]
        print_json([*written, *(failure.to_json() for failure in report.failures)])
    else:
        print_results(report)
    report.require_all()
    first = report.results[0].path
    talk.next(f"edgefm verify {word(first)}", f"edgefm benchmark {word(first)}")


@dataclass(frozen=True)
class _Options:
    """The command's options, as click gives them."""

    model: Path | None = None
    formats: tuple[str, ...] = ("onnx",)
    precisions: tuple[str, ...] = ("fp32",)
    calibration: str | None = None
    samples: int | None = None
    max_drop: float | None = None
    min_agreement: float | None = None
    max_diff: float | None = None
    accuracy_control: bool = False
    any_cpu: bool = False
    source: str | None = None
    skip_unreadable: float | None = None
    labels_file: Path | None = None
    preset: str | None = None
    input_scale: str | None = None
    mean: str | None = None
    std: str | None = None
    input_size: str | None = None
    photo: str | None = None
    trust: bool = False
    static_batch: int | None = None
    seed: int = 0
    out: Path | None = None
    force: bool = False
    dry_run: bool = False
    as_json: bool = False
    quiet: bool = False


def export_run(run: Path, formats: str, precisions: str, talk: Talk) -> list[ExportResult]:
    """Export a run of ours into its own folder, every option at its default."""
    from edge_fm_export.targets import parse_targets

    targets = parse_targets(formats, precisions)
    report = run_export(run, targets, run / EXPORTS, _Options(), talk)
    report.require_all()
    return list(report.results)


def run_export(path: Path, targets: Sequence[Target], out: Path, options: _Options, talk: Talk) -> ExportReport:
    """Open the model, choose the images that judge and calibrate, export, and say what a person should know.

    The report has what could be written and what could not; `require_all` of it raises for the latter.
    """
    from edge_fm.cli.inputs import evaluation_data
    from edge_fm_export.context import QuantizeOptions
    from edge_fm_export.pipeline import export_targets
    from edge_fm_export.planning import require_ready
    from edge_fm_runtime.parity import Limits

    require_ready(targets)
    with talk.progress() as progress:
        progress("loading the model", 0, None)
        original = _open(path, options, talk)
        for note in original.notes:
            if note in original.warnings:
                talk.warn(note)
            else:
                talk.note(f"Note: {note}")
        sets = evaluation_data(
            options.source, original, progress, skip_unreadable=options.skip_unreadable, on_try=talk.note
        )
        if sets.note:
            talk.note(f"Note: {sets.note}")
        if sets.labels is not None:
            original = replace(original, labels=sets.labels)
        elif not original.named:
            last = len(original.labels) - 1
            talk.note(f"Note: No labels were given: the classes are called class_0 to class_{last}: --labels FILE.")
        if original.scaling_trial is not None and sets.test.labels is not None:
            better = original.scaling_trial.warning(sets.test.images, sets.test.labels, data=sets.test.name)
            if better is not None:
                talk.warn(better)
        chosen = _calibration(targets, options, sets, original, talk, progress)
        report = export_targets(
            original,
            targets,
            out,
            test=sets.test,
            calibration=chosen.calibration,
            validation=chosen.validation,
            no_calibration=chosen.problem,
            limits_override=Limits(options.min_agreement, options.max_drop, options.max_diff),
            quantize=QuantizeOptions(
                accuracy_control=options.accuracy_control,
                max_drop_points=0.5 if options.max_drop is None else options.max_drop,
                seed=options.seed,
                any_cpu=options.any_cpu,
            ),
            static_batch=options.static_batch,
            force=options.force,
            progress=progress,
        )
    known = {*original.notes, *report.warnings}
    for result in report.results:
        for note in result.notes:
            if note not in known:
                known.add(note)
                if note in result.doubts:
                    talk.warn(f"{result.target}: {note}")
                else:
                    talk.note(f"Note on {result.target}: {note}")
    for warning in report.warnings:
        talk.warn(warning)
    return report


def _calibration(
    targets: Sequence[Target],
    options: _Options,
    sets: Sets,
    original: SourceModel,
    talk: Talk,
    progress: ProgressFn,
) -> Calibration:
    """Choose the images for int8, if anybody wants it; what speaks against them ends int8 alone."""
    from edge_fm.cli.calibration import Calibration, calibration_sets
    from edge_fm_runtime.errors import EdgeFMError

    if not any(target.precision == "int8" for target in targets):
        return Calibration()
    try:
        chosen = calibration_sets(
            options.calibration,
            sets,
            original,
            samples=options.samples,
            hold_out=options.accuracy_control,
            seed=options.seed,
            skip_unreadable=options.skip_unreadable,
            progress=progress,
            on_note=talk.note,
        )
    except EdgeFMError as error:
        if all(target.precision == "int8" for target in targets):
            raise
        talk.warn(f"int8 will not be built: {error.message}")
        return Calibration(problem=error)
    for note in chosen.notes:
        talk.note(f"Note: {note}")
    return chosen


def _open(path: Path, options: _Options, talk: Talk) -> SourceModel:
    from edge_fm_export.presets import parse_preprocessing
    from edge_fm_export.sources import load_source
    from edge_fm_runtime.metadata import PhotoSpec

    preprocessing = parse_preprocessing(options.preset, options.input_scale, options.mean, options.std)
    return load_source(
        path,
        labels=None if options.labels_file is None else _read_labels(options.labels_file, talk),
        preprocessing=preprocessing,
        trust=options.trust,
        photo=None if options.photo is None else PhotoSpec(mode=cast("PhotoMode", options.photo)),
        input_size=_size(options.input_size),
    )


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    sides = [
        int(side) if side.isascii() and side.isdigit() and len(side) < 10 else 0 for side in (height, width or height)
    ]
    if not all(1 <= side <= MAX_SIDE for side in sides):
        raise click.BadParameter(
            f"{text!r} is not HEIGHTxWIDTH, such as 224x224, of at most {MAX_SIDE} pixels each.",
            param_hint="--input-size",
        )
    return sides[0], sides[1]


def _read_labels(file: Path, talk: Talk) -> tuple[str, ...]:
    from edge_fm.data.label_file import read_label_file

    labels = read_label_file(file)
    if labels.note is not None:
        talk.note(f"Note: {labels.note}")
    return labels.names


def _choose_model(given: Path | None, talk: Talk) -> Path:
    if given is not None:
        from edge_fm.models.records import trained_model

        return trained_model(given)
    from edge_fm_runtime.errors import ModelError

    latest = RUNS / "latest"
    if not is_run(latest):
        raise ModelError(
            f"No model was given, and {latest} holds no finished run.",
            hint="Train one: edgefm train   or give a file: edgefm export MODEL.keras",
        )
    run = latest.parent / latest.readlink() if latest.is_symlink() else latest
    talk.note(f"Model: {run} (the newest run)")
    return run


def _planned_name(model: Path | None) -> str:
    """What the artifacts will be called: as `load_source` names the model, or "model" where there is none yet."""
    from edge_fm.models.records import trained_model
    from edge_fm_export.sources import source_name

    path = RUNS / "latest" if model is None else trained_model(model)
    return "model" if model is None and not is_run(path) else source_name(path)


def _print_plan(planned: Sequence[PlannedTarget], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "format": p.target.format,
                    "precision": p.target.precision,
                    "folder": p.folder,
                    "missing": list(p.missing),
                }
                for p in planned
            ]
        )
        return
    rows = [[p.folder, p.target.format, p.target.precision, ", ".join(p.missing) or "nothing"] for p in planned]
    print_table("Would be built", ["artifact", "format", "precision", "missing here"], rows, wraps=["missing here"])
