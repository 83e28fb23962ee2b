"""`edgefm benchmark`: what artifacts cost, beside the original."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_fm.api.places import EXPORTS, is_run, latest_export
from edge_fm.cli.benchmark_tables import print_report
from edge_fm.cli.common import Talk, artifact_word, engine_options, output_options, print_json
from edge_fm.cli.scenarios import scenario_options
from edge_fm_runtime.scratch import scratch_folder

if TYPE_CHECKING:
    from edge_fm.evaluation.benchmark import Case
    from edge_fm_runtime.artifact import Artifact
    from edge_fm_runtime.engines import EngineOptions

PARTS = ("bare", "streams", "photos", "starts", "null")
_STARTS = 3


@click.command("benchmark")
@click.argument("artifacts", nargs=-1, metavar="[ARTIFACT]...")
@click.option(
    "--against",
    metavar="RUN|MODEL.keras|none",
    help="The original to measure beside them. Default: the run that an artifact lies in; none: artifacts alone.",
)
@click.option(
    "--batch", "batches", multiple=True, type=click.IntRange(1), help="Batch size; may be repeated. Default: 1."
)
@click.option(
    "--duration",
    type=click.FloatRange(0.05),
    default=2.0,
    show_default=True,
    help="Counted seconds of each case and batch; half of it for photos and for throughput. Below 1: INVALID.",
)
@click.option(
    "--min-samples",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    help="Least number of counted calls of each case and batch. Below 64: INVALID.",
)
@click.option(
    "--photo",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Time this photo from file to class. Default: a 600 px JPEG made from one of the artifact's golden inputs.",
)
@click.option(
    "--skip",
    multiple=True,
    type=click.Choice(PARTS),
    help="Leave out: bare, the same libraries without us; streams, throughput with several batches at once; "
    "photos; starts, in processes of their own; null, what measuring costs. May be repeated.",
)
@click.option("--profile", "profiled", is_flag=True, help="Show where the time goes: stages of a photo, and operators.")
@click.option(
    "--scaling",
    "scaled",
    is_flag=True,
    help="Measure growth with batch (1 to 256), threads, image size and model size, beside this machine's roofline.",
)
@click.option("--strict", is_flag=True, help="Exit with code 3 if the measurement is INVALID.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Write benchmark.json and benchmark.html there too."
)
@scenario_options
@engine_options
@output_options
def command(
    artifacts: tuple[str, ...],
    against: str | None,
    batches: tuple[int, ...],
    duration: float,
    min_samples: int,
    photo: Path | None,
    skip: tuple[str, ...],
    profiled: bool,
    scaled: bool,
    strict: bool,
    out: Path | None,
    engine: str,
    device: str,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Time artifacts, the Keras original (called and through predict) and its SavedModel, interleaved in one run.

    Without ARTIFACT, all artifacts of the newest export are measured. Load time, first inference and peak memory come
    from fresh processes. A percentile that the number of samples does not support is left out. The whole run is VALID,
    or INVALID with the reasons: too short, unstable, throttled, other load seen.
    """
    from edge_fm.evaluation.benchmark import run_benchmark
    from edge_fm.evaluation.benchmark_cases import closing_engines
    from edge_fm_runtime.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions
    from edge_fm_runtime.errors import GateError

    talk = Talk(quiet)
    if out is not None:
        from edge_fm.evaluation.page import require_pages

        require_pages()
    paths = [Path(a) for a in artifacts] or newest_exports(talk)
    opened = [load_artifact(p) for p in paths]
    original = _original(against, [artifact.path for artifact in opened], talk)
    cases = _cases(opened, original, engine, EngineOptions(device, threads), skip, talk)
    # To the end of the command: the report asks the engines what ran.
    click.get_current_context().with_resource(closing_engines(cases))
    with scratch_folder() as scratch, talk.progress() as progress:
        if photo is None and "photos" not in skip:
            photo = _sample_photo(cases[0], scratch)
        report = run_benchmark(
            cases,
            batches=batches or (1,),
            duration_s=duration,
            min_samples=min_samples,
            starts=0 if "starts" in skip else _STARTS,
            streams="streams" not in skip,
            photo=None if "photos" in skip else photo,
            progress=progress,
        )
        if profiled:
            from edge_fm.evaluation.profile import profile_cases

            report = replace(report, profiles=tuple(profile_cases(cases, photo, progress=progress)))
        if scaled:
            from edge_fm.evaluation.scaling import measure_scaling

            report = replace(report, scaling=measure_scaling(cases, duration_s=duration / 4, progress=progress))
        printed = report.to_json()  # asks the engines what really ran
    if out is not None:
        from edge_fm.evaluation.benchmark_page import write_benchmark

        talk.note(f"Wrote {' and '.join(str(p) for p in write_benchmark(printed, out))}")
    if as_json:
        print_json(printed)
    else:
        print_report(printed)
    verdict = report.verdict
    if not verdict.valid:
        talk.note(f"INVALID: {len(verdict.reasons)} reasons, the first: {verdict.reasons[0]}")
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(opened[0].path)}")
    if strict and not verdict.valid:
        raise GateError(
            "The measurement is INVALID.",
            list(verdict.reasons),
            hint="Measure again on a machine that does nothing else; --duration longer steadies the figures.",
        )


def _cases(
    opened: list[Artifact],
    original: Path | None,
    engine: str,
    options: EngineOptions,
    skip: tuple[str, ...],
    talk: Talk,
) -> list[Case]:
    """Artifacts, the original and its SavedModel, the bare libraries, and nothing."""
    from edge_fm.api.registry import ALL_ENGINES
    from edge_fm.evaluation.benchmark import artifact_case, bare_case, null_case, reference_cases
    from edge_fm_runtime.artifact import load_artifact

    cases, bare = [], []
    for artifact in opened:
        chosen = "savedmodel" if artifact.metadata.format == "savedmodel" else engine
        case = artifact_case(artifact, chosen, options, registry=ALL_ENGINES)
        if sum(other.metadata.name == artifact.metadata.name for other in opened) > 1:
            case = replace(case, model=str(artifact.path))  # artifacts of two runs may have one name
        cases.append(case)
        if "bare" not in skip and (beside := bare_case(artifact, cases[-1])) is not None:
            bare.append(beside)
    images = cases[0].images
    if original is not None:
        with talk.progress() as progress:
            progress("loading the original", 0, None)
            cases += reference_cases(original, options, images, like=opened[0])
        sibling = _savedmodel_beside(opened[0].path)
        if sibling is not None and all(a.metadata.format != "savedmodel" for a in opened):
            cases.append(artifact_case(load_artifact(sibling), "savedmodel", options, registry=ALL_ENGINES))
    return cases + bare + ([] if "null" in skip else [null_case(opened[0], images)])


def _sample_photo(case: Case, folder: Path) -> Path:
    """A photo made from the first image that the case runs."""
    from edge_fm.data import sample_photo

    if case.shape[2] not in (1, 3):
        return folder / "none.jpg"  # no case of this model answers photos
    return sample_photo(case.images[0], folder / "photo.jpg")


def newest_exports(talk: Talk) -> list[Path]:
    """All artifacts of the newest export, where none is named."""
    from edge_fm_runtime.errors import ArtifactError

    newest = latest_export()
    if newest is None:
        raise ArtifactError(
            "No ARTIFACT was given, and nothing is exported under runs/ here.",
            hint="Make some: edgefm export --format all",
        )
    found = sorted(p.parent for p in newest.parent.glob("*/edgefm.json"))
    talk.note(f"Artifacts: all {len(found)} in {newest.parent}")
    return found


def _original(against: str | None, paths: list[Path], talk: Talk) -> Path | None:
    if against == "none":
        return None
    if against is not None:
        from edge_fm.models.records import trained_model

        return trained_model(against)
    run = paths[0].resolve().parents[1]
    if paths[0].resolve().parent.name == EXPORTS and is_run(run):
        talk.note(f"Original: {run} (leave it out with --against none)")
        return run
    return None


def _savedmodel_beside(path: Path) -> Path | None:
    found = sorted(path.resolve().parent.glob("*-savedmodel-fp32/edgefm.json"))
    return found[0].parent if found else None
