"""`edgefm verify`: does an artifact still predict what the original predicts?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.artifact_tables import print_verification
from edge_fm.cli.console.console import Console, artifact_name
from edge_fm.cli.options import COUNT, PATH, SECONDS, console_options, source_options, with_browser_engine
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE

if TYPE_CHECKING:
    from edge_fm_runtime.parity.verification import Verification


@click.command("verify")
@click.argument("artifact", metavar="[ARTIFACT]", required=False)
@click.option("--against", metavar="RUN|MODEL.keras", help="Compare with the original on a test set.")
@click.option("--data", metavar="SOURCE", help="Images for --against. Default: the run's own test split.")
@click.option(
    "--signed-by",
    type=PATH,
    metavar="PUBLIC_KEY",
    help="Fail unless the artifact is signed with this key's private key, and just as it was signed. Default: "
    f"${REQUIRE_SIGNATURE}, else no signature is required.",
)
@click.option(
    "--server",
    metavar="URL",
    help="Ask a server that runs the artifact, such as http://localhost:8000, in place of an engine here.",
)
@click.option("--model-name", metavar="NAME", help="Name of the model on that server. Default: the artifact's.")
@click.option("--model-version", type=COUNT, metavar="N", help="Its version. Default: the one that the server takes.")
@click.option(
    "--server-api",
    type=click.Choice(["kserve", "tfserving"]),
    default="kserve",
    show_default=True,
    help="kserve: the Open Inference Protocol (Triton, OpenVINO Model Server, edgefm serve); tfserving: TensorFlow "
    "Serving's REST API.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=SECONDS,
    metavar="SECONDS",
    help="With --server: how long each response may take, to its last byte. Default: 60.",
)
@source_options
@with_browser_engine
@console_options
def command(console: Console, **options: Any) -> None:
    """Check hashes and metadata, then replay the golden predictions on this device's own engine.

    With --against, the original predicts the whole test set beside the artifact; a model that is not its original
    fails. Exits with 3 if a check fails.
    Agreement and accuracy drop are checked against what so many images can show, as in `edgefm export`.
    With --signed-by, nothing of the artifact is read before its signature holds for every file of the folder.
    With --server, the golden predictions are replayed through a running server.
    Without ARTIFACT it is the one that `edgefm infer` would take.
    """
    from edge_fm.api.verify import verify
    from edge_fm_runtime.parity.checks import doubts

    of_images = ("data", "skip_unreadable", "group", "label_column")
    if options["against"] is None and (given := [name for name in of_images if options[name] is not None]):
        option = "--" + given[0].replace("_", "-")
        raise click.UsageError(f"{option} goes with --against: the golden predictions carry their own images.")
    result = console.call(verify, **options)
    console.show(result, print_verification)
    for warning in (*result.warnings, *doubts(result.checks, result.parity.n)):
        console.warn(warning)
    if not result.passed:
        console.note(f"Verification failed: {_advice(result, options['against'], options['server'])}")
        sys.exit(3)
    console.next(f"edgefm infer photo.jpg --model {artifact_name(result.artifact)}")


def _advice(result: Verification, against: str | None, server: str | None) -> str:
    """What to do about the failed checks."""
    if server is not None:
        return (
            f"{server} does not predict as this artifact does; see which model it runs (--model-name, --model-version) "
            f"and whether the artifact passes here: edgefm verify {artifact_name(result.artifact)}"
        )
    if against is not None:
        from edge_fm_export.gate.same_original import SAME_CHECKS

        if any(check.name.endswith(SAME_CHECKS) and not check.passed for check in result.checks):
            return f"{against} is not the original of this artifact; name that: --against RUN|MODEL.keras"
    return "do not ship this artifact; export it again: edgefm export"
