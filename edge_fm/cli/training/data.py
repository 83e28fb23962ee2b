"""`edgefm data`: fetch, describe and show datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edge_fm.api.datasets import CONTACT_SHEET, PER_CLASS
from edge_fm.cli.console.console import Console, print_line, shell_word
from edge_fm.cli.console.dataset_tables import print_dataset
from edge_fm.cli.console.printable import printable_error
from edge_fm.cli.options import COUNT, PATH, console_options, size_option, source_options


@click.group("data")
def command() -> None:
    """Fetch a dataset, print its counts and hashes, or look at it.

    SOURCE is fashion-mnist, fashion-mnist-mini, an image folder, a manifest (.csv or .jsonl: a row for each
    image file), a .npz, .npy or .csv file, or a folder of IDX files.
    """


@command.command("fetch", short_help="Get a dataset, with checked sums.")
@click.argument("name", type=click.Choice(["fashion-mnist", "clothing-photos"]))
@console_options
def fetch_command(console: Console, name: str) -> None:
    """Get the whole of a dataset into $EDGEFM_DATA or the cache folder, with checked sums."""
    from edge_fm.api.datasets import fetch_data

    fetched = console.call(fetch_data, name=name)
    console.show(fetched, print_line, str(fetched.path))
    if name == "clothing-photos":
        manifest = shell_word(str(fetched.path / "photos.csv"))
        console.next(f"edgefm data info {manifest} --group sender", f"edgefm train --data {manifest} --group sender")
    else:
        console.next(f"edgefm data info {name}", "edgefm train")


@command.command("info")
@click.argument("source", metavar="SOURCE")
@size_option
@source_options
@console_options
def info_command(console: Console, **options: Any) -> None:
    """Print counts, label balance, copies and hashes."""
    from edge_fm.api.datasets import describe_data

    described = console.call(describe_data, **options)
    console.show(described, print_dataset)
    if console.as_json:
        return
    if described.not_trainable is not None:
        console.note(f"edgefm train would refuse it: {printable_error(described.not_trainable)}")
        console.next(f"edgefm data show {_pasted(**options)}")
        return
    copies = described.facts["duplicates"]
    twice = copies["train"] or copies["test_in_train"] or copies.get("validation_in_train")
    source = _pasted(**options)
    # Where copies have different labels, dropping them would be refused.
    without_copies = " --set data.deduplicate=true" if twice and not described.facts["label_conflicts"] else ""
    console.next(f"edgefm data show {source}", f"edgefm train --data {source}{without_copies}")


@command.command("show", short_help="Write a contact sheet of some images.")
@click.argument("source", metavar="SOURCE")
@size_option
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="Which images.",
)
@click.option("--per-class", type=COUNT, default=PER_CLASS, show_default=True, help="Images of each class.")
@click.option("--out", type=PATH, default=CONTACT_SHEET, show_default=True, help="PNG to write.")
@click.option(
    "--augmented",
    metavar="RECIPE",
    help="Show what the augmentation of this recipe makes of some images: each operation alone, then all together.",
)
@source_options
@console_options
def show_command(
    console: Console, split: str, per_class: int, out: Path, augmented: str | None, **options: Any
) -> None:
    """Write a contact sheet: some images of each class, or what a recipe's augmentation makes of some images."""
    from edge_fm.api.datasets import draw_data

    sheet = console.call(draw_data, split=split, per_class=per_class, out=out, augmented=augmented, **options)
    console.show(sheet, print_line, str(sheet.path))
    if augmented == "photo":  # which `train` runs by itself, at a size of its own
        options["size"] = None
    console.next(f"edgefm train --data {_pasted(**options)}")


def _pasted(
    source: str,
    size: tuple[int, ...] | None,
    skip_unreadable: float | None,
    group: str | None,
    label_column: str | None,
) -> str:
    """A source with the options without which it could not be read, for the next commands."""
    sized = f" --size {'x'.join(map(str, size))}" if size else ""
    named = (("--group", group), ("--label-column", label_column))
    columns = "".join(f" {option} {shell_word(value)}" for option, value in named if value)
    skipped = f" --skip-unreadable {skip_unreadable:g}" if skip_unreadable else ""
    return shell_word(source) + sized + columns + skipped
