"""The console of a command: results on stdout; progress, notes and next commands on stderr."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click

from edge_fm.cli.console.printable import printable, printable_error, printable_json, printable_message, printable_name
from edge_fm.cli.console.progress_bar import print_message, progress_bar
from edge_fm_runtime.progress import ProgressFn, silent

T = TypeVar("T")


class HasJson(Protocol):
    """A result of `edge_fm.api`."""

    def to_json(self) -> Any: ...


@dataclass(frozen=True)
class Console:
    """Where a command prints.

    Attributes:
        as_json: print results as JSON instead of tables.
        quiet: print no progress, notes or next commands.
    """

    as_json: bool = False
    quiet: bool = False

    def note(self, text: str) -> None:
        """Print a note on stderr, as `printable_message` gives it."""
        if not self.quiet:
            print_message(printable_message(text))

    def warn(self, text: str) -> None:
        """Print a warning on stderr, also with --quiet: what the result is worth depends on it."""
        print_message(f"WARNING: {printable_message(text)}")

    def failed(self, name: str, error: Exception) -> None:
        """Print on stderr why an input failed, also with --quiet: the exit code alone does not say which."""
        print_message(f"{printable_name(name)}: {printable_error(error)}")

    def next(self, *commands: str) -> None:
        """Print the exact next commands on stderr."""
        if not self.quiet:
            for command in commands:
                print_message(f"Next: {printable(command)}")  # whole: it is to be pasted

    @contextmanager
    def progress(self) -> Iterator[ProgressFn]:
        """Show a progress bar on stderr; yields the function that moves it."""
        if self.quiet:
            yield silent
            return
        with progress_bar() as move:
            yield move

    def call(self, function: Callable[..., T], **options: Any) -> T:
        """Call a function of `edge_fm.api` that reports its progress and its notes here."""
        with self.progress() as progress:
            return function(**options, progress=progress, note=self.note)

    def show(self, result: HasJson, print_result: Callable[..., None], *arguments: Any) -> None:
        """Print a result on stdout: as JSON, else with `print_result(*arguments)`, or `print_result(result)`."""
        if self.as_json:
            click.echo(printable_json(result.to_json(), indent=2))
        else:
            print_result(*(arguments or (result,)))


def shell_word(value: str | Path) -> str:
    r"""A path or source as a shell takes it, for the commands that a person pastes.

    What cannot be printed stands as bash and zsh read it.

    Example:
        >>> print(shell_word("my photos"), shell_word("two\nlines"))
        'my photos' $'two\nlines'
    """
    text = str(value)
    if printable(text) == text:
        return shlex.quote(text)
    escaped = re.sub(r"[\\']", r"\\\g<0>", text)
    # As a code point: \x85 would be a byte in a shell.
    escaped = re.sub("[\x80-\x9f]", lambda match: f"\\u{ord(match[0]):04x}", escaped)
    return f"$'{printable(escaped)}'"


def artifact_name(artifact: str | Path) -> str:
    """How an artifact is named in a command that a person pastes: one of the package by its name."""
    from edge_fm_runtime.artifacts.packaged import packaged_artifact

    path = Path(artifact)
    return shell_word(path.name if packaged_artifact(path.name) == path and not Path(path.name).exists() else path)


def print_line(text: str) -> None:
    """Print text on stdout, as a result, as `printable_message` gives it."""
    click.echo(printable_message(text))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    wraps: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Print a table on stdout; on a narrow terminal no name, value or verdict of it is cut.

    Control characters are escaped, and what is too long for any reader is cut, as by `printable_message`.

    Args:
        title: above the table.
        columns: headings; the first column names the row.
        rows: cells as text.
        right: numbers of the columns that are aligned right.
        wraps: headings of the columns of prose, which may be broken between words.
        optional: headings of the columns that a narrow terminal may leave out, the first one first.
    """
    from edge_fm.cli.console.tables import Column, print_columns

    if unknown := {*wraps, *optional} - {*columns}:
        raise ValueError(f"No columns are called {', '.join(sorted(unknown))}.")
    shown = partial(printable_message, lines=False)
    made = [
        Column(shown(column), tuple(shown(row[i]) for row in rows), right=i in right, wraps=column in wraps)
        for i, column in enumerate(columns)
    ]
    print_columns(shown(title), made, optional=[shown(column) for column in optional])
