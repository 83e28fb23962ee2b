"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from edge_fm.cli.console.console import Console
from edge_fm_runtime.artifacts.metadata_parser import MAX_CHANNELS, MAX_SIDE
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, file_okay=False)
COUNT = click.IntRange(1)


class Parsed(click.ParamType[Any]):
    """A value that a function reads; what it raises as ValueError is a usage error.

    Args:
        name: of the type.
        parse: reads the text.
    """

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _sides(text: str) -> list[int]:
    """The numbers of "28x28x1"; 0 for what is not a whole number, a number above every limit for a very long one."""
    parts = text.lower().split("x")
    return [(int(p) if len(p) < 10 else MAX_SIDE + 1) if p.isascii() and p.isdigit() else 0 for p in parts]


def _parse_shape(text: str) -> tuple[int, int, int]:
    sides = _sides(text)
    if len(sides) != 3 or not all(sides):
        raise ValueError(f"{text!r} is not HEIGHTxWIDTHxCHANNELS, such as 28x28x1.")
    if max(sides[:2]) > MAX_SIDE or sides[2] > MAX_CHANNELS:
        most = f"at most {MAX_SIDE}x{MAX_SIDE} pixels of {MAX_CHANNELS} channels are supported"
        raise ValueError(f"{text!r} is too large; {most}.")
    return sides[0], sides[1], sides[2]


def _parse_size(text: str) -> tuple[int, int]:
    sides = _sides(text)
    if len(sides) not in (1, 2) or not all(1 <= side <= MAX_SIDE for side in sides):
        raise ValueError(f"{text!r} is not HEIGHTxWIDTH, such as 224x224, of at most {MAX_SIDE} pixels each.")
    return sides[0], sides[-1]


SIZE = Parsed("size", _parse_size)


def number_or_auto(low: float, high: float, wanted: str) -> Callable[[str], float | str]:
    """A reader of "auto" or of a number from `low` to `high`; `wanted` says what that is."""

    def parse(text: str) -> float | str:
        if text == "auto":
            return text
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ValueError(f"{text!r} is not {wanted}.")
        return value

    return parse


TEMPERATURE = Parsed("temperature", number_or_auto(0.01, 100.0, "a number from 0.01 to 100, or auto"))
MIN_SCORE = Parsed("score", number_or_auto(0.0, 1.0, "a number from 0 to 1, or auto"))


def setting(example: str) -> Parsed:
    """KEY=VALUE, read into the key and the value as TOML writes it."""

    def parse(text: str) -> tuple[str, Any]:
        from edge_fm.training.recipe.keys import parse_value

        key, equals, value = text.partition("=")
        if not key or not equals:
            raise ValueError(f"{text!r} is not NAME=VALUE, such as {example}.")
        return key.strip(), parse_value(value.strip())

    return Parsed("setting", parse)


def each_once(pairs: Sequence[tuple[str, Any]], option: str) -> dict[str, Any]:
    """The names and values of a repeatable option, each name once; another value for one is a usage error."""
    names = [name for name, _ in pairs]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise click.BadParameter(f"{twice[0]} is given twice. Leave one out.", param_hint=option)
    return dict(pairs)


def option_group(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator that adds all of `options`, in this order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def typed_options() -> dict[str, str]:
    """Parameters of the running command that were typed -> what they are called there, such as `--stride`."""
    context = click.get_current_context()
    return {
        p.name: p.opts[0] if isinstance(p, click.Option) else str(p.metavar or p.name)
        for p in context.command.params
        if p.name and context.get_parameter_source(p.name) is ParameterSource.COMMANDLINE
    }


def console_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add `--json` and `--quiet`, which every command takes; the command gets a `Console` as its first argument."""

    @wraps(function)
    def with_console(*, as_json: bool, quiet: bool, **given: Any) -> None:
        function(Console(as_json, quiet), **given)

    return option_group(
        click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout instead of a table."),
        click.option("--quiet", "-q", is_flag=True, help="No progress, notes or next commands on stderr."),
    )(with_console)


skip_unreadable_option = click.option(
    "--skip-unreadable",
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help="Leave out images of a folder or a manifest that cannot be read, up to this share, such as 0.02; they are "
    "listed. Default: none, or what the run's training left out.",
)

group_option = click.option(
    "--group",
    metavar="COLUMN|FILE:COLUMN|PATTERN",
    help="What images come from (a person, a camera, a day): splits keep a group together. A column of a manifest, a "
    "column of a file in an image folder (index.csv:sender), or a pattern of the files' paths whose parentheses hold "
    "the group; none for no groups. Default: a manifest's column called group, or what the run's training said.",
)
label_column_option = click.option(
    "--label-column",
    metavar="COLUMN",
    help="Column of a manifest that holds the labels. Default: the one called label or class, or what the run's "
    "training said.",
)

size_option = click.option(
    "--size",
    type=Parsed("shape", _parse_shape),
    metavar="HxWxC",
    help="Bring images to this height, width and channels, such as 28x28x1.",
)

source_options = option_group(skip_unreadable_option, group_option, label_column_option)

on_options = option_group(
    click.option(
        "--on",
        metavar="ray|ADDRESS",
        help="Train several runs at once on worker processes of Ray, started here (ray) or of a cluster (auto, "
        "HOST:PORT, ray://HOST:PORT); the results are the same. Default: in this process.",
    ),
    click.option("--workers", type=COUNT, help="With --on: how many at once. Default: one for each CPU."),
)

study_options = option_group(
    click.option("--data", metavar="SOURCE", help="What to learn from. Default: the recipe's."),
    size_option,
    source_options,
    click.option("--epochs", type=COUNT, help="Passes over the training images. Default: the recipe's."),
)


def engine_options(function: F) -> F:
    """Add `--engine`, `--device` and `--threads`."""
    return _engine_options()(function)


def with_browser_engine(function: F) -> F:
    """Add `--engine`, `--device` and `--threads`, with the engine "web": a web artifact in headless Chromium."""
    return _engine_options("web")(function)


def _engine_options(*more: str) -> Callable[[F], F]:
    from edge_fm_runtime.engines import ENGINES

    names = ["auto", *ENGINES, *more]
    return option_group(
        click.option(
            "--engine",
            type=click.Choice(names),
            default="auto",
            show_default=True,
            help="Library that runs the artifact.",
        ),
        click.option(
            "--device",
            default="CPU",
            show_default=True,
            metavar="CPU|GPU|NPU",
            callback=lambda _, __, value: value.upper(),
            help="Where to run; never replaced by another.",
        ),
        click.option("--threads", type=COUNT, help="Compute threads. Default: as many as this process may use."),
    )


def _require_signature(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        from edge_fm_runtime.signatures.requirement import required_signature

        ctx.with_resource(required_signature(value))


signature_option = click.option(
    "--require-signature",
    type=PATH,
    metavar="PUBLIC_KEY",
    expose_value=False,
    callback=_require_signature,
    help="Refuse artifacts that are not signed with this key's private key, or not as they were signed. Default: "
    f"${REQUIRE_SIGNATURE}, else none is required.",
)


SECONDS = click.FloatRange(min=0, min_open=True)

VIDEO_ONLY = ("live", "stride", "fps", "window", "max_frames", "duration_s", "timeout_s")
"""Parameters of `infer` that have a meaning with `--video` alone."""

video_options = option_group(
    click.option(
        "--video",
        metavar="SOURCE",
        help="Classify the frames of a video file, a camera (/dev/video0, or 0), - for stdin, or a network stream such "
        "as rtsp://camera/stream, instead of photos. Needs the extra video.",
    ),
    click.option(
        "--live/--no-live",
        default=None,
        help="Classify the newest frame only, and drop what is older; a file is read at the pace of its timestamps. "
        "Default: live for cameras and network streams.",
    ),
    click.option("--stride", type=COUNT, default=1, show_default=True, help="Classify every Nth frame of a video."),
    click.option("--fps", type=SECONDS, metavar="X", help="Classify X frames of a second, at most."),
    click.option("--window", type=COUNT, metavar="N", help="Vote over the last N predictions (mean probabilities)."),
    click.option("--max-frames", type=COUNT, metavar="N", help="End once N frames are classified."),
    click.option(
        "--duration", "duration_s", type=SECONDS, metavar="SECONDS", help="End so long after the first frame."
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=SECONDS,
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long a camera or a network stream may send nothing.",
    ),
)


def batch_size_option(default: int) -> Callable[[F], F]:
    """Add `--batch-size`."""
    return click.option(
        "--batch-size", type=COUNT, default=default, show_default=True, help="Images through the engine at once."
    )
