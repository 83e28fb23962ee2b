"""A job on Ray: every photo once and as `classify` gives it, though workers are killed; one Ray for the whole file."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_recipe import small_recipe
from tiny_models import tiny_images

import edge_fm
from edge_fm.scale.ray_session import RayAddress, ray_session

pytestmark = [
    pytest.mark.needs("ray", "fsspec", "pyarrow"),
    pytest.mark.slow,
    # Ray does not wait for processes of its own that it has killed.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODEL = "edgenet-s-onnx-int8"
_WORKER = b"ray::classify_block"


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # Ray's own
        with ray_session(RayAddress(None), cpus=2) as started:
            yield started


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for number in range(48):
        Image.fromarray(random.integers(0, 256, (30, 20), dtype=np.uint8)).save(folder / f"{number:03d}.png")
    (folder / "broken.png").write_text("not a photo")
    return folder


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for file in sorted(out.glob("results-*.jsonl")) for line in file.read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.endswith("_ms")} for row in rows]


def kill_a_worker(killed: list[int]) -> None:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(_WORKER) and int(folder.name) not in killed:
            killed.append(int(folder.name))
            os.kill(killed[-1], signal.SIGKILL)
            return


def test_every_photo_is_classified_once_though_workers_are_killed(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_fm.api.artifacts.classify_files.PHOTOS_PER_BLOCK", 4)
    killed: list[int] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        assert total == 49
        if done >= 8 * (len(killed) + 1) and len(killed) < 2:
            kill_a_worker(killed)

    result = edge_fm.classify_to_files(photos, tmp_path, MODEL, on="ray", workers=2, top_k=2, progress=progress)
    assert len(killed) == 2
    assert (result.classified, result.failed, result.earlier, result.workers) == (48, 1, 0, 2)
    expected = [one.to_json() for one in edge_fm.classify(photos, MODEL, top_k=2)]
    assert rows_of(tmp_path) == [{k: v for k, v in row.items() if not k.endswith("_ms")} for row in expected]

    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("results-*")}
    (tmp_path / "results-000003.jsonl").unlink()  # as if all had been stopped before it was written
    again = edge_fm.classify_to_files(photos, tmp_path, MODEL, on="ray", workers=1, top_k=2)
    assert (again.classified, again.failed, again.earlier, again.workers) == (48, 1, 45, 1)
    after = {file: file.stat().st_mtime_ns for file in tmp_path.glob("results-*")}
    assert [file.name for file in before if before[file] != after[file]] == ["results-000003.jsonl"]
    assert len(rows_of(tmp_path)) == 49


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_what_failed_is_classified_again_on_demand_alone(photos: Path, tmp_path: Path, file_format: Any) -> None:
    given = [tmp_path / "late.png", tmp_path / "broken.png", *sorted(photos.glob("00*.png"))]
    given[1].write_text("not a photo")

    def run(**options: Any) -> tuple[int, int, int]:
        result = edge_fm.classify_to_files(
            given, tmp_path / "out", MODEL, on="ray", workers=1, file_format=file_format, **options
        )
        return result.earlier, result.classified, result.failed

    assert run() == (0, 10, 2)
    (tmp_path / "late.png").write_bytes(given[-1].read_bytes())  # it did not exist when it was listed
    assert run() == (12, 10, 2)
    assert run(retry_failed=True) == (10, 11, 1)
    if file_format == "jsonl":
        rows = rows_of(tmp_path / "out")
        assert [row["input"] for row in rows] == list(map(str, given))
        assert [bool(row["error"]) for row in rows] == [False, True, *[False] * 10]


def test_photos_of_a_bucket_in_memory_and_of_a_table_into_parquet(photos: Path, tmp_path: Path) -> None:
    import fsspec
    import pyarrow as pa
    import pyarrow.parquet

    files = sorted(photos.glob("0*.png"))[:6]
    system = fsspec.filesystem("memory")
    for file in files[:3]:
        system.pipe_file(f"/photos/{file.name}", file.read_bytes())
    table = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pa.table({"image": [file.read_bytes() for file in files[3:]]}), table)
    out = f"file://{tmp_path}/out"
    given = ["memory://photos", str(table)]
    result = edge_fm.classify_to_files(given, out, MODEL, on="ray", workers=1, file_format="parquet")
    system.rm("/photos", recursive=True)
    assert (result.classified, result.failed) == (6, 0)
    rows = pyarrow.parquet.read_table(tmp_path / "out" / "results-000000.parquet").to_pylist()
    expected = [(one.label, round(one.score, 6)) for one in edge_fm.classify(files, MODEL)]  # type: ignore[union-attr]
    assert [(row["label"], row["score"]) for row in rows] == expected
    assert [row["input"] for row in rows][2:4] == ["memory:///photos/002.png", f"{table}#0"]


def test_what_a_worker_finds_wrong_is_said_here(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(edge_fm.EdgeFMError, match="Found no photo"):
        edge_fm.classify_to_files(tmp_path, tmp_path / "out", MODEL, on="ray")
    assert not (tmp_path / "out").exists()
    with pytest.raises(edge_fm.EdgeFMError, match=r"t\.csv has no column"):
        (tmp_path / "t.csv").write_text("label\n")
        edge_fm.classify_to_files(tmp_path / "t.csv", tmp_path / "out", MODEL, on="ray")
    with pytest.raises(edge_fm.EdgeFMError, match="connected to a Ray already"):
        edge_fm.classify_to_files(photos, tmp_path / "out", MODEL, on="127.0.0.1:6379")


@pytest.mark.needs("tensorflow", "optuna")
def test_a_study_is_that_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = tiny_images((28, 28, 1), 150, seed=0)
    split = {"x_train": images[:120], "y_train": labels[:120], "x_test": images[120:], "y_test": labels[120:]}
    np.savez(tmp_path / "data.npz", **split)
    (tmp_path / "small.toml").write_text(small_recipe("data.npz", batch_size=32, trials=2))
    monkeypatch.chdir(tmp_path)  # relative paths mean the same in a worker
    folds: list[int] = []
    alone = edge_fm.crossval("small.toml", folds=2, out="alone").to_json()
    together = edge_fm.crossval(
        "small.toml", folds=2, out="together", on="ray", on_fold=lambda number, of: folds.append(number)
    ).to_json()
    for result in (alone, together):
        for score in result["scores"]:
            assert Path(score.pop("run"), "model.keras").is_file()
            del score["seconds"]
    assert together == alone and folds == [1, 2]

    found = edge_fm.search("small.toml", on="ray", workers=2, out="found").to_json()
    trials = edge_fm.search("small.toml", out="searched").to_json()["trials"]
    for one in (*found["trials"], *trials):
        del one["run"], one["seconds"]
    assert found["trials"] == trials and Path(found["best_recipe"]).is_file()
