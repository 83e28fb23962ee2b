"""What a job's photos are listed from: URLs, folders, patterns, tables of paths and of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_fm.api.common.photo_list import PhotoList
from edge_fm.scale.inputs import Patterns, Photo, read_block, read_contents, store_inputs
from edge_fm.scale.ray_session import RayAddress
from edge_fm.scale.result_folder import ResultFolder
from edge_fm.scale.storage import open_folder
from edge_fm_runtime.errors import ClusterError, DataError, EdgeFMError, MissingDependencyError

pytestmark = pytest.mark.needs("fsspec", "pyarrow")


def patterns(*paths: str | Path, recursive: bool = False, column: str | None = None) -> Patterns:
    return Patterns([str(path) for path in paths], recursive, column, partial(PhotoList, recursive=recursive))


def names(*paths: str | Path, **options: Any) -> list[str]:
    return [photo.name for photo in patterns(*paths, **options)]


@pytest.fixture
def bucket() -> Iterator[Any]:
    import fsspec

    system = fsspec.filesystem("memory")
    for name in ("b/2.jpg", "b/1.jpg", "b/notes.txt", "b/below/3.png", "b/.thumbs/4.png", "b/below/__MACOSX/5.png"):
        system.pipe_file(f"/{name}", name.encode())
    yield system
    system.rm("/b", recursive=True)


def test_a_folder_a_pattern_and_a_file_of_a_bucket(bucket: Any) -> None:
    assert names("memory://b") == ["memory:///b/1.jpg", "memory:///b/2.jpg"]
    assert names("memory://b", recursive=True) == [*names("memory://b"), "memory:///b/below/3.png"]
    assert names("memory://b/*.jpg") == names("memory://b")
    assert names("memory://b/2.jpg") == ["memory://b/2.jpg"]


def test_the_bytes_of_a_bucket_are_read_and_what_is_missing_is_said(bucket: Any) -> None:
    first, second = read_contents([Photo("memory://b/1.jpg"), Photo("memory://b/0.jpg")], None, {})
    assert first == b"b/1.jpg" and isinstance(second, EdgeFMError) and "does not exist" in second.message
    assert [*read_contents([Photo("x.jpg"), Photo("memory://b/1.jpg")], None, {1: b"sent"})] == ["x.jpg", b"sent"]


def test_local_paths_are_listed_as_infer_lists_them(tmp_path: Path) -> None:
    for name in ("b.png", "a.png", "notes.txt"):
        (tmp_path / name).touch()
    assert names(tmp_path) == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    (nothing,) = patterns(tmp_path / "*.webp")
    assert nothing.error == f"No file matches {tmp_path}/*.webp."
    (content,) = read_contents([nothing], None, {})
    assert isinstance(content, EdgeFMError) and content.message == nothing.error
    assert names(f"file://{tmp_path}") == [f"file://{tmp_path}/a.png", f"file://{tmp_path}/b.png"]


def test_a_table_of_paths(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    paths = ["a.png", "/photos/b.png", "s3://bucket/c.png"]
    (tmp_path / "t.csv").write_text("label,file name\n" + "".join(f"x,{path}\n" for path in paths))
    pyarrow.parquet.write_table(pa.table({"path": paths, "n": [1, 2, 3]}), tmp_path / "t.parquet")
    for table in ("t.csv", "t.parquet"):
        assert names(tmp_path / table) == [f"{tmp_path}/a.png", *paths[1:]]
    assert names(tmp_path / "t.csv", column="label") == [f"{tmp_path}/x"] * 3
    for options, said in (({"column": "other"}, "label, file name"), ({}, "no column that may hold")):
        (tmp_path / "u.csv").write_text("label,score\n" if not options else "label,file name\n")
        with pytest.raises(DataError, match=said):
            names(tmp_path / "u.csv", **options)
    with pytest.raises(DataError, match=r"v\.parquet cannot be read"):
        (tmp_path / "v.parquet").write_text("no table")
        names(tmp_path / "v.parquet")


def test_a_table_of_bytes_is_read_row_by_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    table = str(tmp_path / "t.parquet")
    contents = [None if row == 3 else bytes([row]) * 4 for row in range(10)]
    for column in (contents, [{"bytes": one, "path": "x.png"} for one in contents]):
        pyarrow.parquet.write_table(pa.table({"image": column}), table, row_group_size=4)
        photos = list(patterns(table))
        assert [photo.name for photo in photos] == [f"{table}#{row}" for row in range(10)]
        found = [*read_contents(photos[2:9], None, {})]
        assert isinstance(found.pop(1), EdgeFMError)
        assert found == [contents[row] for row in (2, 4, 5, 6, 7, 8)]


def test_blocks_keep_their_photos_and_what_is_new_is_added(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    first = [Photo(f"{number}.jpg") for number in range(5)]
    assert store_inputs(folder, [*first, first[0]], 2) == (3, 5)
    again = [Photo("new \udce9.jpg"), *first, Photo("t.parquet#7", "t.parquet", 7)]
    assert store_inputs(folder, again, 2) == (4, 7)
    assert [read_block(folder, number) for number in range(4)] == [
        first[:2],
        first[2:4],
        first[4:],
        [again[0], again[-1]],
    ]
    (tmp_path / "inputs-000001.json").write_text("[")
    with pytest.raises(DataError, match=r"inputs-000001\.json is damaged"):
        store_inputs(folder, again, 2)


def test_results_are_stored_in_another_file_system(tmp_path: Path) -> None:
    folder = open_folder(f"file://{tmp_path}/out")
    folder.write("results-0.jsonl", b"1")
    folder.write("results-0.jsonl", b"2")
    assert folder.names("results-") == ["results-0.jsonl"] and folder.read("results-0.jsonl") == b"2"
    with pytest.raises(DataError, match="memory of one process"):
        open_folder("memory://out")
    with pytest.raises(DataError, match="no file system nowhere://"):
        open_folder("nowhere://out")


def test_a_file_system_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingDependencyError, match="s3fs") as caught:
        names("s3://bucket/photos")
    assert str(caught.value.hint).startswith("pip install s3fs ")


def test_the_package_of_a_file_system_is_missed_before_ray_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    import edge_fm

    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setattr("edge_fm.scale.ray_run.ray_session", None)
    with pytest.raises(MissingDependencyError, match="s3fs"):
        edge_fm.classify_to_files("s3://bucket/photos", tmp_path / "out", "edgenet-s-onnx-int8", on="ray")
    assert not (tmp_path / "out").exists()


def test_infer_alone_says_who_reads_addresses_and_tables(tmp_path: Path) -> None:
    import edge_fm

    (tmp_path / "t.csv").write_text("path\na.png\n")
    given = ["s3://bucket/a.jpg", "s3://bucket/*.jpg", str(tmp_path / "t.csv"), str(tmp_path / "missing.csv")]
    hints = [str(one.error.hint) for one in edge_fm.classify(given, "edgenet-s-onnx-int8")]  # type: ignore[union-attr]
    assert hints[0].endswith("edgefm infer s3://bucket/a.jpg --out results --on ray")
    assert hints[1].endswith("edgefm infer 's3://bucket/*.jpg' --out results --on ray")
    assert hints[2].endswith("t.csv --out results --on ray") and hints[3] == "Check the path."


@pytest.mark.parametrize(
    ("text", "address"),
    [("ray", None), ("auto", "auto"), ("head:6379", "head:6379"), ("ray://head:10001", "ray://head:10001")],
)
def test_addresses(text: str, address: str | None) -> None:
    assert RayAddress.parse(text).address == address


@pytest.mark.parametrize("text", ["", "ray://", "head", "head:", "head:99999", "http://head:80", "a b:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ClusterError, match="not the address"):
        RayAddress.parse(text)


def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(ClusterError, match=r"No Ray cluster can be reached at 127\.0\.0\.1:1"):
        RayAddress.parse("127.0.0.1:1").require_reachable()
