"""An artifact is whole or refused, and the message names the file and the mend."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.files import hash_file, list_files
from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata, PhotoSpec, dump_metadata
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.errors import ArtifactError, IntegrityError


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
    change(artifact_folder, lambda m: replace(m, files={"golden.npz": m.files["golden.npz"]}))
    with pytest.raises(IntegrityError, match="no entry under files"):
        load_artifact(artifact_folder)


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_in_place_of_a_file_is_refused(artifact_folder: Path, tmp_path: Path, inside: bool) -> None:
    other = (artifact_folder if inside else tmp_path) / "other.onnx"
    (artifact_folder / "model.onnx").replace(other)
    (artifact_folder / "model.onnx").symlink_to(other)
    with pytest.raises(IntegrityError, match=r"model\.onnx is a link"):
        load_artifact(artifact_folder)


def test_golden_predictions_that_are_not_listed_are_refused(artifact_folder: Path) -> None:
    change(artifact_folder, lambda m: replace(m, files={"model.onnx": m.files["model.onnx"]}))
    with pytest.raises(IntegrityError, match=r"golden\.npz is not listed"):
        load_artifact(artifact_folder)


@pytest.mark.parametrize("link", [False, True])
def test_weights_beside_an_ir_that_are_not_listed_are_refused(
    artifact_folder: Path, metadata: Metadata, tmp_path: Path, link: bool
) -> None:
    metadata = replace(metadata, format="openvino", payload="model.xml")
    embedded = metadata.embedded().replace('"', "&quot;")
    (artifact_folder / "model.xml").write_text(f'<net><layers/><rt_info><edgefm value="{embedded}"/></rt_info></net>')
    files = {name: hash_file(artifact_folder / name) for name in ("model.xml", "golden.npz")}
    (artifact_folder / "edgefm.json").write_text(dump_metadata(replace(metadata, files=files)))
    assert load_artifact(artifact_folder).payload.name == "model.xml"
    (tmp_path / "weights").write_bytes(b"x")
    if link:
        (artifact_folder / "model.bin").symlink_to(tmp_path / "weights")
    else:
        (artifact_folder / "model.bin").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"model\.bin is not listed"):
        load_artifact(artifact_folder)


def test_a_file_inside_a_saved_model_that_is_not_listed_is_refused(tmp_path: Path, metadata: Metadata) -> None:
    folder = tmp_path / "artifact"
    (folder / "saved_model" / "1").mkdir(parents=True)
    (folder / "saved_model" / "1" / "saved_model.pb").write_bytes(b"x")
    metadata = replace(metadata, format="savedmodel", payload="saved_model")
    files = {name: hash_file(folder / name) for name in ("saved_model/1/saved_model.pb",)}
    (folder / "edgefm.json").write_text(dump_metadata(replace(metadata, files=files)))
    load_artifact(folder)
    (folder / "saved_model" / "1" / "saved_model.cpb").write_bytes(b"x")
    with pytest.raises(IntegrityError, match=r"saved_model\.cpb is not listed"):
        load_artifact(folder)


def test_no_changed_bit_of_the_metadata_is_read_with_another_meaning(artifact_folder: Path) -> None:
    file = artifact_folder / "edgefm.json"
    whole = file.read_bytes()
    meant = load_artifact(artifact_folder).metadata
    read = 0
    for at in range(8 * len(whole)):
        data = bytearray(whole)
        data[at // 8] ^= 1 << at % 8
        try:
            found = parse_metadata(bytes(data), where="edgefm.json")
        except ArtifactError:
            continue
        assert found == meant, f"bit {at}"
        read += 1
    assert read < len(whole) // 4, "blanks and the checksum's own name may change, and little else"


@pytest.mark.parametrize("field", ["name", "labels", "photo", "input", "precision"])
def test_metadata_that_differs_from_the_copy_in_the_payload_is_refused(artifact_folder: Path, field: str) -> None:
    others: dict[str, object] = {
        "name": "other",
        "labels": ("Bag", "Ankle boot", "T-shirt/top"),
        "photo": PhotoSpec("crop"),
        "input": InputSpec(4, 4, 1, batch=2),
        "precision": "fp16",
    }
    change(artifact_folder, lambda m: replace(m, **{field: others[field]}))  # type: ignore[arg-type]
    with pytest.raises(IntegrityError, match=rf"differs from the copy inside model\.onnx: .*{field}"):
        load_artifact(artifact_folder)


def test_a_payload_whose_name_does_not_fit_its_format_is_refused(artifact_folder: Path) -> None:
    (artifact_folder / "model.onnx").replace(artifact_folder / "model.bin")
    change(artifact_folder, lambda m: replace(m, payload="model.bin", files={"model.bin": m.files["model.onnx"]}))
    with pytest.raises(ArtifactError, match=r"payload must be a file that ends in \.onnx"):
        load_artifact(artifact_folder)


def test_a_model_of_many_tiny_fields_is_refused_in_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    file = tmp_path / "model.onnx"
    file.write_bytes(b"\x08\x08" * 4_000_000)
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="more than 100000 fields"):
        load_artifact(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("x")
    for path in (tmp_path / "empty", tmp_path / "note.txt", tmp_path / "absent"):
        with pytest.raises(ArtifactError, match="artifact"):
            load_artifact(path)


def test_what_was_given_in_an_artifacts_place_gets_its_own_advice(artifact_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    (run / "model.keras").write_bytes(b"x")
    export = run / "export"
    for path, words in (
        (run, f"edgefm export '{run}'"),
        (run / "model.keras", f"edgefm export '{run / 'model.keras'}'"),
        (Path("edgenet-s"), "Did you mean 'edgenet-s-onnx-int8'"),
        (tmp_path / "nothing like it", "edgefm export MODEL.keras"),
    ):
        with pytest.raises(ArtifactError) as caught:
            load_artifact(path)
        assert words in str(caught.value.hint)
    export.mkdir()
    artifact_folder.rename(export / "tiny-onnx-fp32")
    for path in (run, export):
        with pytest.raises(ArtifactError) as caught:
            load_artifact(path)
        assert f"'{export / 'tiny-onnx-fp32'}'" in str(caught.value.hint)


def test_metadata_that_is_a_fifo_does_not_hang(artifact_folder: Path) -> None:
    (artifact_folder / "edgefm.json").unlink()
    os.mkfifo(artifact_folder / "edgefm.json")
    with pytest.raises(ArtifactError, match="not a regular file"):
        load_artifact(artifact_folder)


def test_oversized_metadata_is_refused(artifact_folder: Path) -> None:
    with (artifact_folder / "edgefm.json").open("r+b") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(ArtifactError, match="at most"):
        load_artifact(artifact_folder)


def test_files_are_listed_with_links(artifact_folder: Path) -> None:
    assert list_files(artifact_folder) == ["golden.npz", "model.onnx"]


def test_an_artifact_that_is_replaced_while_it_is_read_is_read_again(
    make_artifact: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_fm_runtime.artifacts import artifact as module

    old, new = make_artifact("old"), make_artifact("new")
    (new / "golden.npz").write_bytes(b"another")
    change(new, lambda m: replace(m, files={**m.files, "golden.npz": hash_file(new / "golden.npz")}))
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
    with pytest.raises(ArtifactError, match="stores weights in other files"):
        load_artifact(payload)
    _list_anew(artifact_folder)
    with pytest.raises(ArtifactError, match="stores weights in other files"):
        load_artifact(artifact_folder)


def test_a_model_that_only_speaks_of_a_location_opens(artifact_folder: Path) -> None:
    payload = artifact_folder / "model.onnx"
    model = onnx.load(payload)
    model.graph.node[0].name = "location"
    model.graph.doc_string = "location"
    payload.write_bytes(model.SerializeToString())
    assert load_artifact(payload).bare


def change(folder: Path, how: Callable[[Metadata], Metadata]) -> None:
    """Change the metadata of an artifact as one who knows the format would: its checksum fits."""
    metadata = parse_metadata((folder / "edgefm.json").read_bytes(), where="test")
    (folder / "edgefm.json").write_text(dump_metadata(how(metadata)))


def _list_anew(folder: Path) -> None:
    change(folder, lambda m: replace(m, files={name: hash_file(folder / name) for name in m.files}))
