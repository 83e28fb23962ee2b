"""Artifacts are put in place in one step, and nothing that is not ours is touched."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_fm_export import writer
from edge_fm_export.writer import check_replaceable, install, workspace
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.files import hash_file, list_files
from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata, dump_metadata
from edge_fm_runtime.errors import ExportError

ONE, OTHER = "1" * 64, "2" * 64


def write_artifact(folder: Path, text: str = "payload", *, source: str = ONE) -> Path:
    (folder / "saved_model").mkdir(parents=True)
    (folder / "saved_model" / "graph").write_text(text)
    metadata = Metadata(
        "m", "savedmodel", "fp32", "saved_model", InputSpec(4, 4, 1), ("a", "b"), source={"name": "m", "sha256": source}
    )
    metadata = replace(metadata, files={n: hash_file(folder / n) for n in list_files(folder)})
    (folder / "edgefm.json").write_text(dump_metadata(metadata))
    return folder


def put(out: Path, text: str, *, source: str = ONE, force: bool = False) -> Path:
    target = out / "m"
    with workspace(out) as work:
        install(write_artifact(work / "m", text, source=source), target, source_sha256=source, force=force)
    return target


def read(target: Path) -> str:
    return (load_artifact(target).payload / "graph").read_text()


def hidden(out: Path) -> list[str]:
    return [p.name for p in out.iterdir() if p.name.startswith(".")]


def test_a_new_artifact_replaces_the_old_one_of_the_same_model(tmp_path: Path) -> None:
    assert read(put(tmp_path, "old")) == "old"
    assert read(put(tmp_path, "new")) == "new"
    assert hidden(tmp_path) == []


def test_without_an_exchange_of_folders_the_old_one_goes_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_exchange", lambda one, other: False)
    put(tmp_path, "old")
    assert read(put(tmp_path, "new")) == "new"
    assert hidden(tmp_path) == []


def test_an_artifact_that_went_aside_and_was_never_replaced_comes_back(tmp_path: Path) -> None:
    write_artifact(tmp_path / ".edgefm-old-m", "old")
    with workspace(tmp_path):
        assert read(tmp_path / "m") == "old"


def test_another_models_artifact_is_replaced_with_force_alone(tmp_path: Path) -> None:
    put(tmp_path, "old")
    with pytest.raises(ExportError, match=r"(?s)another model.*--force") as caught:
        put(tmp_path, "new", source=OTHER)
    assert str(tmp_path / "m") in str(caught.value)
    assert read(tmp_path / "m") == "old"
    assert read(put(tmp_path, "new", source=OTHER, force=True)) == "new"


@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_artifact_is_never_touched(tmp_path: Path, force: bool) -> None:
    target = tmp_path / "m"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(ExportError, match="no artifact"):
        put(tmp_path, "new", force=force)
    assert (target / "thesis.txt").read_text() == "years of work"
    (target / "thesis.txt").unlink()
    assert read(put(tmp_path, "new", force=force)) == "new"  # an empty folder is nobody's


@pytest.mark.parametrize("force", [False, True])
def test_files_and_links_are_never_touched(tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(write_artifact(tmp_path / "elsewhere"))
    for name in ("file", "link"):
        with pytest.raises(ExportError, match=name):
            check_replaceable(tmp_path / name, source_sha256=ONE, force=force)


def test_a_file_that_someone_put_into_an_artifact_is_not_lost(tmp_path: Path) -> None:
    (put(tmp_path, "old") / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=r"notes\.txt"):
        put(tmp_path, "new")
    assert read(put(tmp_path, "new", force=True)) == "new"


def test_a_damaged_artifact_is_replaced_and_an_unreadable_one_with_force(tmp_path: Path) -> None:
    (put(tmp_path, "old") / "saved_model" / "graph").write_text("damaged")
    assert read(put(tmp_path, "new")) == "new"
    (tmp_path / "m" / "edgefm.json").write_text("{")
    with pytest.raises(ExportError, match="--force"):
        put(tmp_path, "newer")
    assert read(put(tmp_path, "newer", force=True)) == "newer"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with pytest.raises(RuntimeError), workspace(out) as work:
        (work / "half").write_text("half")
        raise RuntimeError("in mid-export")
    assert not out.exists()


def test_a_place_that_cannot_be_a_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="Cannot write"), workspace(tmp_path / "file" / "out"):
        pass


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc, which nobody may write")
def test_a_file_system_that_cannot_be_written_is_an_error_of_ours() -> None:
    with pytest.raises(ExportError, match="Cannot write /proc/edgefm"), workspace(Path("/proc/edgefm")):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_an_error_of_ours(tmp_path: Path) -> None:
    put(tmp_path, "old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(ExportError, match="Permission denied"):
            put(tmp_path, "new")
        assert read(tmp_path / "m") == "old"
    finally:
        tmp_path.chmod(0o755)


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"No space left.*\n.*--out"), writer.disk_errors(tmp_path):
        Path("/dev/full").write_bytes(b"0" * 65536)


def test_leftovers_of_the_dead_are_cleared_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    dead = tmp_path / ".edgefm-export-1-dead"
    dead.mkdir()
    (dead / "half").write_text("half")
    with workspace(tmp_path) as living:
        assert not dead.exists()
        with workspace(tmp_path) as second:
            assert living.exists() and second.exists() and living != second


def test_exports_to_one_target_at_once_leave_a_whole_one(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def work(text: str) -> None:
        try:
            for _ in range(10):
                put(tmp_path, text)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(text,)) for text in ("one", "two", "three")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert read(tmp_path / "m") in ("one", "two", "three")
    assert hidden(tmp_path) == []


_LOOP = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_writer import put
from edge_fm_export import writer
if sys.argv[3] != "exchange":
    writer._exchange = lambda one, other: False
if sys.argv[3] == "copy":
    rename = Path.rename
    def rename_but_m(path, target):
        if path == Path(sys.argv[1]) / "m":
            raise OSError(18, "Invalid cross-device link", str(path))
        return rename(path, target)
    Path.rename = rename_but_m
print("ready", flush=True)
while True:
    put(Path(sys.argv[1]), "one" * 1000)
    put(Path(sys.argv[1]), "two" * 1000)
"""


@pytest.mark.parametrize("way", ["exchange", "aside", "copy"])
def test_kill_at_any_moment_leaves_a_whole_artifact_or_none(tmp_path: Path, way: str) -> None:
    moments = random.Random(0)
    put(tmp_path, "one" * 1000)
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", _LOOP, str(tmp_path), str(Path(__file__).parent), way], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0.0, 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        if way == "copy":  # what is half removed is put right by the next export
            with workspace(tmp_path):
                pass
        if (tmp_path / "m").exists():
            assert read(tmp_path / "m") in ("one" * 1000, "two" * 1000)
    with workspace(tmp_path):
        pass
    assert hidden(tmp_path) == []
    assert read(tmp_path / "m")


_IN_A_CONTAINER = """
mount -t overlay overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" "$1/merged" 2> /dev/null || exit 77
shift
exec "$@"
"""
_TWICE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_writer import hidden, put, read
out = Path(sys.argv[2])
assert read(out / "m") == "old"
for text in ("new", "newer"):
    assert read(put(out, text)) == text
    assert hidden(out) == []
"""


def test_an_artifact_in_a_lower_layer_of_a_container_is_replaced(tmp_path: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    put(tmp_path / "lower" / "out", "old")
    unshare = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
    export = [sys.executable, "-c", _TWICE, str(Path(__file__).parent), str(tmp_path / "merged" / "out")]
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    command = [*unshare, "sh", "-c", _IN_A_CONTAINER, "sh", str(tmp_path), *export]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no overlay file system may be mounted here")
    assert done.returncode == 0, done.stderr


def test_fsync_reaches_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real: Callable[[int], None] = os.fsync

    def note(handle: int) -> None:
        synced.append(os.path.realpath(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    put(tmp_path, "new")
    names = {Path(p).name for p in synced}
    assert {"graph", "edgefm.json", tmp_path.name} <= names
