"""`benchmark`: what artifacts cost, beside the original."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.api.common.places import EXPORTS, MODEL_VARIABLE, is_run, latest_export, select_artifact
from edge_fm_runtime.measurement.latency import MIN_SAMPLES
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.evaluation.benchmark.cases import Case
    from edge_fm.evaluation.benchmark.statistics import Verdict
    from edge_fm_runtime.artifacts.artifact import Artifact
    from edge_fm_runtime.engines import EngineOptions

PARTS = ("bare", "streams", "photos", "starts", "null")
"""What `skip` may leave out."""

DURATION_S = 2.0
_STARTS = 3


@dataclass(frozen=True, eq=False)
class BenchmarkResult:
    """What a benchmark measured.

    Attributes:
        report: the figures, as `edgefm benchmark --json` prints them.
        verdict: whether the measurement is valid, and why not.
        artifacts: what was measured.
        written: the files that were written.
    """

    report: Mapping[str, Any]
    verdict: Verdict
    artifacts: tuple[Path, ...]
    written: tuple[Path, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm benchmark --json` prints."""
        return dict(self.report)

    def require_valid(self) -> None:
        """Raise an error if the measurement is not valid.

        Raises:
            GateError: with every reason.
        """
        from edge_fm_runtime.errors import GateError

        if not self.verdict.valid:
            raise GateError(
                "The measurement is INVALID.",
                list(self.verdict.reasons),
                hint="Measure again on a machine that does nothing else; --duration longer steadies the figures.",
            )


def benchmark(
    artifacts: Sequence[str | Path] = (),
    *,
    against: str | Path | None = None,
    batches: Sequence[int] = (1,),
    duration_s: float = DURATION_S,
    min_samples: int = MIN_SAMPLES,
    photo: str | Path | None = None,
    skip: Collection[str] = (),
    profile: bool = False,
    scaling: bool = False,
    out: str | Path | None = None,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> BenchmarkResult:
    """Time artifacts, the Keras original and its SavedModel, interleaved in one run.

    Args:
        artifacts: what to measure; none for all artifacts of the newest export, or, where there is none, the artifact
            in the package; `$EDGEFM_MODEL` comes before both.
        against: a run, a Keras file or a trained model of the package to measure beside them; "none" for artifacts
            alone; None for the run that an artifact lies in.
        batches: batch sizes.
        duration_s: counted seconds of each case and batch; half of it for photos and for throughput.
        min_samples: least number of counted calls of each case and batch.
        photo: photo to time from file to class; None for one made from the artifact's golden inputs.
        skip: what to leave out, of `PARTS`.
        profile: show where the time goes.
        scaling: measure growth with batch, threads, image size and model size.
        out: folder for benchmark.json and benchmark.html; None writes nothing.
        engine: library that runs the artifacts; "web" runs those of format web in headless Chromium, and the others on
            their own engine.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        progress: called as work goes on.
        note: called with the choices that were made.

    Returns:
        The figures; call `require_valid()` to insist on a valid measurement.

    Raises:
        EdgeFMError: an artifact or the original cannot be read or run.
        ValueError: `skip` names an unknown part.
    """
    from edge_fm.evaluation.benchmark.benchmark import run_benchmark
    from edge_fm.evaluation.benchmark.cases import closing_engines
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions
    from edge_fm_runtime.system.scratch import scratch_folder

    if unknown := {*skip} - {*PARTS}:
        raise ValueError(f"Unknown parts: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}.")
    if out is not None:
        from edge_fm.evaluation.page import require_pages

        require_pages()
    paths = [Path(a) for a in artifacts] or newest_exports(note)
    opened = [load_artifact(p) for p in paths]
    original = _original(against, [artifact.path for artifact in opened], note)
    cases = _cases(opened, original, engine, EngineOptions(device, threads), skip, progress)
    with closing_engines(cases), scratch_folder() as scratch:
        timed = None if photo is None else Path(photo)
        if timed is None and "photos" not in skip:
            timed = _sample_photo(cases[0], scratch)
        report = run_benchmark(
            cases,
            batches=tuple(batches),
            duration_s=duration_s,
            min_samples=min_samples,
            starts=0 if "starts" in skip else _STARTS,
            streams="streams" not in skip,
            photo=None if "photos" in skip else timed,
            progress=progress,
        )
        if profile:
            from edge_fm.evaluation.benchmark.profile import profile_cases

            report = replace(report, profiles=tuple(profile_cases(cases, timed, progress=progress)))
        if scaling:
            from edge_fm.evaluation.benchmark.scaling import measure_scaling

            report = replace(report, scaling=measure_scaling(cases, duration_s=duration_s / 4, progress=progress))
        printed = report.to_json()  # asks the engines what really ran
    written: tuple[Path, ...] = ()
    if out is not None:
        from edge_fm.evaluation.benchmark.page import write_benchmark

        written = tuple(write_benchmark(printed, Path(out)))
        note(f"Wrote {' and '.join(str(p) for p in written)}")
    return BenchmarkResult(printed, report.verdict, tuple(a.path for a in opened), written)


def _cases(
    opened: list[Artifact],
    original: Path | None,
    engine: str,
    options: EngineOptions,
    skip: Collection[str],
    progress: ProgressFn,
) -> list[Case]:
    """Artifacts, the original and its SavedModel, the bare libraries, and nothing."""
    from edge_fm.api.common.engines import ALL_ENGINES, select_engine
    from edge_fm.evaluation.benchmark.cases import artifact_case, bare_case, null_case, reference_cases
    from edge_fm_runtime.artifacts.artifact import load_artifact

    cases, bare = [], []
    for artifact in opened:
        selected = select_engine(artifact, engine, beside=opened)
        case = artifact_case(artifact, selected, options, registry=ALL_ENGINES)
        if sum(other.metadata.name == artifact.metadata.name for other in opened) > 1:
            case = replace(case, model=str(artifact.path))  # artifacts of two runs may have one name
        cases.append(case)
        if "bare" not in skip and (beside := bare_case(artifact, cases[-1])) is not None:
            bare.append(beside)
    images = cases[0].images
    if original is not None:
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
        return folder / "none.jpg"  # no case of this model classifies photos
    return sample_photo(case.images[0], folder / "photo.jpg")


def newest_exports(note: MessageFn) -> list[Path]:
    """What is measured where no artifact is named: all of the newest export, else the one that `infer` would take.

    Raises:
        ArtifactError: there is none.
    """
    newest = latest_export()
    if newest is None or os.environ.get(MODEL_VARIABLE):
        return [select_artifact(None, note)]
    found = sorted(p.parent for p in newest.parent.glob("*/edgefm.json"))
    note(f"Artifacts: all {len(found)} in {newest.parent}")
    return found


def _original(against: str | Path | None, paths: list[Path], note: MessageFn) -> Path | None:
    if against == "none":
        return None
    if against is not None:
        from edge_fm.models.records import trained_model

        return trained_model(against)
    run = paths[0].resolve().parents[1]
    if paths[0].resolve().parent.name == EXPORTS and is_run(run):
        note(f"Original: {run} (leave it out with --against none)")
        return run
    return None


def _savedmodel_beside(path: Path) -> Path | None:
    found = sorted(path.resolve().parent.glob("*-savedmodel-fp32/edgefm.json"))
    return found[0].parent if found else None
