"""Files that are damaged, deep or made to hurt: each is one line of error, never a traceback."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edge_fm.cli import cli
from edge_fm.training.recipe.file import parse_recipe
from edge_fm.training.recipe.toml_text import parse_toml
from edge_fm_export.third_party_models.keras_file import read_config
from edge_fm_runtime.errors import ModelError, RecipeError
from edge_fm_runtime.system.json_text import parse_json

DEEP = 100_000
LONG = "1" * 10_000


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def refused(result: Result, *words: str, code: int = 1) -> None:
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert all(word in result.stderr for word in words), result.stderr
    assert "Traceback" not in result.output


def keras_zip(path: Path, config: bytes, *, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", b'{"keras_version": "3.15.1"}')
        archive.writestr("model.weights.h5", b"")


def encrypted(path: Path) -> None:
    """Set the flag that says so; the bytes need not be encrypted for the reader to ask for a password."""
    keras_zip(path, b"{}")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)


def unknown_compression(path: Path) -> None:
    keras_zip(path, b"{}")
    data = bytearray(path.read_bytes())
    data[8:10] = struct.pack("<H", 99)
    at = data.index(b"PK\x01\x02")
    data[at + 10 : at + 12] = struct.pack("<H", 99)
    path.write_bytes(data)


def broken_compression(path: Path) -> None:
    keras_zip(path, json.dumps({"a": list(range(1000))}).encode(), compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[60:80] = b"\xff" * 20
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no archive": lambda path: path.write_bytes(b"text") and None,
    "cut short": lambda path: path.write_bytes(b"PK\x03\x04" + b"\0" * 40) and None,
    "no config": lambda path: zipfile.ZipFile(path, "w").close(),
    "encrypted": encrypted,
    "unknown compression": unknown_compression,
    "broken compression": broken_compression,
    "no JSON": lambda path: keras_zip(path, b"{"),
    "no object": lambda path: keras_zip(path, b"[]"),
    "not UTF-8": lambda path: keras_zip(path, b'{"a": "\xff"}'),
    "deep": lambda path: keras_zip(path, b'{"config": ' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "300 deep": lambda path: keras_zip(path, b'{"config": ' + b"[" * 300 + b"]" * 300 + b"}"),
    "a long integer": lambda path: keras_zip(path, b'{"config": ' + LONG.encode() + b"}"),
    "half a surrogate pair": lambda path: keras_zip(path, b'{"name": "\\ud800"}'),
}


@pytest.mark.needs("tensorflow", "tf2onnx")
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_keras_file_is_one_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    DAMAGES[name](file)
    with pytest.raises(ModelError, match=r"model\.keras"):
        read_config(file)
    refused(run("export", file, "--out", tmp_path / "out"), "model.keras")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "a = " + "[" * DEEP + "]" * DEEP,
        "seed = " + LONG,
        "[training]\nepochs = " + LONG,
        "#" * (2 << 20),
        '[model]\nname = "\\ud800"',
    ],
    ids=["cut", "deep", "long seed", "long epochs", "huge", "half a surrogate pair"],
)
@pytest.mark.parametrize("command", ["train", "search", "sweep"])
def test_a_damaged_recipe_is_one_line(command: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    arguments = {
        "train": ["train", "--recipe", file],
        "search": ["search", file],
        "sweep": ["sweep", file, "--grid", "training.batch_size=8,16"],
    }[command]
    refused(run(*arguments, "--out", tmp_path / "out"), "recipe.toml")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("augmentation.shift=100000", "shift is 100000"),
        ("augmentation.cutout=99999999", "cutout is 99999999"),
        ("data.shape=[100000, 100000, 3]", "shape is"),
        ("data.shape=[28, 28, 1000000]", "shape is"),
        (f"training.epochs={LONG}", "epochs"),
        (f"seed={LONG}", "seed"),
    ],
)
def test_a_value_beyond_all_use_is_refused_before_any_work(setting: str, words: str, tmp_path: Path) -> None:
    refused(run("train", "--data", "fashion-mnist-mini", "--set", setting, "--out", tmp_path / "run"), words)


@pytest.mark.parametrize("size", ["100000x100000x3", "28x28x100000", f"{LONG}x28x1", "²x28x1", "28x28", "0x28x1"])
def test_a_size_beyond_all_use_is_wrong_usage(size: str) -> None:
    refused(run("data", "info", "fashion-mnist-mini", "--size", size), "--size", code=2)


@pytest.mark.needs("tensorflow", "tf2onnx")
@pytest.mark.parametrize("size", ["100000x100000", f"{LONG}", "²", "0x0", "x"])
def test_an_input_size_beyond_all_use_is_wrong_usage(size: str, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"")
    refused(run("export", tmp_path / "model.keras", "--input-size", size), "--input-size", code=2)


def idx(path: Path, shape: tuple[int, ...], *, packed: bool) -> None:
    data = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + b"\0" * 64
    path.write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("packed", [False, True])
def test_an_idx_file_that_claims_nine_gibibytes_is_refused(tmp_path: Path, packed: bool) -> None:
    suffix = ".gz" if packed else ""
    idx(tmp_path / f"train-images-idx3-ubyte{suffix}", (12_000_000, 28, 28), packed=packed)
    idx(tmp_path / f"train-labels-idx1-ubyte{suffix}", (12_000_000,), packed=packed)
    refused(run("data", "info", tmp_path), "train-images-idx3-ubyte")


def test_an_npz_that_claims_nine_gibibytes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "set.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name, shape in (("images", (12_000_000, 28, 28)), ("labels", (12_000_000,))):
            stream = io.BytesIO()
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            archive.writestr(f"{name}.npy", stream.getvalue() + b"\0" * 64)
    refused(run("data", "info", file), "set.npz, images declares")


def test_an_npz_that_unpacks_to_more_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_fm.data import memory

    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    np.savez_compressed(tmp_path / "set.npz", images=np.zeros((40, 8, 8), np.uint8), labels=np.arange(40) % 2)
    refused(run("data", "info", tmp_path / "set.npz"), "of memory are free")


@pytest.mark.parametrize("shape", ["(-1,)", "(2, -3)"])
def test_an_array_of_negative_size_is_refused(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    (tmp_path / "images.npy").write_bytes(data)
    np.save(tmp_path / "labels.npy", np.zeros(2))
    refused(run("data", "info", tmp_path / "images.npy"), "images.npy")


@pytest.mark.parametrize("content", ['{"format": []}', '{"format": {}}', "[]", '{"format": 3}', "[" * DEEP, "\xff"])
def test_a_damaged_artifact_among_the_runs_is_passed_over(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs" / "one" / "export" / "one-onnx-fp32"
    folder.mkdir(parents=True)
    (folder / "edgefm.json").write_text(content, encoding="latin-1")
    monkeypatch.chdir(tmp_path)
    refused(run("infer", "absent.jpg"), "Model: ", "absent.jpg does not exist", code=1)


@pytest.mark.parametrize(
    "text", ["[" * DEEP, LONG, "9" * 301, '{"a": [-1' + "0" * 310 + "]}", '"\\ud800"', b"\xff\xfe\xff", "", "{"]
)
def test_no_json_text_raises_anything_but_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_json_text_keeps_what_is_right() -> None:
    assert parse_json('{"a": "\\ud83d\\ude00 \\u00e9"}') == {"a": "😀 é"}


@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 400, str(1 << 63), "0x" + "f" * 10_000])
@pytest.mark.parametrize("where", ["[optimizer]\nlearning_rate = {}", "[augmentation]\nrotation = {}", "a = [[{}]]"])
def test_an_integer_beyond_64_bits_is_no_recipe(where: str, number: str) -> None:
    with pytest.raises(RecipeError, match=r"not readable as TOML.*integer of .* bits"):
        parse_recipe(where.format(number))


def test_the_largest_integers_of_toml_are_read() -> None:
    assert parse_toml(f"a = [{(1 << 63) - 1}, {-(1 << 63)}]") == {"a": [(1 << 63) - 1, -(1 << 63)]}
