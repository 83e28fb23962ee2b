"""Metadata survives the round trip and trusts nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fm_runtime.artifacts.metadata import (
    FORMATS,
    PRECISIONS,
    SCHEMA_VERSION,
    FileEntry,
    InputSpec,
    Metadata,
    PhotoSpec,
    dump_metadata,
)
from edge_fm_runtime.artifacts.metadata_parser import metadata_from_json, parse_metadata
from edge_fm_runtime.errors import ArtifactError


def full() -> Metadata:
    return Metadata(
        name="edgenet-s-onnx-int8",
        format="onnx",
        precision="int8",
        payload="model.onnx",
        input=InputSpec(28, 30, 3, batch=4),
        labels=("T-shirt/top", "Ankle boot", "Größe; ß\n"),
        photo=PhotoSpec("garment", "dark", 7),
        training={"recipe_hash": "abc"},
        accuracy={"value": 0.93, "n": 10_000, "dataset": "garments test"},
        quantization={"tool": "x", "kept_float": []},
        graph={"nodes": 3},
        source={"name": "edgenet-s", "sha256": "00"},
        versions={"keras": "3"},
        parity={"n": 1, "dataset": "garments test", "engine": "onnxruntime", "checks": []},
        files={"model.onnx": FileEntry("0" * 64, 12), "sub/variables.bin": FileEntry("a" * 64, 0)},
    )


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_round_trip_keeps_everything(format: Any, precision: Any) -> None:
    from dataclasses import replace

    payload = {
        **dict.fromkeys(("onnx", "web"), "model.onnx"),
        **dict.fromkeys(("litert", "tflm"), "model.tflite"),
        "openvino": "model.xml",
    }.get(format, "saved_model")
    metadata = replace(full(), format=format, precision=precision, payload=payload)
    assert parse_metadata(dump_metadata(metadata), where="x") == metadata


def test_embedded_copy_is_the_metadata_less_what_depends_on_the_bytes() -> None:
    from dataclasses import replace

    assert parse_metadata(full().embedded(), where="x") == replace(full(), files={}, parity=None, accuracy=None)


def test_newer_schema_says_to_upgrade() -> None:
    raw = full().to_json() | {"schema_version": SCHEMA_VERSION + 1}
    with pytest.raises(ArtifactError, match="schema_version 2") as caught:
        metadata_from_json(raw, where="edgefm.json")
    assert "pip install --upgrade" in (caught.value.hint or "")
    assert caught.value.exit_code == 1


def test_label_list_of_the_wrong_length_names_both_counts() -> None:
    raw = full().to_json()
    raw["labels"] = raw["labels"][:-1]
    with pytest.raises(ArtifactError, match=r"labels has 2 entries, but output\.shape says 3 classes"):
        metadata_from_json(raw, where="edgefm.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), ""),
        (("name",), 3),
        (("name",), "../elsewhere"),
        (("name",), "/etc/cron.d/x"),
        (("name",), ".."),
        (("name",), "a\nb"),
        (("name",), "a\x1b[2J"),
        (("name",), "x" * 201),
        (("labels",), ["a", "b", "\ud800"]),
        (("format",), "torch"),
        (("format",), ["onnx"]),
        (("precision",), "int4"),
        (("payload",), "../model.onnx"),
        (("payload",), "/etc/passwd"),
        (("payload",), "a\\b"),
        (("payload",), "."),
        (("input",), None),
        (("input", "dtype"), "float32"),
        (("input", "shape"), [None, 28, 28]),
        (("input", "shape"), [None, 28, True, 1]),
        (("input", "shape"), [None, 10**30, 28, 1]),
        (("input", "shape"), [0, 28, 28, 1]),
        (("input", "shape"), [65536, 224, 224, 3]),
        (("input", "shape"), [None, 8192, 8192, 3]),
        (("payload",), "model.xml"),
        (("payload",), "edgefm.json"),
        (("labels",), []),
        (("labels",), "abc"),
        (("labels",), ["a", "", "c"]),
        (("photo", "mode"), "zoom"),
        (("photo", "fill"), 256),
        (("versions",), {"keras": 3}),
        (("training",), [1]),
        (("training", "data"), "photos"),
        (("training", "data"), {"source": ["photos"]}),
        (("training", "seed"), True),
        (("training", "epochs"), -1),
        (("accuracy", "value"), "high"),
        (("accuracy", "n"), None),
        (("graph", "parameters"), 1.5),
        (("source", "name"), {}),
        (("source", "notes"), "one"),
        (("parity",), {"n": 1}),
        (("parity", "checks"), [{"name": "top1"}]),
        (("parity", "drop_ci95"), [1]),
        (("parity", "max_abs_diff"), [0.1]),
        (("parity", "max_abs_diff"), 10**400),
        (("parity", "drop_ci95"), [-(10**400), 0]),
        (("parity", "limits"), []),
        (("parity", "limits"), {"max_drop_points": "100"}),
        (("parity", "limits"), {"max_drop_points": 10**400}),
        (("accuracy", "value"), 10**400),
        (("quantization", "reduce_range"), "false"),
        (("quantization", "reduce_range"), 0),
        (("quantization", "safe_for"), ["any"]),
        (("files",), {"../x": {"sha256": "0" * 64, "bytes": 1}}),
        (("files",), {"x" * 256: {"sha256": "0" * 64, "bytes": 1}}),
        (("files",), {"x/" * 600 + "x": {"sha256": "0" * 64, "bytes": 1}}),
        (("payload",), "x" * 3000 + ".onnx"),
        (("files",), {"x": {"sha256": "z" * 64, "bytes": 1}}),
        (("files",), {"x": {"sha256": "0" * 64, "bytes": -1}}),
        (("files",), {"x": None}),
        (("schema_version",), "1"),
        (("schema_version",), True),
    ],
)
def test_each_malformed_field_is_named(path: tuple[str, ...], value: Any) -> None:
    raw = json.loads(dump_metadata(full()))
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(ArtifactError, match=path[0]):
        metadata_from_json(raw, where="edgefm.json")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[" * 100_000, "1" * 5000, '{"schema_version": NaN}', "[]", "null", b"\xff\xfe\x00"]
)
def test_garbage_is_an_artifact_error(text: str | bytes) -> None:
    with pytest.raises(ArtifactError):
        parse_metadata(text, where="edgefm.json")


def test_deep_nesting_in_a_free_section_is_refused() -> None:
    deep: Any = {}
    for _ in range(100):
        deep = {"x": deep}
    with pytest.raises(ArtifactError, match="training must be nested at most"):
        metadata_from_json(full().to_json() | {"training": deep}, where="edgefm.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(field=st.sampled_from(sorted(full().to_json())), value=json_values)
def test_any_value_in_any_field_is_read_or_refused_as_such(field: str, value: Any) -> None:
    try:
        metadata = metadata_from_json(full().to_json() | {field: value}, where="edgefm.json")
    except ArtifactError:
        return
    assert metadata_from_json(metadata.to_json(), where="again") == metadata
