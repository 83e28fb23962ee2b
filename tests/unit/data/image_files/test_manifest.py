"""Manifests: which column is what, own splits, and errors that name columns and lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datafiles import write_images

from edge_fm.data import Dataset, load_dataset
from edge_fm_runtime.errors import DataError

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve images of each of two classes, by six senders."""
    return write_images(tmp_path_factory.mktemp("images"), {"cat": 12, "dog": 12})


def rows(folder: Path) -> list[tuple[str, str, str]]:
    """File, label and sender; a sender has two images of each class."""
    return [(f"{name}/{i:03d}.png", name, f"s{i // 2}") for name in CLASSES for i in range(12)]


def write(path: Path, header: str, lines: list[str], encoding: str = "utf-8") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return path


def pixels(dataset: Dataset) -> dict[str, tuple[bytes, str]]:
    return {
        file: (image.tobytes(), dataset.label_names[label])
        for split in dataset.splits.values()
        for file, image, label in zip(split.files, split.images, split.labels, strict=True)
    }


def as_csv(path: Path, folder: Path) -> Path:
    return write(path, "file,class,sender", [",".join(row) for row in rows(folder)])


def as_jsonl(path: Path, folder: Path) -> Path:
    lines = [json.dumps({"path": file, "label": label, "sender": sender}) for file, label, sender in rows(folder)]
    path.with_suffix(".jsonl").write_text("\n".join(lines) + "\n")
    return path.with_suffix(".jsonl")


def as_utf_16_with_tabs(path: Path, folder: Path) -> Path:
    return write(path, "sender\tlabel\tfile name", ["\t".join(reversed(row)) for row in rows(folder)], "utf-16")


def with_byte_order_mark_and_semicolons(path: Path, folder: Path) -> Path:
    quoted = [f'"{file}";"{label}";{sender}' for file, label, sender in rows(folder)]
    return write(path, "image;category;sender", quoted, "utf-8-sig")


def with_excels_declaration_of_the_separator(path: Path, folder: Path) -> Path:
    return write(path, "sep=|\nfile|label", [f"{file}|{label}" for file, label, _ in rows(folder)], "utf-8-sig")


def without_header(path: Path, folder: Path) -> Path:
    lines = [f"{file},{label}" for file, label, _ in rows(folder)]
    return write(path, lines[0], lines[1:])


@pytest.mark.parametrize(
    "make",
    [
        as_csv,
        as_jsonl,
        as_utf_16_with_tabs,
        with_byte_order_mark_and_semicolons,
        with_excels_declaration_of_the_separator,
        without_header,
    ],
)
def test_a_manifest_gives_the_pixels_and_labels_of_the_folder(make: Callable[[Path, Path], Path], folder: Path) -> None:
    manifest = make(folder / f"{make.__name__}.csv", folder)
    read, expected = load_dataset(str(manifest)), load_dataset(str(folder))
    assert read.label_names == CLASSES
    assert pixels(read) == pixels(expected)
    manifest.unlink()


def test_a_manifest_tells_its_own_splits_and_names_what_it_does_not_use(folder: Path, tmp_path: Path) -> None:
    parts = ["train"] * 4 + ["Val", "test"]
    lines = [f"{folder / file},{label},{parts[i % 6]},{i}" for i, (file, label, _) in enumerate(rows(folder))]
    dataset = load_dataset(str(write(tmp_path / "list.csv", "file,label,split,width", lines)))
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 16, "validation": 4, "test": 4}
    assert dataset.notes["columns"] == "images are in file, labels in label, splits in split; not used: width"
    assert "24 images" in dataset.notes["outside"]


def test_numbers_are_classes_that_labels_txt_names(folder: Path, tmp_path: Path) -> None:
    lines = [f"{folder / file},{CLASSES.index(label)}" for file, label, _ in rows(folder)]
    manifest = write(tmp_path / "list.csv", "file,label", lines)
    assert load_dataset(str(manifest)).label_names == ("0", "1")
    (tmp_path / "labels.txt").write_text("Cat\nDog\n")
    assert load_dataset(str(manifest)).label_names == ("Cat", "Dog")


FULL = "file,kind,species,sender"


def full(folder: Path, change: dict[int, str] | None = None) -> list[str]:
    lines = [f"{folder / file},{label},{label}s,{sender}" for file, label, sender in rows(folder)]
    return [(change or {}).get(i, line) for i, line in enumerate(lines)]


def test_the_label_column_is_named_where_none_is_called_so(folder: Path, tmp_path: Path) -> None:
    manifest = write(tmp_path / "list.csv", FULL, full(folder))
    with pytest.raises(DataError, match="Its columns are file, kind, species, sender; none of them is called") as error:
        load_dataset(str(manifest))
    assert "--label-column kind" in (error.value.hint or "")
    assert load_dataset(str(manifest), label_column="species").label_names == ("cats", "dogs")
    with pytest.raises(DataError, match="no column 'spezies' for the label") as error:
        load_dataset(str(manifest), label_column="spezies")
    assert "--label-column species?" in (error.value.hint or "")


@pytest.mark.parametrize(
    ("header", "change", "message"),
    [
        (FULL, {3: "a.png,,cats,s1"}, r"line 5: the label \(column kind\) is empty"),
        (FULL, {3: ",cat,cats,s1"}, r"line 5: the file \(column file\) is empty"),
        (FULL, {3: "a.png,cat,s1"}, "line 5 has 3 columns; the header has 4"),
        ("file,kind,kind,sender", {}, "several columns called kind"),
        ("file,kind,split,sender", {}, r"line 2: the split \(column split\) is 'cats'; splits are called train"),
        (FULL, {0: 'a.png,"cat,cats,s1'}, "cannot be read"),
        (f"sep=,\n{FULL}", {3: "a.png,,cats,s1"}, r"line 6: the label \(column kind\) is empty"),
    ],
)
def test_a_wrong_row_is_named(header: str, change: dict[int, str], message: str, folder: Path, tmp_path: Path) -> None:
    manifest = write(tmp_path / "list.csv", header, full(folder, change))
    with pytest.raises(DataError, match=message):
        load_dataset(str(manifest), label_column="kind")


def test_a_column_without_a_name_is_called_by_its_number(folder: Path, tmp_path: Path) -> None:
    lines = [f"{folder / file},{label}" for file, label, _ in rows(folder)]
    manifest = write(tmp_path / "list.csv", "file,", ["a.png,", *lines])
    with pytest.raises(DataError, match=r"line 2: the label \(column 2\) is empty"):
        load_dataset(str(manifest))


@pytest.mark.parametrize(
    ("header", "options", "message", "hint"),
    [
        ("file,label", {"group": "sender"}, "no column 'sender' for the groups", "No column is left to hold groups."),
        ("file,kind", {"group": "sender"}, "no column 'sender' for the groups", "No column is left to hold groups."),
        ("file,label,sender", {"group": "person"}, "no column 'person' for the groups", "--group sender "),
        ("file,sender,label", {"group": "person"}, "no column 'person' for the groups", "--group sender "),
        ("file,label", {"group": "label"}, "the column label is named as the group; no other", "--group none"),
        (
            "file,label,sender",
            {"group": "label", "label_column": "label"},
            "the column label is named as the group; no other",
            "--group sender ",
        ),
        ("file,label", {"group": "file"}, "the column file is named as the group; it holds", "--group none"),
        ("file,label,sender", {"label_column": "species"}, "no column 'species' for the label", "--label-column label"),
    ],
)
def test_hints_name_columns_that_can_be_what_is_asked_for(
    header: str, options: dict[str, str], message: str, hint: str, folder: Path, tmp_path: Path
) -> None:
    lines = []
    for file, label, sender in rows(folder):
        cells = {"file": str(folder / file), "label": label, "kind": label, "sender": sender}
        lines.append(",".join(cells[name] for name in header.split(",")))
    manifest = write(tmp_path / "list.csv", header, lines)
    with pytest.raises(DataError, match=message) as error:
        load_dataset(str(manifest), **options)  # type: ignore[arg-type]  # only texts are given
    assert hint in (error.value.hint or "")


def test_a_image_that_is_listed_twice_is_refused(folder: Path, tmp_path: Path) -> None:
    lines = full(folder)
    manifest = write(tmp_path / "list.csv", FULL, [*lines, lines[0].replace(",cat,", ",dog,")])
    with pytest.raises(DataError, match=r"line 26: .*000.png was listed before, in line 2, as cat; here it is dog"):
        load_dataset(str(manifest), label_column="kind")


@pytest.mark.parametrize("spelled", ["./{}", "x/../{}", "{folder}/{}", "cat//..//{}", "cat\\..\\{}"])
def test_a_file_is_listed_twice_however_it_is_spelled(spelled: str, folder: Path) -> None:
    lines = [",".join(row) for row in rows(folder)]
    again = spelled.format("cat/000.png", folder=folder) + ",dog,s0"
    manifest = write(folder / "again.csv", "file,class,sender", [*lines, again])
    with pytest.raises(DataError, match=r"line 26: .*listed before, in line 2 \(cat/000.png\), as cat; here it is dog"):
        load_dataset(str(manifest))
    manifest.unlink()


def test_a_missing_file_is_unreadable_and_a_manifest_in_the_wrong_place_says_so(folder: Path, tmp_path: Path) -> None:
    manifest = write(tmp_path / "list.csv", FULL, full(folder, {0: "gone.png,cat,cats,s0"}))
    with pytest.raises(DataError, match=r"1 of 24 images cannot be read"):
        load_dataset(str(manifest), label_column="kind")
    dataset = load_dataset(str(manifest), label_column="kind", skip_unreadable=0.05)
    assert len(dataset.train) + len(dataset.test) == 23
    relative = write(tmp_path / "moved.csv", "file,label", [f"{file},{label}" for file, label, _ in rows(folder)])
    with pytest.raises(DataError, match="None of the 24 images") as error:
        load_dataset(str(relative))
    assert "relative to the manifest's folder" in (error.value.hint or "")


def test_lines_of_json_that_are_no_rows_are_named(tmp_path: Path) -> None:
    manifest = tmp_path / "list.jsonl"
    for text, message in (
        ('{"file": "a.png"', "line 1 is not JSON"),
        ('{"file": ["a.png"]}', "line 1 is not an object of texts and numbers"),
        ('{"file": "a.png", "label": "b"}\n{"file": "b.png"}', "line 2 has no 'label'"),
        ("\n", "names no images"),
    ):
        manifest.write_text(text)
        with pytest.raises(DataError, match=message):
            load_dataset(str(manifest))


def test_other_sources_have_no_columns(folder: Path) -> None:
    with pytest.raises(DataError, match="--group sender has no meaning"):
        load_dataset("fashion-mnist-mini", group="sender")
    with pytest.raises(DataError, match="whose labels are the names of its subfolders"):
        load_dataset(str(folder), label_column="kind")
    assert np.array_equal(load_dataset(str(folder), group="none").test.labels, load_dataset(str(folder)).test.labels)
