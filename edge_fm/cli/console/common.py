"""What the commands share: options, output, progress, and which artifact or run is meant."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from edge_fm.cli.console.printable import printable, printable_json
from edge_fm.cli.console.progress_bar import progress_bar, tell
from edge_fm_runtime.artifacts.metadata import MAX_CHANNELS, MAX_SIDE
from edge_fm_runtime.progress import ProgressFn, silent

F = TypeVar("F", bound=Callable[..., Any])


def output_options(function: F) -> F:
    """Add `--json` and `--quiet`, which every command takes."""
    function = click.option("--quiet", "-q", is_flag=True, help="No progress, notes or next commands on stderr.")(
        function
    )
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout instead of a table.")(function)


def skip_unreadable_option(function: F) -> F:
    """Add `--skip-unreadable`."""
    return click.option(
        "--skip-unreadable",
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="Leave out pictures of a folder that cannot be read, up to this share of them, such as 0.02; they are "
        "listed. Default: none, or what the run's training left out.",
    )(function)


def engine_options(function: F) -> F:
    """Add `--engine`, `--device` and `--threads`."""
    from edge_fm_runtime.engines import ENGINES

    function = click.option(
        "--threads", type=click.IntRange(1), help="Compute threads. Default: as many as this process may use."
    )(function)
    function = click.option(
        "--device",
        default="CPU",
        show_default=True,
        metavar="CPU|GPU|NPU",
        callback=lambda _, __, value: value.upper(),
        help="Where to run; never replaced by another.",
    )(function)
    names = ["auto", *ENGINES]
    return click.option(
        "--engine", type=click.Choice(names), default="auto", show_default=True, help="Library that runs the artifact."
    )(function)


@dataclass(frozen=True)
class Talk:
    """What a command tells a person, all on stderr."""

    quiet: bool

    def note(self, text: str) -> None:
        """One line of progress, choice or warning; control characters are escaped."""
        if not self.quiet:
            tell(printable(text, lines=True))

    def warn(self, text: str) -> None:
        """A warning that --quiet does not silence: what the result is worth depends on it."""
        tell(f"WARNING: {printable(text, lines=True)}")

    def next(self, *commands: str) -> None:
        """The exact next commands."""
        for command in commands:
            self.note(f"Next: {printable(command)}")

    @contextmanager
    def progress(self) -> Iterator[ProgressFn]:
        """A rich progress bar on stderr; yields the function that moves it."""
        if self.quiet:
            yield silent
            return
        with progress_bar() as move:
            yield move


def word(value: str | Path) -> str:
    """A path or source as a shell takes it, for the commands that a person pastes."""
    return shlex.quote(str(value))


def say(text: str) -> None:
    """Print text on stdout, as a result; control characters are escaped."""
    click.echo(printable(text, lines=True))


def print_json(value: object) -> None:
    """Print one JSON value on stdout."""
    click.echo(printable_json(value, indent=2))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    wraps: Sequence[str] = (),
    lesser: Sequence[str] = (),
) -> None:
    """Print a table on stdout, control characters escaped; on a narrow terminal no name, value or verdict of it is cut.

    Args:
        title: above the table.
        columns: headings; the first column names the row.
        rows: cells as text.
        right: numbers of the columns that are aligned right.
        wraps: headings of the columns of prose, which may be broken between words.
        lesser: headings of the columns that a narrow terminal may do without, the first one first.
    """
    from edge_fm.cli.console.tables import Column, show

    if unknown := {*wraps, *lesser} - {*columns}:
        raise ValueError(f"No columns are called {', '.join(sorted(unknown))}.")
    made = [
        Column(printable(column), tuple(printable(row[i]) for row in rows), right=i in right, wraps=column in wraps)
        for i, column in enumerate(columns)
    ]
    show(printable(title), made, lesser=[printable(column) for column in lesser])


def parse_shape(text: str | None) -> tuple[int, int, int] | None:
    """Read `--size`, such as "28x28x1"; None where it was not given."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and part.strip("0") for part in parts):
        raise click.BadParameter(f"{text!r} is not HEIGHTxWIDTHxCHANNELS, such as 28x28x1.", param_hint="--size")
    height, width, channels = (int(part) if len(part) < 10 else MAX_SIDE + 1 for part in parts)
    if max(height, width) > MAX_SIDE or channels > MAX_CHANNELS:
        raise click.BadParameter(
            f"{text!r} is too large; at most {MAX_SIDE}x{MAX_SIDE} pixels of {MAX_CHANNELS} channels are supported.",
            param_hint="--size",
        )
    return height, width, channels


def artifact_word(artifact: str | Path) -> str:
    """How an artifact is named in a command that a person pastes: one of the package by its name."""
    from edge_fm_runtime.artifacts.packaged import packaged_artifact

    path = Path(artifact)
    return word(path.name if packaged_artifact(path.name) == path and not Path(path.name).exists() else path)
