"""`edgefm autotune`: how a model runs fastest on this machine."""

from __future__ import annotations

from typing import Any

import click

from edge_fm.api.autotune import autotune
from edge_fm.cli.console.artifact_tables import print_tuning
from edge_fm.cli.console.console import Console, artifact_name
from edge_fm.cli.options import console_options, signature_option
from edge_fm_runtime.defaults import MAX_DROP_POINTS
from edge_fm_runtime.measurement.autotune import DURATION_S


@click.command("autotune")
@click.argument("artifacts", nargs=-1, required=True, metavar="ARTIFACT...")
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=MAX_DROP_POINTS,
    show_default=True,
    help="Accuracy that the selected artifact may have lost at export, in points.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0.02),
    default=DURATION_S,
    show_default=True,
    help="Counted seconds of each way to run.",
)
@click.option(
    "--allow-load", is_flag=True, help="Store the result even if other programs used the CPU during the measurement."
)
@signature_option
@console_options
def command(console: Console, **options: Any) -> None:
    """Measure engines, threads and static or dynamic batch, and store each artifact's fastest in the device profile.

    ARTIFACTs are formats and precisions of one model. `edgefm infer` over many photos and `Classifier.load`, with
    engine auto, then run each of these very artifacts in its fastest way, on this machine as it is now; a single photo
    uses the engine that starts fastest. The profile is $EDGEFM_PROFILE, else profile.json in the user's cache folder.
    A measurement during which other programs used the CPU, or the CPU was throttled, is printed but not stored: exit
    code 3.
    """
    result = console.call(autotune, **options)
    console.show(result, print_tuning, result.tuning, options["max_drop"])
    path = result.require_stored()
    if not result.verdict.valid:
        console.note(f"INVALID, stored because of --allow-load: {'; '.join(result.verdict.reasons)}")
    console.note(f"Wrote {path}")
    best = result.tuning.best
    name = artifact_name(best.artifact.path)
    console.next(f"edgefm verify --engine {best.engine} {name}", f"edgefm infer photos/ --model {name}")
