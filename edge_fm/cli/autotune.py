"""`edgefm autotune`: how a model runs fastest on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.common import Talk, output_options, print_json, print_table, word

if TYPE_CHECKING:
    from edge_fm_runtime.autotune import Candidate


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
@output_options
def command(artifacts: tuple[str, ...], max_drop: float, duration: float, as_json: bool, quiet: bool) -> None:
    """Measure engines, threads and static or dynamic batch, and keep each artifact's fastest in the device profile.

    ARTIFACTs are formats and precisions of one model. `edgefm infer` over many photos and `Classifier.load`, with
    engine auto, then run each of these very artifacts in its fastest way, on this machine as it is now; a single photo
    keeps the engine that starts fastest. The profile is $EDGEFM_PROFILE, else profile.json in the user's cache folder.
    """
    from edge_fm_runtime.artifact import load_artifact
    from edge_fm_runtime.autotune import autotune
    from edge_fm_runtime.device_profile import save_choices
    from edge_fm_runtime.user_cache import payload_hash

    talk = Talk(quiet)
    opened = [load_artifact(Path(path)) for path in artifacts]
    with talk.progress() as progress:
        tuning = autotune(opened, max_drop_points=max_drop, duration_s=duration, progress=progress)
    for line in tuning.skipped:
        talk.note(f"Skipped: {line}")
    choices = {}
    for candidate in reversed(tuning.candidates):  # the fastest of each artifact is written last
        if (digest := payload_hash(candidate.artifact)) is not None:
            choices[digest] = candidate.choice()
    if (digest := payload_hash(tuning.best.artifact)) is not None:
        choices[digest] = tuning.best.choice()
    path = save_choices(choices)
    best = _row(tuning.best)
    if as_json:
        rows = [_row(c) for c in tuning.candidates]
        print_json({"best": best, "candidates": rows, "skipped": list(tuning.skipped), "profile": str(path)})
    else:
        cells = [
            [c.artifact.metadata.name, c.engine, str(c.threads), _batch(c), f"{c.p50_ms:.3f}", _drop(c)]
            for c in tuning.candidates
        ]
        columns = ["artifact", "engine", "threads", "batch", "p50 ms", "drop, points"]
        print_table("One image, fastest first", columns, cells, right=(2, 4, 5))
        click.echo(
            f"Fastest within {max_drop:g} points: {best['artifact']} on {best['engine']}, {best['threads']} threads"
        )
    talk.note(f"Wrote {path}")
    talk.next(f"edgefm infer photo.jpg --model {word(best['artifact'])}")


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
