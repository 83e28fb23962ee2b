"""Decoded pixels on disk: the same pixels, whatever happens to the file, and no more of them than is allowed."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from datafiles import write_images
from PIL import Image

from edge_fm.data import Dataset, load_dataset
from edge_fm.data.streaming.images import as_streamed
from edge_fm.data.streaming.pixel_cache import PixelCache, fingerprint_of
from edge_fm_runtime.errors import CacheWarning, DataError
from edge_fm_runtime.photos import photo

SHAPE = (20, 20, 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEFM_IMAGE_MEMORY", "0")
    monkeypatch.setenv("EDGEFM_PIXEL_CACHE", "0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_images(tmp_path / "photos", {"cat": 6, "dog": 6}, size=(24, 20))


def load(folder: Path) -> Dataset:
    return load_dataset(str(folder), shape=SHAPE)


def files_of(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "edgefm" / "pixels").glob("*/pixels.raw"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are decoded."""
    names: list[str] = []
    usual = photo.load_canvas

    def load_canvas(source: Path, *arguments: object, **options: object) -> object:
        names.append(source.name)
        return usual(source, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(photo, "load_canvas", load_canvas)
    return names


def test_images_are_decoded_once_and_are_the_same(
    folder: Path, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load(folder)
    assert len(decoded) == 12 and str(files_of(tmp_path)[0]) in dataset.notes["streamed"]
    pixels = np.asarray(dataset.train.images)
    assert np.array_equal(dataset.train.images[::-1], pixels[::-1]) and len(decoded) == 12
    assert files_of(tmp_path)[0].stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("EDGEFM_PIXEL_CACHE", "0")
    without = load(folder)
    assert np.array_equal(np.asarray(without.train.images), pixels) and len(decoded) > 12
    assert without.content_hash == dataset.content_hash and "pixels.raw" not in without.notes["streamed"]


def test_a_cache_that_comes_after_the_first_reading_fills_as_images_are_used(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("EDGEFM_PIXEL_CACHE", "0")
        load(folder)
    images = load(folder).train.images
    decoded.clear()
    first = images[:3].copy()
    assert len(decoded) == 3
    assert np.array_equal(images[:3], first) and len(decoded) == 3


@pytest.mark.parametrize("damage", ["changed", "cut off", "zeros"])
def test_a_damaged_cache_changes_no_pixel(folder: Path, tmp_path: Path, decoded: list[str], damage: str) -> None:
    dataset = load(folder)
    pixels = np.asarray(dataset.train.images)
    file = files_of(tmp_path)[0]
    content = file.read_bytes()
    changed = bytes(byte ^ 1 for byte in content)
    file.write_bytes(
        {"changed": changed, "cut off": content[: len(content) // 2], "zeros": bytes(len(content))}[damage]
    )
    decoded.clear()
    assert np.array_equal(np.asarray(dataset.train.images), pixels) and decoded
    decoded.clear()
    assert np.array_equal(np.asarray(dataset.train.images), pixels) and not decoded  # written again


def test_a_changed_or_lost_photo_is_named_as_without_a_cache(folder: Path) -> None:
    dataset = load(folder)
    first, second = dataset.train.files[:2]
    (folder / first).unlink()
    with pytest.raises(DataError, match=f"{first} could be read when the dataset was loaded"):
        dataset.train.images[0]
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder / second)
    with pytest.raises(DataError, match=f"{second} has changed since the dataset was loaded"):
        dataset.train.images[1]


def test_what_does_not_fit_is_said_and_decoded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    monkeypatch.setenv("EDGEFM_PIXEL_CACHE", "0.000001")
    with pytest.warns(
        CacheWarning, match=r"not kept on disk: they take 0.0 MiB, and EDGEFM_PIXEL_CACHE allows 0.000001 GiB"
    ):
        dataset = load(folder)
    assert len(dataset.train.images[:2]) == 2 and len(decoded) == 14 and not files_of(tmp_path)
    for value in ("much", "-1", "inf", "nan", "1e308"):
        monkeypatch.setenv("EDGEFM_PIXEL_CACHE", value)
        with pytest.raises(DataError, match=f"EDGEFM_PIXEL_CACHE is '{value}'; it is a number of GiB"):
            load(folder)


def test_a_full_disk_is_said_once_and_images_are_decoded(tmp_path: Path) -> None:
    cache = PixelCache(Path("/dev/full"), (2, 2, 1)) if Path("/dev/full").exists() else pytest.skip("no /dev/full")
    canvas = np.ones((2, 2, 1), np.uint8)
    with pytest.warns(CacheWarning, match=r"no longer kept in /dev/full: No space left on device"):
        cache.write(0, canvas)
    cache.write(1, canvas)  # nothing more is tried
    assert cache.read(0, np.frombuffer(fingerprint_of(canvas.tobytes()), np.uint8)) is None


def test_a_disk_that_filled_up_gets_its_room_back(folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))  # a file of some images, and no more
    try:
        with pytest.warns(CacheWarning, match=r"no longer kept in .*pixels.raw: File too large"):
            dataset = load(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.stat().st_size for file in files_of(tmp_path)] == [0]
    assert "pixels.raw" not in dataset.notes["streamed"]
    decoded.clear()
    assert len(dataset.train.images[:2]) == len(decoded) == 2


def test_more_than_the_disk_has_room_for_is_not_begun(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = shutil.disk_usage(tmp_path)
    free = 5000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usual._replace(free=free))
    with pytest.warns(CacheWarning, match=r"not kept on disk: they need 0.0 MiB more, and the disk of .* has 0.0 MiB"):
        load(folder)
    assert not files_of(tmp_path)
    free = 14_400
    note = load(folder).notes["streamed"]
    assert str(files_of(tmp_path)[0]) in note


def test_streamed_images_with_a_cache_can_be_sent_to_another_process(folder: Path) -> None:
    dataset = load(folder)
    images = as_streamed(dataset.train.images)
    assert images is not None
    assert np.array_equal(pickle.loads(pickle.dumps(images))[:2], images[:2])


def test_the_oldest_data_sets_make_room(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(folder)
    other = write_images(tmp_path / "others", {"cat": 6, "dog": 6}, size=(24, 20), seed=1)
    monkeypatch.setenv("EDGEFM_PIXEL_CACHE", str(20_000 / 2**30))
    before = files_of(tmp_path)
    load(other)
    assert len(before) == len(files_of(tmp_path)) == 1 and before != files_of(tmp_path)


def test_unless_told_otherwise_pixels_take_a_quarter_of_what_is_free(
    folder: Path, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.delenv("EDGEFM_PIXEL_CACHE")
    usual = shutil.disk_usage(tmp_path)
    needed = 12 * 20 * 20 * 3
    free = 4 * needed - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usual._replace(free=free))
    dataset = load(folder)
    assert "decoded when they are needed" in dataset.notes["streamed"]
    assert len(dataset.train.images[:2]) == 2 and len(decoded) == 14
    assert not files_of(tmp_path)
    free = 4 * needed
    dataset = load(folder)
    assert "(EDGEFM_PIXEL_CACHE=0 keeps none there)" in dataset.notes["streamed"]
    for split in (dataset.train, dataset.test, dataset.train):
        assert np.asarray(split.images).any()
    assert len(decoded) == 26
    free = 0  # all is there already
    assert str(files_of(tmp_path)[0]) in load(folder).notes["streamed"]
    assert not recwarn.list


def test_files_put_in_the_place_of_others_are_read_though_size_and_time_are_the_same(folder: Path) -> None:
    def place(value: int) -> None:
        for path in sorted(folder.rglob("*.bmp")):
            new = path.with_name("new")
            Image.fromarray(np.full((20, 20), value, np.uint8)).save(new, "bmp")
            os.utime(new, ns=(10**18, 10**18))
            new.replace(path)

    for path in sorted(folder.rglob("*.png")):
        path.rename(path.with_suffix(".bmp"))
    place(10)
    first = load(folder)
    assert (np.asarray(first.train.images) == 10).all()
    place(200)
    assert (first.train.images[:2] == 200).all()  # decoded, as without a cache
    second = load(folder)
    assert (np.asarray(second.train.images) == 200).all() and second.content_hash != first.content_hash


def test_an_attempt_at_another_size_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_images(tmp_path / "mixed", {"cat": 6, "dog": 6}, size=(20, 20))
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(root / "dog" / "z.png")
    images = load_dataset(str(root)).train.images
    assert images.shape[1:] == (20, 20, 3)
    assert [file.stat().st_size for file in files_of(tmp_path)] == [13 * 20 * 20 * 3]


def test_pixels_of_others_stay_where_removing_them_would_not_make_room(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(folder)
    before = files_of(tmp_path)
    other = write_images(tmp_path / "others", {"cat": 6, "dog": 6}, size=(24, 20), seed=1)
    monkeypatch.setenv("EDGEFM_PIXEL_CACHE", str(20_000 / 2**30))
    usual = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usual._replace(free=0))
    with pytest.warns(CacheWarning, match="not kept on disk"):
        load(other)
    assert files_of(tmp_path) == before
