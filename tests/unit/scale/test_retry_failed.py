"""Photos that failed earlier are classified again where that is asked for, and are in the files once at any moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import edge_fm
from edge_fm.scale.result_folder import ResultFolder
from edge_fm.scale.result_rows import decode_rows
from edge_fm_runtime.errors import DataError

MODEL = "edgenet-s-onnx-int8"
NAMES = [f"{number}.png" for number in range(6)]
MENDED = "3.png"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six photos, of which 3.png and 4.png cannot be read."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.new("L", (20, 30), 20 * number).save(folder / name)
    for name in ("3.png", "4.png"):
        (folder / name).write_text("not a photo")
    return folder


def mend(photos: Path) -> None:
    Image.new("L", (20, 30), 60).save(photos / MENDED)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(out.glob("*.jsonl")) for line in file.read_text().splitlines()]


def names_of(out: Path, *, failed: bool = False) -> list[str]:
    return sorted(Path(row["input"]).name for row in rows_of(out) if not failed or row["error"])


@pytest.mark.parametrize("file_format", ["jsonl", pytest.param("parquet", marks=pytest.mark.needs("pyarrow"))])
def test_what_failed_is_classified_again_on_demand_alone(photos: Path, tmp_path: Path, file_format: Any) -> None:
    def run(**options: Any) -> tuple[int, int, int]:
        result = edge_fm.classify_to_files(photos, tmp_path / "out", MODEL, file_format=file_format, **options)
        return result.earlier, result.classified, result.failed

    assert run() == (0, 4, 2)
    mend(photos)
    assert run() == (6, 4, 2)
    assert run(retry_failed=True) == (4, 5, 1)
    assert run(retry_failed=True) == (5, 5, 1)
    assert run() == (6, 5, 1)
    if file_format == "jsonl":
        assert names_of(tmp_path / "out") == NAMES and names_of(tmp_path / "out", failed=True) == ["4.png"]


@pytest.mark.parametrize("line", ["{}", "[]", "{", '{"input": "3.png"}'])
def test_a_damaged_file_is_named(line: str, photos: Path, tmp_path: Path) -> None:
    edge_fm.classify_to_files(photos, tmp_path / "out", MODEL)
    (file,) = (tmp_path / "out").glob("*.jsonl")
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(DataError, match=f"{file.name} is not a whole file of results"):
        edge_fm.classify_to_files(photos, tmp_path / "out", MODEL, retry_failed=True)


def test_a_block_of_too_few_rows_is_no_whole_file() -> None:
    row = b'{"input": "a.png", "error": null}\n'
    assert len(decode_rows(row * 2, "results", "jsonl", 2)) == 2 and decode_rows(b"", "results", "jsonl") == []
    with pytest.raises(DataError, match="2 rows of 3"):
        decode_rows(row * 2, "results", "jsonl", 3)


def test_shards_retry_their_own_photos(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        edge_fm.classify_to_files(photos, out, MODEL, shard=f"{number}/2")
    mend(photos)
    for number in (1, 2):
        edge_fm.classify_to_files(photos, out, MODEL, shard=f"{number}/2", retry_failed=True)
    assert names_of(out) == NAMES and names_of(out, failed=True) == ["4.png"]


def test_a_process_that_is_killed_while_it_retries_leaves_no_photo_twice(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr("edge_fm.scale.shard_job.ROWS_PER_FILE", 2)
    edge_fm.classify_to_files(photos, out, MODEL)
    mend(photos)
    left = [0]
    write = ResultFolder.write

    def killed(folder: ResultFolder, name: str, content: bytes) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(folder, name, content)

    for limit in (0, 1):  # before and between what is written
        left[0] = limit
        with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
            broken.setattr(ResultFolder, "write", killed)
            edge_fm.classify_to_files(photos, out, MODEL, retry_failed=True)
        assert len(set(names_of(out))) == len(names_of(out))
    edge_fm.classify_to_files(photos, out, MODEL)
    assert names_of(out) == NAMES and names_of(out, failed=True) == ["4.png"]
