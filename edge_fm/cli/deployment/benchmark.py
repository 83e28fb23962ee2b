"""`edgefm benchmark`: what artifacts cost, beside the original."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.api.benchmark import DURATION_S, MIN_SAMPLES, PARTS, benchmark
from edge_fm.cli.console.benchmark_tables import print_report
from edge_fm.cli.console.common import Talk, artifact_word, engine_options, output_options, print_json
from edge_fm.cli.deployment.benchmark_scenarios import scenario_options


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
    default=DURATION_S,
    show_default=True,
    help="Counted seconds of each case and batch; half of it for photos and for throughput. Below 1: INVALID.",
)
@click.option(
    "--min-samples",
    type=click.IntRange(1),
    default=MIN_SAMPLES,
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
    talk = Talk(quiet)
    with talk.progress() as progress:
        result = benchmark(
            artifacts,
            against=against,
            batches=batches or (1,),
            duration_s=duration,
            min_samples=min_samples,
            photo=photo,
            skip=skip,
            profile=profiled,
            scaling=scaled,
            out=out,
            engine=engine,
            device=device,
            threads=threads,
            progress=progress,
            note=talk.note,
        )
    printed = result.to_json()
    if as_json:
        print_json(printed)
    else:
        print_report(printed)
    reasons = result.verdict.reasons
    if not result.verdict.valid:
        talk.note(f"INVALID: {len(reasons)} reasons, the first: {reasons[0]}")
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(result.artifacts[0])}")
    if strict:
        result.require_valid()
