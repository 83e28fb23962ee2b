"""The `edgefm` command: one module per command, loaded only when it is called."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from typing import IO, Any, TextIO, cast

import click

from edge_fm import __version__
from edge_fm_runtime.errors import EdgeFMError, EdgeFMWarning

_COMMANDS = {
    "train": "train a model and leave a run",
    "search": "find the best values for a recipe, by validation accuracy",
    "crossval": "mean and spread of a recipe's accuracy over folds",
    "sweep": "every combination of a few values in one table",
    "experiments": "published reports rerun: reported beside achieved",
    "export": "turn a run or a .keras file into proven artifacts",
    "infer": "classify photos",
    "verify": "check that an artifact answers like the original",
    "evaluate": "accuracy, confusion and more, on labelled images",
    "benchmark": "what an artifact costs, beside the original",
    "report": "a page about a measurement that was kept",
    "autotune": "how a model runs fastest on this machine",
    "models": "list the models that `train` knows",
    "data": "fetch, describe and show datasets",
    "doctor": "what is installed and usable here",
    "quickstart": "the whole way once, in about three minutes",
}
"""Command -> short help; the help stands here so that `edgefm --help` loads no command."""


class _Failure(click.ClickException):
    """An EdgeFMError on its way to stderr and the exit code."""

    def __init__(self, error: EdgeFMError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click itself sets it so, per instance

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {self.message}", file=file, err=file is None)


class LazyGroup(click.Group):
    """Loads a command's module when it is called, and maps our errors to exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        return cast(click.Command, import_module(f"edge_fm.cli.{cmd_name}").command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=1)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{guess} There are: {', '.join(_COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EdgeFMError as error:
            raise _Failure(error) from error
        except BrokenPipeError:
            raise  # the reader has seen enough; click ends quietly
        except OSError as error:
            if error.filename is None:
                raise  # not about a file of the user's: a traceback says more
            message = f"{error.filename}: {error.strerror}."
            raise _Failure(EdgeFMError(message, hint="Name a file or folder that can be read or written.")) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edgefm")
def cli() -> None:
    """Image classifiers from Keras to a device, with proof.

    stdout is data, stderr is progress and warnings. Exit codes: 0 done, 1 an error, 2 wrong usage,
    3 a parity, accuracy or integrity gate failed, 4 some inputs failed and the rest were answered.
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
    """Say our own warnings in a line for a person, without the place in the code; others as Python does."""
    if issubclass(category, EdgeFMWarning):
        click.echo(f"Warning: {message}", err=True)
    else:
        _python_shows(message, category, filename, lineno, file, line)


def main() -> None:
    """Run the command line; the entry point of `edgefm`."""
    warnings.showwarning = _show_warning
    # TensorFlow greets with a screenful of notes about the machine; its errors arrive as exceptions all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    cli()


if __name__ == "__main__":
    main()
