"""`edgefm drift`: whether what a device sees has changed since the export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import Console, print_line, print_table
from edge_fm.cli.console.printable import printable_name
from edge_fm.cli.options import COUNT, batch_size_option, console_options, engine_options, signature_option
from edge_fm_runtime.defaults import BATCH_SIZE
from edge_fm_runtime.drift.limits import ALPHA, LEAST_ALPHA, MOST_ALPHA
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from edge_fm.api.artifacts.drift import DriftResult
    from edge_fm_runtime.drift.comparison import DriftTest

_CHANGED = 5
"""Exit code of --fail-on-change."""


@click.command("drift")
@click.argument("artifact", metavar="ARTIFACT")
@click.argument("photos", nargs=-1, required=True, metavar="PHOTOS...")
@click.option(
    "--alpha",
    type=click.FloatRange(LEAST_ALPHA, MOST_ALPHA),
    default=ALPHA,
    show_default=True,
    help="False-alarm rate: the chance of 'changed' where nothing has changed, all tests together.",
)
@click.option("--fail-on-change", is_flag=True, help=f"Exit with code {_CHANGED} where a test says 'changed'.")
@click.option("--recursive", "-r", is_flag=True, help="Look into subfolders too.")
@engine_options
@batch_size_option(BATCH_SIZE)
@click.option("--max-pixels", type=COUNT, help=f"Refuse larger photos. Default: {DEFAULT_MAX_PIXELS:,}.")
@signature_option
@console_options
def command(console: Console, *, fail_on_change: bool, **options: Any) -> None:
    """Compare what a device sees now with the held-out images that ARTIFACT records, by statistical tests.

    PHOTOS are files, folders, glob patterns, or - for a list on stdin; at least 30, better 300, taken independently of
    each other. The result is 'changed', with the tests that say so, or 'not seen to have changed'; whether predictions
    are right no test can tell without labels. A photo that cannot be read is named on stderr, the rest are compared,
    and the exit code is 4.
    """
    from edge_fm.api.artifacts.drift import drift

    result = console.call(drift, **options)
    console.show(result, _print_result)
    for text in result.notes:
        console.note(f"Note: {text}")
    for failure in result.failures:
        console.failed(printable_name(failure.input), failure.error)
    if fail_on_change and result.changed:
        sys.exit(_CHANGED)
    if result.failures:
        sys.exit(4)


def _print_result(result: DriftResult) -> None:
    named = [test.name for test in result.tests if test.changed]
    verdict = f"Changed: {', '.join(named)}" if named else "Not seen to have changed"
    title = (
        f"{verdict}. {result.photos:,} photos beside {result.held_out:,} held-out images ({result.dataset}) of "
        f"{Path(result.artifact)}"
    )
    rows = [
        [
            test.name,
            *_means(test),
            f"{test.p_value:.2g}",
            f"{test.adjusted_p:.2g}",
            "changed" if test.changed else "-",
        ]
        for test in result.tests
    ]
    print_table(title, ["test", "held out", "now", "p", "Holm's p", "verdict"], rows, right=(1, 2, 3, 4))
    print_line(
        f"Where nothing has changed, a run says 'changed' with a chance of at most {100 * result.alpha:g}% (Holm's p "
        f"at most {result.alpha:g}), if photos are independent."
    )


def _means(test: DriftTest) -> list[str]:
    """What the test compares, as two numbers; the share of the class that changed most, by its name."""
    if test.reference is None or test.now is None:
        return ["", ""]
    if test.label is None:
        return [f"{test.reference:.4g}", f"{test.now:.4g}"]
    return [f"{test.label} {100 * test.reference:.1f}%", f"{100 * test.now:.1f}%"]
