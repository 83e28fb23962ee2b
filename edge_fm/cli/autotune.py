"""`edgefm autotune`: how a model runs fastest on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.common import Talk, artifact_word, output_options, print_json, print_table, say

if TYPE_CHECKING:
    from edge_fm_runtime.autotune import Candidate, Tuning


@click.command("autotune")
@click.argument("artifacts", nargs=-1, required=True, metavar="ARTIFACT...")
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    default=0.5,
    show_default=True,
    help="Accuracy that the choice may have lost at export, in points.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0.02),
    default=0.3,
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
    from edge_fm.evaluation.conditions import Watch
    from edge_fm_runtime.artifact import load_artifact
    from edge_fm_runtime.autotune import autotune
    from edge_fm_runtime.device_profile import place_for_profile, save_choices
    from edge_fm_runtime.errors import GateError
    from edge_fm_runtime.user_cache import payload_hash

    talk = Talk(quiet)
    place_for_profile()  # before the measurement, which would be lost
    opened = [load_artifact(Path(path)) for path in artifacts]
    watch = Watch()
    with talk.progress() as progress:

        def watched(stage: str, done: int, total: int | None) -> None:
            watch.look()
            progress(stage, done, total)

        tuning = autotune(opened, max_drop_points=max_drop, duration_s=duration, progress=watched)
    verdict = watch.stop().verdict()
    for line in tuning.skipped:
        talk.note(f"Skipped: {line}")
    choices = {}
    for candidate in reversed(tuning.candidates):  # the fastest of each artifact is written last
        if (digest := payload_hash(candidate.artifact)) is not None:
            choices[digest] = candidate.choice()
    if (digest := payload_hash(tuning.best.artifact)) is not None:
        choices[digest] = tuning.best.choice()
    kept = verdict.valid or allow_load
    path = save_choices(choices) if kept else None
    best = _row(tuning.best)
    if as_json:
        rows = [_row(c) for c in tuning.candidates]
        profile = None if path is None else str(path)
        print_json(
            {
                "best": best,
                "candidates": rows,
                "skipped": list(tuning.skipped),
                "profile": profile,
                **verdict.to_json(),
            }
        )
    else:
        _print(tuning, max_drop)
    if path is None:
        raise GateError(
            "The measurement is INVALID, so the device profile was left as it was.",
            list(verdict.reasons),
            hint="Measure again while this machine does nothing else, or keep what was measured: --allow-load",
        )
    if not verdict.valid:
        talk.note(f"INVALID, kept because of --allow-load: {'; '.join(verdict.reasons)}")
    talk.note(f"Wrote {path}")
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(best['artifact'])}")


def _print(tuning: Tuning, max_drop: float) -> None:
    cells = [
        [
            *(c.artifact.metadata.name, c.artifact.metadata.precision, c.engine),
            *(str(c.threads), _batch(c), f"{c.p50_ms:.3f}", _drop(c)),
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


def _batch(candidate: Candidate) -> str:
    fixed = candidate.artifact.metadata.input.batch
    if candidate.engine == "openvino":
        return "dynamic" if candidate.batch == 0 else f"static {fixed or 1}"
    return "dynamic" if fixed is None else f"static {fixed}"


def _drop(candidate: Candidate) -> str:
    return "unknown" if candidate.drop_points is None else f"{candidate.drop_points:.2f}"


def _row(candidate: Candidate) -> dict[str, Any]:
    return {
        "artifact": str(candidate.artifact.path),
        "engine": candidate.engine,
        "threads": candidate.threads,
        "batch": _batch(candidate),
        "p50_ms": candidate.p50_ms,
        "n": candidate.n,
        "drop_points": candidate.drop_points,
    }
