"""Folders of runs: where a new one goes, which is the newest, and how files get in whole."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_fm_runtime.errors import TrainingError
from edge_fm_runtime.system.atomic_write import replacing, write_utf8
from edge_fm_runtime.system.json_text import dump_json

LATEST = "latest"


def new_run_dir(root: Path, name: str) -> Path:
    """Make the next folder for a run, `<root>/<name>-001` and so on, and point `<root>/latest` at it.

    Args:
        root: the folder of all runs, such as `runs`; made where it is missing.
        name: of the recipe.

    Example:
        >>> import pathlib, tempfile
        >>> from edge_fm.training import latest_run, new_run_dir
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> latest_run(root) == new_run_dir(root, "edgenet-s")
        True
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            run_dir = root / f"{name}-{number:03d}"
            try:
                run_dir.mkdir()
                break
            except FileExistsError:
                number += 1
    except OSError as error:
        raise TrainingError(
            f"No run can be written to {root}: {error}.", hint="Name a folder you can write to with --out."
        ) from error
    point_latest(root, run_dir)
    return run_dir


@contextmanager
def started_run(root: Path, name: str) -> Iterator[Path]:
    """Make a new run's folder as `new_run_dir` does; a run that fails before it wrote anything leaves no trace.

    Without this, weights or data that cannot be used would leave `latest` at an empty folder, and the finished run
    that it named before would no longer be what `edgefm export` takes.
    """
    link = root / LATEST
    before = link.readlink() if link.is_symlink() else None
    run_dir = new_run_dir(root, name)
    try:
        yield run_dir
    except BaseException:
        if not any(run_dir.iterdir()):
            run_dir.rmdir()
            if link.is_symlink() and link.readlink().name == run_dir.name:  # no other run has begun meanwhile
                if before is not None and (root / before).is_dir():
                    point_latest(root, root / before)
                else:
                    with suppress(FileNotFoundError):
                        link.unlink()
        raise


def point_latest(root: Path, run_dir: Path) -> None:
    """Make `<root>/latest` a relative symbolic link to `run_dir`, in one step.

    Raises:
        TrainingError: `latest` is a real file or folder, which is never replaced.
    """
    link = root / LATEST
    if link.exists() and not link.is_symlink():
        raise TrainingError(f"{link} is not a symbolic link.", hint="Move it away; `latest` names the newest run.")
    beside = root / f".{LATEST}.{os.getpid()}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(os.path.relpath(run_dir, root))
    beside.replace(link)


def latest_run(root: Path) -> Path:
    """The newest run's folder.

    Raises:
        TrainingError: there is none.
    """
    link = root / LATEST
    if not link.is_dir():
        raise TrainingError(f"There is no run in {root}.", hint="Start one: edgefm train")
    return root / link.readlink() if link.is_symlink() else link


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place, then move it in whole; several processes may do so at once."""
    with replacing(path) as temporary:
        write_utf8(temporary, text)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON."""
    write_text(path, dump_json(value))


def write_history(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Write one CSV row for each epoch; the columns are the rows' keys."""
    text = io.StringIO()
    if history:
        names = dict.fromkeys(key for row in history for key in row)  # the rows of an earlier version have fewer
        writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in history)
    write_text(path, text.getvalue())


def _short(value: float) -> float | str:
    return f"{value:.6g}" if isinstance(value, float) else value
