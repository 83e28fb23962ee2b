"""An artifact is whole or refused, and the message names the file and the mend."""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edge_fm_runtime.artifact import hash_file, list_files, load_artifact
from edge_fm_runtime.embedded import read_embedded
from edge_fm_runtime.errors import ArtifactError, IntegrityError
from edge_fm_runtime.golden import load_golden
from edge_fm_runtime.metadata import Metadata, dump_metadata, parse_metadata


def test_folder_metadata_file_and_bare_payload_all_open(artifact_folder: Path, metadata: Metadata) -> None:
    for path in (artifact_folder, artifact_folder / "edgefm.json"):
        artifact = load_artifact(path)
        assert artifact.path == artifact_folder
        assert artifact.payload == artifact_folder / "model.onnx"
        assert artifact.metadata.labels == metadata.labels
    bare = load_artifact(artifact_folder / "model.onnx")
    assert bare.bare
    assert bare.metadata == metadata


def test_one_changed_byte_is_noticed(artifact_folder: Path) -> None:
    payload = artifact_folder / "model.onnx"
    data = bytearray(payload.read_bytes())
    data[len(data) // 2] ^= 1
    payload.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.onnx was changed") as caught:
        load_artifact(artifact_folder)
    assert caught.value.exit_code == 3
    assert "edgefm export" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz"])
def test_a_missing_file_is_named(artifact_folder: Path, name: str) -> None:
    (artifact_folder / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name} is missing"):
        load_artifact(artifact_folder)


def test_a_truncated_file_is_named(artifact_folder: Path) -> None:
    payload = artifact_folder / "model.onnx"
    payload.write_bytes(payload.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="bytes, not"):
        load_artifact(artifact_folder)


def test_every_damage_is_listed_at_once(artifact_folder: Path) -> None:
    (artifact_folder / "golden.npz").unlink()
    (artifact_folder / "model.onnx").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"model\.onnx has 1 bytes.*|golden.*") as caught:
        load_artifact(artifact_folder)
    assert "golden.npz is missing" in str(caught.value)
    assert "model.onnx has 1 bytes" in str(caught.value)


def test_a_payload_without_a_hash_is_refused(artifact_folder: Path) -> None:
    file = artifact_folder / "edgefm.json"
    raw = json.loads(file.read_text())
    del raw["files"]["model.onnx"]
    file.write_text(json.dumps(raw))
    with pytest.raises(IntegrityError, match="no entry under files"):
        load_artifact(artifact_folder)


def test_a_link_that_leaves_the_folder_is_refused(artifact_folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    (artifact_folder / "model.onnx").replace(outside)
    (artifact_folder / "model.onnx").symlink_to(outside)
    with pytest.raises(IntegrityError, match="link that leaves"):
        load_artifact(artifact_folder)


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")
    for path in (tmp_path / "empty", tmp_path / "note.txt", tmp_path / "absent"):
        with pytest.raises(ArtifactError, match="artifact"):
            load_artifact(path)


def test_metadata_that_is_a_fifo_does_not_hang(artifact_folder: Path) -> None:
    (artifact_folder / "edgefm.json").unlink()
    os.mkfifo(artifact_folder / "edgefm.json")
    with pytest.raises(ArtifactError, match="no regular file"):
        load_artifact(artifact_folder)


def test_oversized_metadata_is_refused(artifact_folder: Path) -> None:
    with (artifact_folder / "edgefm.json").open("r+b") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(ArtifactError, match="at most"):
        load_artifact(artifact_folder)


def test_a_bare_model_without_metadata_is_refused(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(helper.make_graph([], "empty", [], []))
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(ArtifactError, match="no embedded EdgeFM metadata"):
        load_artifact(tmp_path / "foreign.onnx")


@pytest.mark.parametrize("damage", [b"", b"\x00", b"PK\x03\x04" + b"x" * 50, b"\xff" * 100, b"<html></html>"])
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_a_bare_file_of_garbage_is_an_artifact_error(tmp_path: Path, damage: bytes, suffix: str) -> None:
    (tmp_path / f"bad{suffix}").write_bytes(damage)
    with pytest.raises(ArtifactError):
        load_artifact(tmp_path / f"bad{suffix}")


def test_embedded_text_survives_at_every_truncation(artifact_folder: Path) -> None:
    whole = (artifact_folder / "model.onnx").read_bytes()
    short = artifact_folder / "short.onnx"
    for length in range(1, len(whole), 37):
        short.write_bytes(whole[:length])
        try:
            text = read_embedded(short)
        except ArtifactError:
            continue
        assert text is None or text == read_embedded(artifact_folder / "model.onnx")


def test_files_are_listed_with_links(artifact_folder: Path) -> None:
    assert list_files(artifact_folder) == ["golden.npz", "model.onnx"]


def test_golden_never_unpickles(tmp_path: Path) -> None:
    file = tmp_path / "golden.npz"
    hostile = np.array([{"a": 1}], dtype=object)
    np.savez(file, images=hostile, reference=hostile, exported=hostile)
    with pytest.raises(ArtifactError, match="no golden answers"):
        load_golden(file)


def test_golden_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "golden.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("images", "reference", "exported"):
            archive.writestr(f"{name}.npy", b"no array")
    with pytest.raises(ArtifactError, match="images is no array"):
        load_golden(file)


def test_golden_bytes_do_not_depend_on_the_time(make_artifact: Callable[..., Path]) -> None:
    first, second = make_artifact("a"), make_artifact("b")
    assert (first / "golden.npz").read_bytes() == (second / "golden.npz").read_bytes()


def test_golden_answers_with_broken_compression_are_an_artifact_error(artifact_folder: Path) -> None:
    from edge_fm_runtime.golden import load_golden

    path = artifact_folder / "golden.npz"
    whole = path.read_bytes()
    for at in range(40, len(whole), 7):  # every part of the archive: headers, compressed bytes, directory
        data = bytearray(whole)
        data[at] ^= 0x5A
        path.write_bytes(data)
        with contextlib.suppress(ArtifactError):  # any other error fails
            load_golden(path)


def test_an_artifact_that_is_replaced_while_it_is_read_is_read_again(
    make_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_fm_runtime import artifact as module

    old, new = make_artifact("old"), make_artifact("new")
    raw = json.loads((new / "edgefm.json").read_text())
    (new / "golden.npz").write_bytes(b"another")
    raw["files"]["golden.npz"] = {"sha256": module.hash_file(new / "golden.npz").sha256, "bytes": 7}
    (new / "edgefm.json").write_text(json.dumps(raw))
    check, calls = module.check_files, []

    def swap_then_check(folder: Path, metadata: Metadata) -> None:
        if not calls:
            for name in ("golden.npz", "edgefm.json"):
                (new / name).replace(old / name)
        calls.append(folder)
        check(folder, metadata)

    monkeypatch.setattr(module, "check_files", swap_then_check)
    assert load_artifact(old).metadata.files["golden.npz"].bytes == 7
    assert len(calls) == 2


@pytest.mark.parametrize("where", ["weights.bin", "../weights.bin", "/etc/passwd"])
@pytest.mark.parametrize("place", ["initializer", "constant", "branch"])
def test_a_model_that_refers_to_another_file_is_refused(artifact_folder: Path, where: str, place: str) -> None:
    payload = artifact_folder / "model.onnx"
    model = onnx.load(payload)
    weights = model.graph.initializer[0]
    tensor = weights if place == "initializer" else onnx.TensorProto(name="c", data_type=1, dims=[4])
    if tensor is weights:
        weights.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=where)
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    if place == "constant":
        model.graph.node.append(constant)
    elif place == "branch":
        inner = onnx.helper.make_graph([constant], "inner", [], [onnx.ValueInfoProto(name="c")])
        model.graph.node.append(onnx.helper.make_node("If", ["flag"], ["c"], then_branch=inner, else_branch=inner))
    payload.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="keeps weights in other files"):
        load_artifact(payload)
    _list_anew(artifact_folder)
    with pytest.raises(ArtifactError, match="keeps weights in other files"):
        load_artifact(artifact_folder)


def test_a_model_that_only_speaks_of_a_location_opens(artifact_folder: Path) -> None:
    payload = artifact_folder / "model.onnx"
    model = onnx.load(payload)
    model.graph.node[0].name = "location"
    model.graph.doc_string = "location"
    payload.write_bytes(model.SerializeToString())
    assert load_artifact(payload).bare


def _list_anew(folder: Path) -> None:
    metadata = parse_metadata((folder / "edgefm.json").read_bytes(), where="test")
    files = {name: hash_file(folder / name) for name in metadata.files}
    (folder / "edgefm.json").write_text(dump_metadata(replace(metadata, files=files)))
