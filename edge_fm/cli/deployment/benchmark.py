"""`edgefm benchmark`: what artifacts cost, beside the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_fm.api.benchmark import DURATION_S, PARTS, benchmark
from edge_fm.cli.console.benchmark_tables import print_report
from edge_fm.cli.console.console import Console, artifact_name
from edge_fm.cli.deployment.benchmark_scenarios import run_scenarios, scenario_options
from edge_fm.cli.options import COUNT, PATH, console_options, signature_option, with_browser_engine
from edge_fm.evaluation.benchmark.statistics import Rules
from edge_fm_runtime.measurement.latency import MIN_SAMPLES

_RULES = Rules()


@click.command("benchmark")
@click.argument("artifacts", nargs=-1, metavar="[ARTIFACT]...")
@click.option(
    "--against",
    metavar="RUN|MODEL.keras|none",
    help="The original to measure beside them. Default: the run that an artifact lies in; none: artifacts alone.",
)
@click.option("--batch", "batches", multiple=True, type=COUNT, help="Batch size; may be repeated. Default: 1.")
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0.05),
    default=DURATION_S,
    show_default=True,
    help="Counted seconds of each case and batch; half of it for photos and for throughput. "
    f"Below {_RULES.min_duration_s:g}: INVALID.",
)
@click.option(
    "--min-samples",
    type=COUNT,
    default=MIN_SAMPLES,
    show_default=True,
    help=f"Least number of counted calls of each case and batch. Below {_RULES.min_samples}: INVALID.",
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
@click.option("--profile", is_flag=True, help="Show where the time goes: stages of a photo, and operators.")
@click.option(
    "--scaling",
    is_flag=True,
    help="Measure growth with batch (1 to 256), threads, image size and model size, beside this machine's roofline.",
)
@click.option("--strict", is_flag=True, help="Exit with code 3 if the measurement is INVALID.")
@click.option("--out", type=PATH, metavar="DIR", help="Write benchmark.json and benchmark.html there too.")
@scenario_options
@with_browser_engine
@signature_option
@console_options
def command(console: Console, **options: Any) -> None:
    """Time artifacts, the Keras original (called and through predict) and its SavedModel, interleaved in one run.

    Without ARTIFACT, all artifacts of the newest export are measured; where nothing is exported here, the one in the
    package; where $EDGEFM_MODEL is set, that one. Load time, first inference and peak memory come
    from fresh processes. A percentile that the number of samples does not support is left out. The whole run is VALID,
    or INVALID with the reasons: too short, unstable, throttled, other load seen.
    """
    if run_scenarios(console, options):
        return
    strict, batches = options.pop("strict"), options.pop("batches") or (1,)
    result = console.call(benchmark, batches=batches, **options)
    console.show(result, print_report, result.to_json())
    if not result.verdict.valid:
        console.note(result.verdict.sentence())
    console.next(f"edgefm infer photo.jpg --model {artifact_name(result.artifacts[0])}")
    if strict:
        result.require_valid()
