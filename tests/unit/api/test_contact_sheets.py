"""`edgefm data show`: the photos as a training sees them, a heading that counts them, and the command to go on with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import edge_fm
from edge_fm.cli import cli
from edge_fm.data import contact_sheet, load_dataset
from edge_fm.training import load_recipe

SIZE = (96, 96, 3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos that are twice as high as wide, so that the way in which they are brought to a square is seen."""
    rng = np.random.default_rng(0)
    for label in ("bag", "coat"):
        folder = tmp_path / "photos" / label
        folder.mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(60, 256, (200, 100, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_photos_are_shown_as_the_recipe_for_photos_sees_them(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "sheet.png"
    edge_fm.draw_data(str(photos), size=SIZE, out=file)
    seen = load_dataset(str(photos), shape=SIZE, photo=load_recipe("photo").photo)
    assert np.array_equal(np.asarray(Image.open(file)), np.asarray(contact_sheet(seen)))


def test_an_augmented_sheet_counts_the_images_and_not_their_forms(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles: list[str] = []

    def drawn(dataset: Any, **options: Any) -> Image.Image:
        titles.append(options["title"])
        return contact_sheet(dataset, **options)

    monkeypatch.setattr("edge_fm.data.contact_sheet", drawn)
    edge_fm.draw_data(str(photos), size=SIZE, augmented="photo", per_class=4, out=tmp_path / "sheet.png")
    assert titles == ["photos, as the recipe photo changes it: 4 images, 96x96x3"]


@pytest.mark.parametrize(("options", "size"), [([], " --size 96x96x3"), (["--augmented", "photo"], "")])
def test_the_next_command_trains_at_the_size_of_its_recipe(
    photos: Path, tmp_path: Path, options: list[str], size: str
) -> None:
    arguments = ["data", "show", str(photos), "--size", "96x96x3", "--out", str(tmp_path / "sheet.png"), *options]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.stderr
    assert f"Next: edgefm train --data {photos}{size}\n" in done.stderr
