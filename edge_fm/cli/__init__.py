"""The `edgefm` command: one module per command, loaded only when it is called."""

from __future__ import annotations

import errno
import os
import signal
import warnings
from importlib import import_module
from itertools import pairwise
from typing import IO, Any, TextIO, cast

import click

from edge_fm import __version__
from edge_fm.cli.console.printable import printable_error, printable_message
from edge_fm.cli.console.progress_bar import print_message
from edge_fm.process import run_process
from edge_fm.signals import Interrupted, interruption
from edge_fm.streams import STDOUT
from edge_fm_runtime.errors import EdgeFMError, EdgeFMWarning
from edge_fm_runtime.system.garbage_collection import set_own_process, uncollected_import

_COMMANDS = {
    "train": "train a model and leave a run",
    "search": "find the best values for a recipe, by validation accuracy",
    "crossval": "find the mean and spread of a recipe's accuracy over folds",
    "sweep": "train every combination of a few values, compared in one table",
    "experiments": "rerun published reports: accuracy reported beside achieved",
    "export": "turn a run or a .keras file into proven artifacts",
    "infer": "classify photos",
    "similar": "rank the photos of a folder by how much they look like one photo",
    "drift": "find out whether what a device sees has changed since the export",
    "serve": "serve artifacts over HTTP",
    "sign": "sign an artifact, so that devices can refuse all others",
    "verify": "check that an artifact predicts like the original",
    "evaluate": "measure accuracy, confusion and more on labelled images",
    "benchmark": "measure latency, throughput and memory beside the original",
    "report": "write the page of a stored benchmark",
    "autotune": "find how a model runs fastest on this machine",
    "models": "list the models that `train` knows",
    "data": "fetch, describe and show datasets",
    "doctor": "show what is installed and usable here",
    "quickstart": "train, export, measure and classify in three minutes",
}
"""Command -> short help; the help stands here so that `edgefm --help` loads no command."""

_TRAINING = {"train", "search", "crossval", "sweep", "experiments", "models", "data"}
"""The commands of `edge_fm.cli.training`."""
_PHOTOS = {"similar", "drift"}
"""The commands of `edge_fm.cli.photos`; the others are those of `edge_fm.cli.deployment`."""


class _Failure(click.ClickException):
    """An EdgeFMError on its way to stderr and the exit code."""

    def __init__(self, error: EdgeFMError) -> None:
        super().__init__(str(error))
        self._shown = printable_error(error)
        self.exit_code = error.exit_code  # type: ignore[misc]  # click itself sets it so, per instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self._shown}", file=file, err=file is None)


_FULL = {
    errno.ENOSPC: "Free some space, or name a folder on another disk.",
    errno.EDQUOT: "Free some space, or name a folder on another disk.",
    errno.EFBIG: "Raise the limit on the size of files: ulimit -f",
    errno.EROFS: "Name a folder on another disk: this one is read-only.",
    errno.EIO: "Check the disk.",
}
"""What a write can fail of that no program can help -> what to do."""


def _error_to_raise(error: EdgeFMError | click.ClickException | OSError) -> Exception:
    """The exception that ends the command: a message without a traceback, or the error itself if it is our fault."""
    if isinstance(error, EdgeFMError):
        return _Failure(error)
    if isinstance(error, click.ClickException):
        error.message = printable_message(error.message)  # type: ignore[misc]  # what click shows
        return error
    if isinstance(error, BrokenPipeError) and error.filename in (None, STDOUT):
        return click.exceptions.Exit(1)  # the reader of the results has seen enough
    if error.filename is None and error.errno == errno.ENOENT and not _current_folder_exists():
        return _Failure(EdgeFMError("The current folder no longer exists.", hint="Go to another: cd"))
    if error.filename is None and error.errno not in _FULL:
        return error
    hint = _FULL.get(error.errno or 0, "Name a file or folder that can be read or written.")
    if error.filename == STDOUT and error.errno in _FULL:
        hint = "Free some space, or write the results elsewhere."
    where = "A file cannot be written" if error.filename is None else os.fsdecode(error.filename)
    return _Failure(EdgeFMError(f"{where}: {error.strerror or error}.", hint=hint))


def _current_folder_exists() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  # as Path.cwd() does
    except FileNotFoundError:
        return False
    return True


def _before_empty(command: click.Command, args: list[str]) -> str | None:
    """What stands before an empty argument, which a path would take for the current folder; None without one.

    `infer` classifies the other photos; there only the value of an option counts.
    """
    flags = {name for p in command.params if isinstance(p, click.Option) and p.is_flag for name in p.opts}
    for before, text in pairwise(args):
        if not text and (command.name != "infer" or (before.startswith("--") and before not in flags)):
            return before
    return None


class LazyGroup(click.Group):
    """Loads a command's module when it is called, and maps our errors to exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        folder = "training" if cmd_name in _TRAINING else "photos" if cmd_name in _PHOTOS else "deployment"
        with uncollected_import():
            return cast(click.Command, import_module(f"edge_fm.cli.{folder}.{cmd_name}").command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{guess} There are: {', '.join(_COMMANDS)}.")
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and (before := _before_empty(command, args)) is not None:
            ctx.fail(f"The argument after {before!r} is empty. Was a variable not set?")
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)  # prints --help and --version
        except (OSError, click.ClickException) as error:
            raise _error_to_raise(error) from error.__cause__

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            stop = error if isinstance(error, Interrupted) else Interrupted(signal.SIGINT)
        except (EdgeFMError, click.ClickException, OSError) as error:
            if (late := interruption()) is None:
                raise _error_to_raise(error) from error.__cause__
            stop = late  # such as a child process that the same Ctrl-C ended
        click.echo(f"Stopped by {stop}.", err=True)
        ctx.exit(stop.exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edgefm")
def cli() -> None:
    """Image classifiers from Keras to a device, with proof.

    stdout is data, stderr is progress and warnings. Exit codes: 0 done, 1 an error, 2 wrong usage,
    3 a parity, accuracy or integrity gate failed, 4 some inputs failed and the rest were classified, 5 `drift
    --fail-on-change` saw a change.
    """


_python_shows = warnings.showwarning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print our own warnings in one line, without the place in the code; others as Python does."""
    if issubclass(category, EdgeFMWarning):
        print_message(f"Warning: {printable_message(str(message))}")
    elif file is None:
        text = warnings.formatwarning(message, category, filename, lineno, line)
        print_message(printable_message(text), nl=False)
    else:
        _python_shows(message, category, filename, lineno, file, line)


def run() -> None:
    """Run the command line in a process that `edge_fm.process` prepared; ends in SystemExit."""
    set_own_process()
    warnings.showwarning = _show_warning
    # TensorFlow greets with a screenful of notes about the machine; its errors arrive as exceptions all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cli()


def main() -> None:
    """Run the command line as `edgefm` does."""
    run_process(run)
