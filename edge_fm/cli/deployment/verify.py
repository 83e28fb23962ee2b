"""`edgefm verify`: does an artifact still answer like the original?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from edge_fm.cli.console.common import (
    Talk,
    artifact_word,
    engine_options,
    output_options,
    print_json,
    print_table,
    skip_unreadable_option,
)

if TYPE_CHECKING:
    from edge_fm_runtime.parity.verification import Verification


@click.command("verify")
@click.argument("given", metavar="[ARTIFACT]", required=False)
@click.option("--against", metavar="RUN|MODEL.keras", help="Compare with the original on a test set.")
@click.option("--data", "source", metavar="SOURCE", help="Images for --against. Default: the run's own test split.")
@skip_unreadable_option
@engine_options
@output_options
def command(
    given: str | None,
    against: str | None,
    source: str | None,
    skip_unreadable: float | None,
    engine: str,
    device: str,
    threads: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Check hashes and metadata, then replay the golden answers on this device's own engine.

    With --against, the original answers the whole test set beside the artifact. Exits with 3 if a check fails.
    Agreement and accuracy drop are judged by what so many images can show, as in `edgefm export`.
    Without ARTIFACT it is the one that `edgefm infer` would take.
    """
    from edge_fm.api.verify import verify
    from edge_fm_runtime.parity.comparison import doubts

    if against is None and (source is not None or skip_unreadable is not None):
        option = "--data" if source is not None else "--skip-unreadable"
        raise click.UsageError(f"{option} goes with --against: the golden answers carry their own images.")
    talk = Talk(quiet)
    with talk.progress() as progress:
        result = verify(
            given,
            against=against,
            data=source,
            skip_unreadable=skip_unreadable,
            engine=engine,
            device=device,
            threads=threads,
            progress=progress,
            note=talk.note,
        )
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    for warning in result.warnings:
        talk.warn(warning)
    for doubt in doubts(result.checks, result.parity.n):
        talk.warn(doubt)
    if not result.passed:
        talk.note("Verification failed: do not ship this artifact; export it again: edgefm export")
        sys.exit(3)
    talk.next(f"edgefm infer photo.jpg --model {artifact_word(result.artifact)}")


def _print(result: Verification) -> None:
    rows = [[check.name, f"{check.value:.6g}", f"{check.limit:.6g}", check.verdict] for check in result.checks]
    title = (
        f"{result.artifact}: {'PASSED' if result.passed else 'FAILED'} on {result.parity.n} images "
        f"({result.engine}, {result.device}, {result.precision})"
    )
    print_table(title, ["check", "value", "limit", "verdict"], rows, right=(1, 2))
