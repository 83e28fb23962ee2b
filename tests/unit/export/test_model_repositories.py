"""Model repositories of other servers: what their own schemas read, and what is never replaced."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.api.artifacts.model_repository import write_model_repository
from edge_fm.cli import cli
from edge_fm_export.model_repositories import triton
from edge_fm_export.model_repositories.layouts import LAYOUTS, SERVERS
from edge_fm_runtime.artifacts.metadata import FORMATS, InputSpec, Metadata, OutputSpec
from edge_fm_runtime.errors import ArtifactError, ExportError

PACKAGED = "edgenet-s-onnx-int8"
MAKE = Callable[..., Path]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("layout", ["triton", "ovms"])
def test_the_payload_is_copied_byte_for_byte_beside_its_metadata(
    layout: str, artifact_folder: Path, tmp_path: Path
) -> None:
    made = write_model_repository(artifact_folder, layout, tmp_path / "repository")  # type: ignore[arg-type]
    found = files(tmp_path / "repository")
    assert sorted(found) == sorted(made.files)
    assert found["tiny/1/model.onnx"] == (artifact_folder / "model.onnx").read_bytes()
    assert found["tiny/1/edgefm.json"] == (artifact_folder / "edgefm.json").read_bytes()
    assert (made.model, made.version, made.kept) == ("tiny", 1, ())


@pytest.mark.needs("tritonclient", "grpc")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("form", "batch", "largest", "dims"),
    [("onnx", None, 64, [4, 4, 1]), ("onnx", 8, 0, [8, 4, 4, 1]), ("openvino", None, 0, [-1, 4, 4, 1])],
)
def test_tritons_own_schema_reads_the_configuration(
    metadata: Metadata, form: str, batch: int | None, largest: int, dims: list[int]
) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2 as schema

    described = replace(
        metadata,
        format=form,  # type: ignore[arg-type]
        input=InputSpec(4, 4, 1, batch=batch),
        extra_outputs=(OutputSpec("embedding", (16,), "features"),),
    )
    read = text_format.Parse(triton.config('a "b" \\ c', described), schema.ModelConfig())
    assert (read.name, read.max_batch_size) == ('a "b" \\ c', largest)
    assert read.backend == {"onnx": "onnxruntime", "openvino": "openvino"}[form]
    assert (read.input[0].name, list(read.input[0].dims)) == ("image", dims)
    assert read.input[0].data_type == schema.TYPE_UINT8
    first = dims[:-3]
    assert [(one.name, list(one.dims), one.label_filename) for one in read.output] == [
        ("probabilities", [*first, 3], "labels.txt"),
        ("embedding", [*first, 16], ""),
    ]
    assert read.HasField("dynamic_batching") == (largest > 0)


@pytest.mark.needs("tensorflow_serving")
@pytest.mark.filterwarnings("ignore")
def test_tensorflow_servings_own_schema_reads_the_configuration(metadata: Metadata, tmp_path: Path) -> None:
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2 as schema

    configure = SERVERS["tfserving"].configure
    assert configure(tmp_path, "shoes", metadata, "/srv/models/") == {tmp_path / "models.config": True}
    configure(tmp_path, 'of "all" kinds', metadata, "/srv/models")
    assert configure(tmp_path, "shoes", metadata, "/srv/models") == {tmp_path / "models.config": False}
    text = (tmp_path / "models.config").read_text()
    read = text_format.Parse(text, schema.ModelServerConfig())
    found = [(one.name, one.base_path, one.model_platform) for one in read.model_config_list.config]
    assert found == [
        ("shoes", "/srv/models/shoes", "tensorflow"),
        ('of "all" kinds', '/srv/models/of "all" kinds', "tensorflow"),
    ]


def test_an_edited_configuration_of_tensorflow_serving_is_left_alone(metadata: Metadata, tmp_path: Path) -> None:
    edited = "# ours\nmodel_config_list { }\n"
    (tmp_path / "models.config").write_text(edited)
    with pytest.raises(ExportError, match="was edited") as caught:
        SERVERS["tfserving"].configure(tmp_path, "shoes", metadata, "/models")
    assert 'config { name: "shoes" base_path: "/models/shoes"' in str(caught.value.hint)
    assert (tmp_path / "models.config").read_text() == edited


def test_the_configuration_of_openvino_model_server_keeps_its_other_entries(
    artifact_folder: Path, tmp_path: Path
) -> None:
    theirs = {"model_config_list": [{"config": {"name": "x", "base_path": "/x", "nireq": 2}}], "monitoring": {}}
    (tmp_path / "config.json").write_text(json.dumps(theirs))
    made = write_model_repository(artifact_folder, "ovms", tmp_path, server_path="/opt/models")
    assert made.files[0] == "config.json"
    found = json.loads((tmp_path / "config.json").read_text())
    theirs["model_config_list"].append({"config": {"name": "tiny", "base_path": "/opt/models/tiny"}})  # type: ignore[attr-defined]
    assert found == theirs
    again = write_model_repository(artifact_folder, "ovms", tmp_path, server_path="/opt/models", model_version=4)
    assert again.kept == ("config.json",)
    before = files(tmp_path)
    with pytest.raises(ExportError, match="at /opt/models/tiny, not at /models/tiny"):
        write_model_repository(artifact_folder, "ovms", tmp_path, model_version=5)
    assert files(tmp_path) == before


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"model_config_list": {}}'])
def test_a_configuration_that_is_none_is_left_alone(text: str, artifact_folder: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "config.json").write_text(text)
    with pytest.raises(ExportError, match=r"config\.json"):
        write_model_repository(artifact_folder, "ovms", repository)
    assert files(repository) == {"config.json": text.encode()}
    assert not (repository / "tiny").exists()


def test_versions_are_numbered_and_never_replaced(make_artifact: MAKE, metadata: Metadata, tmp_path: Path) -> None:
    first, repository = make_artifact("first"), tmp_path / "repository"
    other = make_artifact("other", metadata=replace(metadata, training={"run": "another"}))
    assert write_model_repository(first, "triton", repository).version == 1
    config = repository / "tiny" / "config.pbtxt"
    config.write_text(config.read_text() + "# edited\n")
    before = files(repository)
    with pytest.raises(ExportError, match="is this artifact already") as caught:
        write_model_repository(first, "triton", repository)
    assert "--model-version 2" in str(caught.value.hint)
    with pytest.raises(ExportError, match="is there already"):
        write_model_repository(other, "triton", repository, model_version=1)
    assert files(repository) == before
    made = write_model_repository(other, "triton", repository)
    assert (made.version, made.kept) == (2, ("tiny/config.pbtxt", "tiny/labels.txt"))
    assert before.items() <= files(repository).items()
    with pytest.raises(ExportError, match="number from 1"):
        write_model_repository(other, "triton", repository, model_version=0)


def test_versions_of_a_model_agree_in_what_clients_rely_on(
    make_artifact: MAKE, metadata: Metadata, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    write_model_repository(make_artifact("first"), "triton", repository)
    renamed = make_artifact("renamed", metadata=replace(metadata, labels=("a", "b", "c")))
    before = files(repository)
    with pytest.raises(ExportError, match="has another labels; versions of a model"):
        write_model_repository(renamed, "triton", repository)
    assert files(repository) == before
    assert write_model_repository(renamed, "triton", repository, model_name="letters").version == 1


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", ""])
def test_a_name_is_not_a_path(name: str, artifact_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot name a model"):
        write_model_repository(artifact_folder, "triton", tmp_path / "repository", model_name=name)
    assert not (tmp_path / "repository").exists()


def test_a_place_that_triton_does_not_know_is_refused(artifact_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--server-path means nothing"):
        write_model_repository(artifact_folder, "triton", tmp_path / "repository", server_path="/opt")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_format_is_run_or_refused_with_a_reason(layout: str) -> None:
    server = SERVERS[layout]  # type: ignore[index]
    assert set(server.formats) | set(server.why_not) == set(FORMATS)
    assert not set(server.formats) & set(server.why_not)


def test_a_damaged_artifact_is_not_written(artifact_folder: Path, tmp_path: Path) -> None:
    (artifact_folder / "model.onnx").write_bytes(b"x" * 100)
    with pytest.raises(ArtifactError):
        write_model_repository(artifact_folder, "triton", tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_writes_an_artifact_as_it_is(artifact_folder: Path, tmp_path: Path) -> None:
    repository = str(tmp_path / "r")
    code, out, err = invoke("export", str(artifact_folder), "--layout", "triton", "--repository", repository)
    assert code == 0 and f"Written for triton: tiny version 1 in {repository}" in out.replace("\n", " ")
    assert "--server http://localhost:8000 --model-name tiny" in err.replace("\n", " ")
    code, _, err = invoke("export", str(artifact_folder), "--layout", "triton", "--force")
    assert code == 2 and "--force is for a model" in err
    code, _, err = invoke("export", "edgenet-n", "--model-name", "x")
    assert code == 2 and "goes with --layout" in err
    code, _, err = invoke("export", "edgenet-n", "--layout", "tfserving", "--repository", repository + "2")
    assert code == 1 and "it runs SavedModels alone" in err and "--format savedmodel" in err
    assert not Path(repository + "2").exists()
