"""Files of label names: encodings, line ends, numbers before the labels, JSON, and errors that name the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_fm.data.readers.label_file import read_label_file
from edge_fm.training import load_recipe
from edge_fm_runtime.errors import DataError

NAMES = ("T-shirt/top", "Étui", "Bag")
TEXT = "\n".join(NAMES)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.replace("\n", "\r\n").encode() + b"\r\n\r\n  \r\n",
        TEXT.replace("\n", "\r").encode(),
        b'["T-shirt/top", "\\u00c9tui", "Bag"]',
        '{"0": "T-shirt/top", "2": "Bag", "1": "Étui"}'.encode(),
        b'{"Bag": 2, "T-shirt/top": 0, "\\u00c9tui": 1}',
        "0 T-shirt/top\n1 Étui\n2 Bag\n".encode(),
        "0,T-shirt/top\n1,Étui\n2,Bag\n".encode(),
        "0: T-shirt/top\n1: Étui\n2: Bag\n".encode(),
    ],
)
def test_labels_are_read_however_they_were_saved(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    read = read_label_file(tmp_path / "labels.txt")
    assert read.names == NAMES
    assert (read.note is not None) == (content[:1] in b"[{0")


def test_numbers_that_belong_to_the_labels_stay(tmp_path: Path) -> None:
    for text in ("0 people\n1 people\n2 people", "10 cent\n20 cent", "0\n1\n2"):
        (tmp_path / "labels.txt").write_text(text)
        read = read_label_file(tmp_path / "labels.txt")
        assert read.names == tuple(text.split("\n")) and read.note is None


@pytest.mark.parametrize("text", ["1 cat\n0 dog", "1 cat\n2 dog", "1. cat\n2. dog"])
def test_numbers_that_do_not_count_from_0_stay_and_are_reported(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(text)
    read = read_label_file(tmp_path / "labels.txt")
    assert read.names == tuple(text.split("\n"))
    assert read.note is not None and "they stay" in read.note


@pytest.mark.parametrize("content", ["\ufeff\ufeffcat\ndog", "cat\n\ufeffdog\n", "0) cat\n1) dog", "0. cat\n1. dog"])
def test_marks_of_joined_files_and_numbers_with_a_bracket_are_taken_off(content: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(content, encoding="utf-8")
    assert read_label_file(tmp_path / "labels.txt").names == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.json", b'["a\\ud800", "b"]', "entry 1 is 'a.ud800', which is not text"),
        ("labels.json", b'{"0": "cat", "1": "dog", "0": "bag"}', "the key '0' occurs twice"),
        ("labels.txt", b"", "is empty; there are no labels"),
        ("labels.txt", b"\n \n", "is empty; there are no labels"),
        ("labels.txt", b"bag\n\ncoat\n", "line 2 is empty"),
        ("labels.txt", b"bag\ncoat\nbag\n", "'bag' twice, in line 1 and line 3"),
        ("labels.txt", b"caf\xe9\n", "not UTF-8 text .* at byte 3"),
        ("labels.txt", "bag\ncoat".encode("utf-16-le"), "zero bytes"),
        ("labels.txt", b"\xff\xfeb", "not UTF-16 text"),
        ("labels.json", b"bag\ncoat\n", "cannot be read: Expecting value"),
        ("labels.json", b'{"bag": 1, "coat": 2}', "not a dict of labels and the class numbers from 0"),
        ("labels.json", b'["bag", "bag"]', "twice, in entry 1 and entry 2"),
        ("labels.txt", b"bag\n" + b"x" * 10_000, "line 2 has 10,000 characters; labels have up to 4,096"),
    ],
)
def test_errors_say_what_is_wrong(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_label_file(tmp_path / name)
    assert name in str(caught.value) and caught.value.hint


def test_a_recipe_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('schema = 1\nname = "mine"\n', encoding="utf-8-sig")
    assert load_recipe(tmp_path / "a.toml").name == "mine"
