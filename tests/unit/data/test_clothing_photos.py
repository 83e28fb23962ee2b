"""The clothing photos: an archive supplied by hand becomes a manifest; what cannot be had or is wrong says so."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm.data import clothing_photos
from edge_fm.data.clothing_photos import archive as module
from edge_fm.data.clothing_photos import rendering
from edge_fm.data.clothing_photos.manifest import Photo, class_of, shoes, write_manifest
from edge_fm_runtime.errors import DataError, DownloadError

_NAMES = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(4)]
_SNEAKER = next(image for image, label in shoes().items() if label == "Sneaker")


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEFM_DATA", str(tmp_path))
    return tmp_path / "clothing-photos"


def _archive(path: Path, *, commit: str = module.COMMIT) -> None:
    rows = [(_NAMES[0], 7, "Hoodie"), (_NAMES[1], 8, "Hat"), (_NAMES[2], 8, "Skip"), (_SNEAKER, 9, "Shoes")]
    table = "image,sender_id,label,kids\n" + "".join(f"{image},{who},{label},False\n" for image, who, label in rows)
    packed = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(packed, "JPEG")
    members = {"images.csv": table.encode(), "../outside.jpg": b"x", "images/../../outside.jpg": b"x"}
    members |= {f"images/{image}.jpg": packed.getvalue() for image, _, _ in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": commit}) as packed:
        for name, content in members.items():
            info = tarfile.TarInfo(f"clothing-dataset-{commit}/{name}")
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))


def _images() -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(10), 12)
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 8:20, 8:20] = 200
    return images, labels


def test_an_archive_supplied_by_hand_is_unpacked_and_listed_by_class_and_sender(data_folder: Path) -> None:
    packed = data_folder / module.ARCHIVE
    _archive(packed)
    photos = module._unpack(packed, data_folder, lambda *_: None)
    assert photos == [
        Photo(f"images/{_NAMES[0]}.jpg", "Pullover", "7"),
        Photo(f"images/{_NAMES[1]}.jpg", "other: hat", "8"),
        Photo(f"images/{_SNEAKER}.jpg", "Sneaker", "9"),
    ]
    unpacked = {path.name for path in (data_folder / "images").iterdir()}
    assert unpacked == {f"{name}.jpg" for name in (_NAMES[0], _NAMES[1], _SNEAKER)}
    assert not list(data_folder.parent.rglob("outside.jpg"))


def test_an_archive_of_another_commit_is_refused(data_folder: Path) -> None:
    _archive(data_folder / module.ARCHIVE, commit="0" * 40)
    with pytest.raises(DataError, match="is not the archive of commit") as raised:
        clothing_photos.fetch()
    assert module.URL in raised.value.hint


def test_a_damaged_archive_is_refused(data_folder: Path) -> None:
    packed = data_folder / module.ARCHIVE
    _archive(packed)
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(DataError, match="cannot be unpacked"):
        clothing_photos.fetch()


def test_where_its_host_cannot_be_reached_the_error_says_where_to_put_the_archive(data_folder: Path) -> None:
    with pytest.raises(DownloadError, match="could not be fetched") as raised:
        clothing_photos.fetch(url="http://127.0.0.1:9/clothing.tar.gz")
    assert str(data_folder / module.ARCHIVE) in raised.value.hint


def test_what_was_fetched_is_checked_on_every_use(data_folder: Path) -> None:
    _archive(data_folder / module.ARCHIVE)
    photos = module._unpack(data_folder / module.ARCHIVE, data_folder, lambda *_: None)
    module._record(data_folder, len(photos))
    (data_folder / clothing_photos.MANIFEST).touch()
    assert clothing_photos.fetch() == data_folder
    (data_folder / "images" / f"{_NAMES[0]}.jpg").unlink()
    with pytest.raises(DataError, match="is not as it was fetched"):
        clothing_photos.fetch()


def test_the_manifest_has_fashion_mnists_bags_and_other_things_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "BAGS", 12)
    monkeypatch.setattr(rendering, "OTHERS", 2)
    Image.new("RGB", (60, 80), "green").save(tmp_path / "a.jpg")
    photos = [Photo("a.jpg", "Coat", "7"), Photo("b.jpg", "other: hat", "8")]
    manifest = write_manifest(tmp_path / ".", photos, *_images())
    with manifest.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0] == {"file": "a.jpg", "class": "Coat", "sender": "7"}
    drawn = [row for row in rows if row["sender"] == clothing_photos.FASHION_MNIST_SENDER]
    assert len(drawn) == len(rows) - 1 == 12 + 9 * 2
    assert sum(row["class"] == "Bag" for row in drawn) == 12
    with Image.open(tmp_path / drawn[0]["file"]) as image:
        assert (image.size, image.mode) == ((240, 240), "RGB")
    assert "b.jpg,other: hat,8" in (tmp_path / "other-things.csv").read_text()


def test_classes_and_shoes() -> None:
    assert class_of("", "Blazer") == "Coat"
    assert class_of("no such photo", "Shoes") == "other: shoes"
    assert set(shoes().values()) == {"Sandal", "Sneaker", "Ankle boot"}
