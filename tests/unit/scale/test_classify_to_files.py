"""The photos of a job are in its files each once, whatever happens to the processes, and as `classify` gives them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import edge_fm
from edge_fm.cli import cli
from edge_fm.scale.result_folder import ResultFolder
from edge_fm.scale.shards import Shard
from edge_fm_runtime.errors import DataError, PhotoError

MODEL, OTHER = "edgenet-s-onnx-int8", "efficientnet-lite0-onnx-int8"
NAMES = [f"{number:03d}.png" for number in range(40)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for name in [*NAMES, "two\nlines.png", "no utf-8 \udce9.png", r"no utf-8 \udce9.png"]:
        Image.fromarray(random.integers(0, 256, (30, 20), dtype=np.uint8)).save(os.fsencode(folder / name), "PNG")
    (folder / "broken.png").write_text("not a photo")
    return folder


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(out.glob("*.jsonl")) for line in file.read_text().splitlines()]


def without_times(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if not key.endswith("_ms")}


def by_text(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(without_times(row)) for row in rows)


def expected(photos: Path, **options: Any) -> list[str]:
    return by_text([one.to_json() for one in edge_fm.classify(photos, MODEL, **options)])


def test_shards_divide_the_names_and_a_name_stays_where_it_is() -> None:
    shards = [Shard(number, 3) for number in (1, 2, 3)]
    held = [[name for name in NAMES if shard.holds(name)] for shard in shards]
    assert sorted(name for names in held for name in names) == NAMES and all(held)
    assert [shard.holds("no utf-8 \udce9") for shard in shards].count(True) == 1
    # Another release that divides otherwise would classify the photos of a half-done job twice.
    assert [next(s.number for s in shards if s.holds(name)) for name in NAMES[:8]] == [1, 1, 1, 2, 3, 2, 3, 1]


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "1/0", "a/b", "1/2/3", "-1/4", "1/999999999"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(PhotoError):
        Shard.parse(text)


def test_all_shards_together_are_what_classify_gives(photos: Path, tmp_path: Path) -> None:
    results = [
        edge_fm.classify_to_files(photos, tmp_path / "out", MODEL, shard=f"{number}/3", top_k=2) for number in (1, 2, 3)
    ]
    assert by_text(rows_of(tmp_path / "out")) == expected(photos, top_k=2)
    assert sum(result.classified for result in results) == len(NAMES) + 3
    assert sum(result.failed for result in results) == 1 and {result.listed for result in results} == {len(NAMES) + 4}


def test_what_is_in_a_file_is_not_classified_again_and_new_photos_are(photos: Path, tmp_path: Path) -> None:
    given = [photos / name for name in NAMES]
    edge_fm.classify_to_files([*given[:25], given[3]], tmp_path, MODEL)
    before = {file: file.read_bytes() for file in tmp_path.glob("*.jsonl")}
    progress: list[int] = []
    result = edge_fm.classify_to_files(given, tmp_path, MODEL, progress=lambda _, done, __: progress.append(done))
    assert progress == list(range(1, 16)) and (result.earlier, result.classified) == (25, 40)
    assert {file: file.read_bytes() for file in before} == before
    assert [row["input"] for row in rows_of(tmp_path)] == [str(path) for path in given]


def test_two_names_that_are_one_text_are_two_photos(photos: Path, tmp_path: Path) -> None:
    odd = [path for path in photos.iterdir() if "utf-8" in path.name]
    for number in (1, 2):  # the first half, then both
        edge_fm.classify_to_files(odd[:number], tmp_path, MODEL)
    assert [row["input"] for row in rows_of(tmp_path)] == [str(photos / r"no utf-8 \udce9.png")] * 2


_KILLED = """
import os, signal, sys
import edge_fm, edge_fm.scale.shard_job as job

job.ROWS_PER_FILE = 5
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a parent may have let ignore
def progress(stage, done, total):
    if done == 12:
        os.kill(os.getpid(), int(sys.argv[3]))
edge_fm.classify_to_files(sys.argv[1], sys.argv[2], "edgenet-s-onnx-int8", shard="1/1", progress=progress)
"""


@pytest.mark.parametrize(("number", "written"), [(signal.SIGKILL, 10), (signal.SIGINT, 12)])
def test_a_killed_process_leaves_whole_files_and_the_next_one_goes_on(
    photos: Path, tmp_path: Path, number: int, written: int
) -> None:
    command = [sys.executable, "-c", _KILLED, str(photos), str(tmp_path), str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -number, done.stderr
    assert len(rows_of(tmp_path)) == written
    (tmp_path / ".shard-1-of-1-part-00002.jsonl.tmp").write_text('{"input": "half of a')
    result = edge_fm.classify_to_files(photos, tmp_path, MODEL, shard="1/1")
    assert result.earlier == written and by_text(rows_of(tmp_path)) == expected(photos)
    assert max(Counter(map(str, rows_of(tmp_path))).values()) == 1
    if number == signal.SIGKILL:
        assert not list(tmp_path.glob("*.tmp"))


def test_another_way_of_classifying_is_refused(photos: Path, tmp_path: Path) -> None:
    one = photos / NAMES[0]
    edge_fm.classify_to_files(one, tmp_path, MODEL, shard="1/2")
    for options, said in (
        ({"model": OTHER}, f"the artifact {MODEL}"),
        ({"top_k": 2}, "top k 1, now 2"),
        ({"min_score": 0.5}, "min score None, now 0.5"),
        ({"shard": "1/3"}, "shards 2, now 3"),
    ):
        given = {"model": MODEL, "shard": "1/2", **options}
        with pytest.raises(DataError, match=said) as raised:
            edge_fm.classify_to_files(one, tmp_path, **given)  # type: ignore[arg-type]
        assert "--out" in str(raised.value)


def test_a_folder_of_other_things_is_left_alone(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        edge_fm.classify_to_files(photos, tmp_path, MODEL)
    with pytest.raises(DataError, match="is a file"):
        edge_fm.classify_to_files(photos, tmp_path / "thesis.txt", MODEL)
    (tmp_path / "job.json").write_text("[]")
    with pytest.raises(DataError, match="not the manifest"):
        edge_fm.classify_to_files(photos, tmp_path, MODEL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.json", "thesis.txt"]


def test_a_damaged_file_is_named(photos: Path, tmp_path: Path) -> None:
    edge_fm.classify_to_files(photos / NAMES[0], tmp_path, MODEL)
    (file,) = tmp_path.glob("*.jsonl")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=file.name):
        edge_fm.classify_to_files(photos / NAMES[0], tmp_path, MODEL)


def test_a_shard_is_one_process_at_a_time(photos: Path, tmp_path: Path) -> None:
    with ResultFolder(tmp_path).held("shard-1-of-1"), pytest.raises(DataError, match="Another process"):
        edge_fm.classify_to_files(photos / NAMES[0], tmp_path, MODEL)


@pytest.mark.needs("pyarrow")
def test_parquet_holds_the_same(photos: Path, tmp_path: Path) -> None:
    import pyarrow.parquet

    for _ in range(2):
        result = edge_fm.classify_to_files(photos, tmp_path, MODEL, file_format="parquet", min_score=0.5)
    assert (result.earlier, result.failed) == (len(NAMES) + 4, 1)
    rows = [row for file in tmp_path.glob("*.parquet") for row in pyarrow.parquet.read_table(file).to_pylist()]
    for row in rows:
        row["top"] = row["top"] or []
        assert row.pop("labels") is None
        if row["error"]:
            del row["rejected"]
    assert by_text(rows) == expected(photos, min_score=0.5)


def test_the_command(photos: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, ["infer", str(photos), "--model", MODEL, *arguments])

    out = ["--out", str(tmp_path / "out")]
    done = run(*out, "--json", "--quiet")
    assert done.exit_code == 4
    assert json.loads(done.stdout)["failed"] == 1 and json.loads(done.stdout)["shard"] == "1/1"
    again = run(*out)
    assert again.exit_code == 4 and "44 photos, 1 of them could not be classified. 0 now" in again.stdout
    for arguments in (["--shard", "1/2"], [*out, "--csv"], [*out, "--show", "x"], [*out, "--shard", "0/2"]):
        assert run(*arguments).exit_code == 2
    assert run("--out", str(photos / "broken.png")).exit_code == 2
    empty = CliRunner().invoke(cli, ["infer", str(tmp_path), "--model", MODEL, "--out", str(tmp_path / "none")])
    assert empty.exit_code == 1 and "Found no photo" in empty.stderr and not (tmp_path / "none").exists()


def test_urls_without_workers_of_ray_are_refused(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="s3://bucket/results is on another file system"):
        edge_fm.classify_to_files(photos, "s3://bucket/results", MODEL)
    with pytest.raises(DataError, match="s3://bucket/photos is on another file system"):
        edge_fm.classify_to_files("s3://bucket/photos", "out", MODEL)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given",
    [
        ["--format", "parquet"],
        ["--shard", "1/2"],
        ["--workers", "2"],
        ["--column", "x"],
        ["--on", "ray"],
        ["--retry-failed"],
    ],
)
def test_options_of_a_job_need_its_folder(given: list[str], photos: Path) -> None:
    result = CliRunner().invoke(cli, ["infer", str(photos), "--model", MODEL, *given])
    assert result.exit_code == 2 and f"{given[0]} needs --out DIR" in result.stderr and not result.stdout
