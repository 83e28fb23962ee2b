"""A run's folder has one writer: a second process is refused and names the first, and a killed one locks nothing."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_fm.data import Dataset
from edge_fm.training import Recipe, TrainingPart, train
from edge_fm.training.run.folder_lock import LOCK_FILE, locked_folder
from edge_fm.training.run.train_once import train_once
from edge_fm.training.search.crossval import cross_validate
from edge_fm.training.search.sweep import sweep
from edge_fm_runtime.errors import TrainingError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

HOLD = """
import sys, time
from pathlib import Path
from edge_fm.training.run.folder_lock import locked_folder
with locked_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def short(tiny_recipe: Recipe) -> Recipe:
    return dataclasses.replace(tiny_recipe, training=TrainingPart(epochs=1, batch_size=30))


def _holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


@pytest.mark.slow
def test_every_writer_of_a_folder_is_refused_while_another_process_holds_it(
    short: Recipe, strokes: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    writers: list[Callable[[], object]] = [
        lambda: train(short, strokes, folder),
        lambda: train(short, strokes, folder, resume=True),
        lambda: train_once(short, strokes, folder, test=True),
        lambda: cross_validate(short, strokes, folder, folds=2),
        lambda: sweep(short, {"seed": [1, 2]}, lambda _: strokes, folder),
    ]
    with _holder(folder) as process:
        for write in writers:
            with pytest.raises(TrainingError, match=f"is in use: process {process.pid} on .* since") as caught:
                write()
            assert "--out" in str(caught.value.hint)
        os.kill(process.pid, signal.SIGKILL)
    assert [path.name for path in folder.iterdir()] == [LOCK_FILE]  # left by the killed process
    assert train(short, strokes, folder).metrics["epochs"] == 1
    assert not (folder / LOCK_FILE).exists()


@pytest.mark.slow
def test_a_run_that_is_being_trained_cannot_be_resumed_beside(short: Recipe, strokes: Dataset, tmp_path: Path) -> None:
    refused: list[str] = []

    def on_epoch(epoch: int, epochs: int, row: dict[str, float]) -> None:
        with pytest.raises(TrainingError) as caught:
            train(short, strokes, tmp_path / "run", resume=True)
        refused.append(caught.value.message)

    train(short, strokes, tmp_path / "run", on_epoch=on_epoch)
    assert len(refused) == 1 and f"process {os.getpid()}" in refused[0]


def test_what_fails_before_it_writes_leaves_no_folder(short: Recipe, strokes: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no run to resume"):
        train(short, strokes, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="is a file"):
        train(short, strokes, tmp_path / "file")


def test_of_many_that_come_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    got: list[int] = []
    wrong: list[str] = []
    inside = threading.Semaphore(1)

    def contend(number: int) -> None:
        for _ in range(50):
            try:
                with locked_folder(tmp_path / "run"):
                    if inside.acquire(blocking=False):
                        got.append(number)
                        inside.release()
                    else:
                        wrong.append("two hold the folder")
            except TrainingError as error:
                if "is in use" not in error.message:
                    wrong.append(error.message)

    threads = [threading.Thread(target=contend, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got and not wrong and not (tmp_path / "run" / LOCK_FILE).exists()


def test_a_folder_that_goes_while_it_is_made_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its former holder removes an empty folder just after `mkdir` has found it there."""
    made, calls = Path.mkdir, []

    def mkdir(self: Path, *arguments: Any, **named: Any) -> None:
        calls.append(self)
        if len(calls) == 1:
            raise FileExistsError(errno.EEXIST, "File exists", str(self))
        made(self, *arguments, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with locked_folder(tmp_path / "run"):
        assert (tmp_path / "run" / LOCK_FILE).is_file()


def test_a_link_that_dangles_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="cannot be written to: File exists"), locked_folder(tmp_path / "run"):
        pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    """A run from elsewhere may hold one; its target would be emptied and written to."""
    from edge_fm.training.search.search_study import file_lock

    (tmp_path / "mine").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK_FILE).symlink_to(tmp_path / "mine")
    with pytest.raises(TrainingError, match="cannot be written to"), locked_folder(tmp_path / "run"):
        pass
    with pytest.raises(OSError, match="symbolic links"), file_lock(tmp_path / "run" / LOCK_FILE):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_run_with_links_in_it_writes_nothing_outside(short: Recipe, strokes: Dataset, tmp_path: Path) -> None:
    """Resumed, a run from elsewhere would write its results over what its links lead to."""
    two = dataclasses.replace(short, training=dataclasses.replace(short.training, epochs=2))
    train(two, strokes, tmp_path / "whole")

    def stop(epoch: int, epochs: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(two, strokes, tmp_path / "run", on_epoch=stop)
    outside = tmp_path / "outside"
    outside.mkdir()
    written = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    links = [tmp_path / "run" / name for name in written] + [
        tmp_path / "run" / name.parent / f".{name.name}.tmp" for name in written
    ]
    linked = [link for link in links if not link.exists()]
    assert len(linked) > len(written)
    for link in linked:
        link.symlink_to(outside / link.name)
    assert train(two, strokes, tmp_path / "run", resume=True).metrics["epochs"] == 2
    assert [path.name for path in outside.iterdir()] == []
