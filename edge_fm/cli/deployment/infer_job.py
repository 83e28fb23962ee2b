"""`edgefm infer --out`: results as files of a folder, of one shard or all of the photos."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import Console, print_line
from edge_fm.cli.options import COUNT, Parsed, option_group

if TYPE_CHECKING:
    from edge_fm.api.artifacts.classify_files import ClassifiedFiles


def _parse_shard(text: str) -> Any:
    from edge_fm.scale.shards import Shard
    from edge_fm_runtime.errors import PhotoError

    try:
        return Shard.parse(text)
    except PhotoError as error:
        raise ValueError(str(error)) from error


job_options = option_group(
    click.option(
        "--out",
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Write the results there, each photo once. The same command again classifies what is not there yet.",
    ),
    click.option(
        "--on",
        metavar="ray|ADDRESS",
        help="With --out: on worker processes of Ray, started here (ray) or of a cluster (auto, HOST:PORT, "
        "ray://HOST:PORT). PATH may be s3://..., gs://..., or a table (.csv, .parquet) too.",
    ),
    click.option("--workers", type=COUNT, help="With --on: processes. Default: one for each CPU."),
    click.option(
        "--column",
        metavar="NAME",
        help="With --on: a table's column of paths, or of the bytes of image files. Default: the one called as such.",
    ),
    click.option(
        "--shard",
        type=Parsed("shard", _parse_shard),
        metavar="I/N",
        help="With --out: only the I-th of N parts of the photos, from 1, as for the jobs of an array.",
    ),
    click.option(
        "--format",
        "file_format",
        type=click.Choice(["jsonl", "parquet"]),
        default="jsonl",
        show_default=True,
        help="With --out: of the files.",
    ),
    click.option("--retry-failed", is_flag=True, help="With --out: classify again the photos that failed earlier."),
)


def run_job(
    console: Console, photos: tuple[str, ...], out: str | None, printed: Mapping[str, object], **options: Any
) -> None:
    """Classify into a folder, print what it holds, and exit with 4 or 1 where photos failed.

    Args:
        console: where to print.
        photos: as for `infer`.
        out: the folder.
        printed: option -> value, of options that print or draw and that a job has no place for.
        options: of `classify_to_files`.
    """
    if out is None:
        names = ("on", "shard", "workers", "column", "retry_failed")
        given = [f"--{name.replace('_', '-')}" for name in names if options[name]]
        raise click.UsageError(f"{given[0]} needs --out DIR, the folder of the results.")
    for name in ("workers", "column"):
        if options[name] is not None and options["on"] is None:
            raise click.UsageError(f"--{name} needs --on.")
    if options["on"] is not None and options["shard"] is not None:
        raise click.UsageError("--shard and --on exclude each other.")
    if given := [name for name, value in printed.items() if value]:
        raise click.UsageError(f"{given[0]} and --out exclude each other.")
    from edge_fm.api.artifacts.classify_files import classify_to_files
    from edge_fm_runtime.system.allocator import keep_freed_memory

    keep_freed_memory()
    result = console.call(classify_to_files, photos=photos, out=out, **options)
    console.show(result, _print_result)
    if result.failed:
        sys.exit(4 if result.classified else 1)


def _print_result(result: ClassifiedFiles) -> None:
    total = result.classified + result.failed
    by = f" by {result.workers} processes" if result.workers > 1 else ""
    of = "" if result.shard == "1/1" else f" of shard {result.shard}"
    now = f"{total - result.earlier:,} now, {result.images_per_s:.0f} images/s{by}"
    print_line(
        f"{result.out}: {total:,} {'photo' if total == 1 else 'photos'}{of}, {result.failed:,} of them could not be "
        f"classified. {now}; {result.earlier:,} earlier."
    )
