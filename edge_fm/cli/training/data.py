"""`edgefm data`: fetch, describe and show datasets."""

from __future__ import annotations

from pathlib import Path

import click

from edge_fm.api.datasets import CONTACT_SHEET, PER_CLASS
from edge_fm.cli.console.common import (
    Talk,
    output_options,
    parse_shape,
    print_json,
    print_table,
    say,
    skip_unreadable_option,
    word,
)


@click.group("data")
def command() -> None:
    """Fetch a dataset, print its counts and hashes, or look at it.

    SOURCE is fashion-mnist, fashion-mnist-mini, an image folder, a .npz, .npy or .csv file, or a folder of IDX files.
    """


@command.command("fetch")
@click.argument("name", type=click.Choice(["fashion-mnist"]))
@output_options
def fetch_command(name: str, as_json: bool, quiet: bool) -> None:
    """Get the whole of a dataset into $EDGEFM_DATA or the cache folder, with checked sums."""
    from edge_fm.api.datasets import fetch_data

    talk = Talk(quiet)
    with talk.progress() as progress:
        fetched = fetch_data(progress=progress, note=talk.note)
    if as_json:
        print_json(fetched.to_json())
    else:
        say(str(fetched.path))
    talk.next(f"edgefm data info {name}", "edgefm train")


@command.command("info")
@click.argument("source", metavar="SOURCE")
@click.option("--size", metavar="HxWxC", help="Bring images to this height, width and channels, such as 28x28x1.")
@skip_unreadable_option
@output_options
def info_command(source: str, size: str | None, skip_unreadable: float | None, as_json: bool, quiet: bool) -> None:
    """Print counts, label balance, copies and hashes."""
    from edge_fm.api.datasets import describe_data

    talk = Talk(quiet)
    shape = parse_shape(size)
    with talk.progress() as progress:
        described = describe_data(
            source, size=shape, skip_unreadable=skip_unreadable, progress=progress, note=talk.note
        )
    info = described.to_json()
    if as_json:
        print_json(info)
        return
    splits = list(info["splits"])
    rows = [
        [label, *(str(info["splits"][s]["balance"].get(label, 0)) for s in splits)] for label in info["label_names"]
    ]
    rows.append(["all", *(str(info["splits"][s]["n"]) for s in splits)])
    sides = "x".join(map(str, info["shape"]))
    title = f"{info['name']}: {sides}, content {info['hash'][:16]}"
    print_table(title, ["label", *splits], rows, right=range(1, len(splits) + 1))
    copies = info["duplicates"]
    say(
        f"Copies beyond the first: {copies['train']:,} in train, {copies['test']:,} in test; "
        f"test images that are in train too: {copies['test_in_train']:,}"
        + (f"; validation images that are: {copies['validation_in_train']:,}." if "validation" in splits else ".")
    )
    if info.get("files"):
        print_table("Files", ["file", "SHA-256"], [[n, f["sha256"]] for n, f in info["files"].items()])
    twice = copies["train"] or copies["test_in_train"] or copies.get("validation_in_train")
    clean = " --set data.deduplicate=true" if twice else ""
    given = _given(source, size, skip_unreadable)
    talk.next(f"edgefm data show {given}", f"edgefm train --data {given}{clean}")


def _given(source: str, size: str | None, skip_unreadable: float | None) -> str:
    """A source with the options without which it could not be read, for the next commands."""
    sized = f" --size {word(size)}" if size else ""
    return word(source) + sized + (f" --skip-unreadable {skip_unreadable:g}" if skip_unreadable else "")


@command.command("show")
@click.argument("source", metavar="SOURCE")
@click.option("--size", metavar="HxWxC", help="Bring images to this height, width and channels, such as 28x28x1.")
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="Which images.",
)
@click.option("--per-class", type=click.IntRange(1), default=PER_CLASS, show_default=True, help="Images of each class.")
@click.option("--out", type=click.Path(path_type=Path), default=CONTACT_SHEET, show_default=True, help="PNG to write.")
@skip_unreadable_option
@output_options
def show_command(
    source: str,
    size: str | None,
    skip_unreadable: float | None,
    split: str,
    per_class: int,
    out: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a contact sheet: some images of each class."""
    from edge_fm.api.datasets import draw_data

    talk = Talk(quiet)
    shape = parse_shape(size)
    with talk.progress() as progress:
        sheet = draw_data(
            source,
            size=shape,
            split=split,
            per_class=per_class,
            out=out,
            skip_unreadable=skip_unreadable,
            progress=progress,
            note=talk.note,
        )
    if as_json:
        print_json(sheet.to_json())
    else:
        say(str(sheet.path))
    talk.next(f"edgefm train --data {_given(source, size, skip_unreadable)}")
