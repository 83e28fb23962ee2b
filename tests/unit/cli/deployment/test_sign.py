"""`sign`, `--signed-by` and `--require-signature`: what a person types and what a device refuses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from signing_keys import make_key

from edge_fm import Classifier
from edge_fm.cli import cli
from edge_fm.scale.ray_job import artifact_files
from edge_fm_runtime import load_artifact, required_signature
from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL, packaged_artifact
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE
from edge_fm_runtime.errors import SignatureError, SigningKeyError

pytestmark = pytest.mark.needs("cryptography")


def run(*arguments: object, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    assert REQUIRE_SIGNATURE not in os.environ
    return result


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file)
    return file


def test_sign_then_verify_then_infer(artifact_folder: Path, key: Path, photo: Path) -> None:
    public = key.with_suffix(".pub")
    done = run("sign", artifact_folder, "--key", key, "--json")
    signed = json.loads(done.stdout)
    assert set(signed["files"]) == {"edgefm.json", "golden.npz", "model.onnx"}
    assert signed["signature"] == str(artifact_folder / "model.sig")
    assert f"Next: edgefm verify {artifact_folder} --signed-by {public}" in done.stderr
    verified = json.loads(run("verify", artifact_folder, "--signed-by", public, "--json").stdout)
    assert verified["passed"] and verified["signed_by"] == signed["key_sha256"]
    row = run("infer", photo, "--model", artifact_folder, "--require-signature", public, "--json").stdout
    assert json.loads(row)["label"]
    assert "signed with the key" in run("verify", artifact_folder, "--signed-by", public).stdout


def test_the_next_commands_write_the_public_key_where_there_is_none(artifact_folder: Path, key: Path) -> None:
    key.with_suffix(".pub").unlink()
    lines = run("sign", artifact_folder, "--key", key).stderr.splitlines()
    assert f"Next: openssl pkey -in {key} -pubout -out {key.with_suffix('.pub')}" in lines


def test_a_signature_that_is_not_asked_for_is_mentioned(artifact_folder: Path, key: Path) -> None:
    run("sign", artifact_folder, "--key", key)
    result = run("verify", artifact_folder, "--json")
    assert json.loads(result.stdout)["signed_by"] is None
    assert "not checked without the key: --signed-by" in result.stderr


@pytest.mark.parametrize("command", ["infer", "verify", "evaluate", "benchmark", "autotune"])
@pytest.mark.parametrize("by", ["option", "environment"])
def test_every_command_that_runs_artifacts_refuses_an_unsigned_one(
    command: str, by: str, artifact_folder: Path, key: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: list[object] = [command, artifact_folder]
    if command == "infer":
        arguments = [command, photo, "--model", artifact_folder]
    public = key.with_suffix(".pub")
    if by == "option":
        option = "--signed-by" if command == "verify" else "--require-signature"
        result = run(*arguments, option, public, exit_code=3)
    else:
        monkeypatch.setenv(REQUIRE_SIGNATURE, str(public))
        result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert result.exit_code == 3
    assert f"{artifact_folder} is not signed: it has no model.sig." in result.stderr
    assert f"edgefm sign {artifact_folder} --key signing.key" in result.stderr


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_the_python_api_refuses_too(by: str, artifact_folder: Path, key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = key.with_suffix(".pub")
    if by == "environment":
        monkeypatch.setenv(REQUIRE_SIGNATURE, str(public))
    given = {"require_signature": public} if by == "argument" else {}
    for load in (load_artifact, Classifier.load):
        with pytest.raises(SignatureError, match="is not signed"):
            load(artifact_folder, **given)


def test_the_argument_goes_before_the_environment(
    artifact_folder: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("sign", artifact_folder, "--key", key)
    other = make_key(tmp_path, "other").with_suffix(".pub")
    monkeypatch.setenv(REQUIRE_SIGNATURE, str(other))
    assert load_artifact(artifact_folder, require_signature=key.with_suffix(".pub")).signed_by
    with pytest.raises(SignatureError, match="signed with another key"):
        load_artifact(artifact_folder)


def test_within_required_signature_all_is_required(
    artifact_folder: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(key.parent)
    with required_signature("signing.pub"):
        monkeypatch.chdir("/")
        with pytest.raises(SignatureError, match="is not signed"):
            load_artifact(artifact_folder)
    assert load_artifact(artifact_folder).signed_by is None
    with required_signature(""), pytest.raises(SignatureError, match="is empty"):
        load_artifact(artifact_folder)


@pytest.mark.parametrize("value", ["", "no-such-file.pub"])
def test_a_key_that_is_not_there_never_means_that_none_is_required(
    value: str, artifact_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REQUIRE_SIGNATURE, value)
    with pytest.raises((SignatureError, SigningKeyError), match=r"is empty|cannot be read"):
        Classifier.load(artifact_folder)


def test_the_artifact_in_the_package_is_refused_and_a_signed_copy_is_taken(key: Path, tmp_path: Path) -> None:
    public = key.with_suffix(".pub")
    for path in (None, DEFAULT_MODEL):
        with pytest.raises(SignatureError, match="comes with the package, is not signed") as caught:
            Classifier.load(path, require_signature=public)
    assert "cp -r" in (caught.value.hint or "")
    assert "Sign a copy: cp -r" in run("sign", DEFAULT_MODEL, "--key", key, exit_code=3).stderr
    copy = tmp_path / "my-classifier"
    folder = packaged_artifact("edgenet-s-onnx-int8")
    assert folder is not None
    shutil.copytree(folder, copy)
    run("sign", copy, "--key", key)
    Classifier.load(copy, require_signature=public).close()


def test_a_bare_payload_is_refused(artifact_folder: Path, key: Path) -> None:
    run("sign", artifact_folder, "--key", key)
    with pytest.raises(SignatureError, match="bare payload"):
        load_artifact(artifact_folder / "model.onnx", require_signature=key.with_suffix(".pub"))
    assert "bare payload" in run("sign", artifact_folder / "model.onnx", "--key", key, exit_code=3).stderr


def test_a_signature_is_replaced_only_when_asked(artifact_folder: Path, key: Path, tmp_path: Path) -> None:
    run("sign", artifact_folder, "--key", key)
    before = (artifact_folder / "model.sig").read_bytes()
    other = make_key(tmp_path, "other")
    assert "Replace it: --force" in run("sign", artifact_folder, "--key", other, exit_code=3).stderr
    assert (artifact_folder / "model.sig").read_bytes() == before
    run("sign", artifact_folder, "--key", other, "--force")
    assert load_artifact(artifact_folder, require_signature=other.with_suffix(".pub")).signed_by


def test_a_damaged_artifact_is_not_signed(artifact_folder: Path, key: Path) -> None:
    (artifact_folder / "golden.npz").write_bytes(b"x")
    assert "golden.npz has 1 bytes" in run("sign", artifact_folder, "--key", key, exit_code=3).stderr
    assert not (artifact_folder / "model.sig").exists()


def test_files_that_the_metadata_does_not_list_are_signed_and_named(artifact_folder: Path, key: Path) -> None:
    (artifact_folder / "LICENSE").write_text("Apache-2.0")
    assert "signed too: LICENSE" in run("sign", artifact_folder, "--key", key).stderr
    (artifact_folder / "LICENSE").write_text("changed")
    with pytest.raises(SignatureError, match="LICENSE was changed"):
        load_artifact(artifact_folder, require_signature=key.with_suffix(".pub"))


def test_a_worker_gets_every_file_that_the_signature_covers(artifact_folder: Path, key: Path, tmp_path: Path) -> None:
    (artifact_folder / "notes").mkdir()
    (artifact_folder / "notes/LICENSE").write_text("Apache-2.0")
    run("sign", artifact_folder, "--key", key)
    public = key.with_suffix(".pub")
    files, entry = artifact_files(load_artifact(artifact_folder, require_signature=public))
    for name, content in files.items():
        (tmp_path / "worker" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "worker" / name).write_bytes(content)
    assert load_artifact(tmp_path / "worker" / entry, require_signature=public).signed_by


def test_an_encrypted_key_takes_its_password_from_a_file(artifact_folder: Path, tmp_path: Path) -> None:
    key = make_key(tmp_path, password="a b")
    assert "--password-file FILE" in run("sign", artifact_folder, "--key", key, exit_code=1).stderr
    (tmp_path / "password").write_text("a b\n")
    run("sign", artifact_folder, "--key", key, "--password-file", tmp_path / "password")
    assert load_artifact(artifact_folder, require_signature=key.with_suffix(".pub")).signed_by


def test_a_keras_model_is_refused_where_a_signature_is_required(key: Path, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"PK")
    result = run("evaluate", tmp_path / "model.keras", "--require-signature", key.with_suffix(".pub"), exit_code=3)
    assert "is a Keras model, which no signature covers" in result.stderr


def test_quickstart_says_at_once_that_nobody_signed_what_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.setenv(REQUIRE_SIGNATURE, "signing.pub")
    result = CliRunner().invoke(cli, ["quickstart"])
    assert result.exit_code == 3
    assert f"env -u {REQUIRE_SIGNATURE} edgefm quickstart" in result.stderr


def test_the_replacement_of_a_signed_artifact_is_seen_as_one(
    make_artifact: Callable[..., Path], key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is exchanged for another signed one while it is read is read again."""
    from edge_fm_runtime.artifacts import signed

    folder, other = make_artifact(), make_artifact("other")
    (other / "README.md").write_text("another")
    run("sign", folder, "--key", key)
    run("sign", other, "--key", key)
    read_folder = signed.read_folder

    def exchange(*arguments: object, **options: object) -> object:
        if other.exists():
            shutil.rmtree(folder)
            other.rename(folder)
        return read_folder(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(signed, "read_folder", exchange)
    assert load_artifact(folder, require_signature=key.with_suffix(".pub")).signed_by
    assert (folder / "README.md").exists()
