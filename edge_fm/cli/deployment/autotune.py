"""`edgefm autotune`: how a model runs fastest on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edge_fm.api.autotune import DURATION_S, MAX_DROP_POINTS, autotune, batch_in_words
from edge_fm.cli.console.common import Talk, artifact_word, output_options, print_json, print_table, say

if TYPE_CHECKING:
    from edge_fm_runtime.measurement.autotune import Candidate, Tuning


@click.command("autotune")
@click.argument("artifacts", nargs=-1, required=True, metavar="ARTIFACT...")
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=MAX_DROP_POINTS,
    show_default=True,
    help="Accuracy that the choice may have lost at export, in points.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0.02),
    default=DURATION_S,
    show_default=True,
    help="Counted seconds of each way to run.",
)
@click.option(
    "--allow-load", is_flag=True, help="Keep the result even if other programs used the CPU during the measurement."
)
@output_options
def command(
    artifacts: tuple[str, ...], max_drop: float, duration: float, allow_load: bool, as_json: bool, quiet: bool
) -> None:
    """Measure engines, threads and static or dynamic batch, and keep each artifact's fastest in the device profile.

    ARTIFACTs are formats and precisions of one model. `edgefm infer` over many photos and `Classifier.load`, with
    engine auto, then run each of these very artifacts in its fastest way, on this machine as it is now; a single photo
    keeps the engine that starts fastest. The profile is $EDGEFM_PROFILE, else profile.json in the user's cache folder.
    What was measured while other programs used the CPU, or the CPU was throttled, is printed but not kept: exit code 3.
    """
    talk = Talk(quiet)
    with talk.progress() as progress:
        result = autotune(artifacts, max_drop=max_drop, duration_s=duration, allow_load=allow_load, progress=progress)
    tuning = result.tuning
    for line in tuning.skipped:
        talk.note(f"Skipped: {line}")
    if as_json:
        print_json(result.to_json())
    else:
        _print(tuning, max_drop)
    path = result.require_kept()
    if not result.verdict.valid:
        talk.note(f"INVALID, kept because of --allow-load: {'; '.join(result.verdict.reasons)}")
    talk.note(f"Wrote {path}")
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(tuning.best.artifact.path)}")


def _print(tuning: Tuning, max_drop: float) -> None:
    cells = [
        [
            *(c.artifact.metadata.name, c.artifact.metadata.precision, c.engine),
            *(str(c.threads), batch_in_words(c), f"{c.p50_ms:.3f}", _drop(c)),
        ]
        for c in tuning.candidates
    ]
    columns = ["artifact", "precision", "engine", "threads", "batch", "p50 ms", "drop, points"]
    lesser = ["drop, points", "precision"]
    print_table("One image, fastest first", columns, cells, right=(3, 5, 6), lesser=lesser)
    best = tuning.best
    say(
        f"Fastest within {max_drop:g} points: {best.artifact.path} on {best.engine}, "
        f"{best.threads} {'thread' if best.threads == 1 else 'threads'}"
    )


def _drop(candidate: Candidate) -> str:
    return "unknown" if candidate.drop_points is None else f"{candidate.drop_points:.2f}"
