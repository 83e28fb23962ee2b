"""A thousand altered artifacts, each refused before anything of the payload is read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from signing_keys import make_key
from tiny_onnx import write_tiny_onnx

from edge_fm.api.artifacts.sign import sign
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts import embedded, onnx_external_data
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.files import hash_file
from edge_fm_runtime.artifacts.metadata import dump_metadata
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.errors import EdgeFMError, IntegrityError, SignatureError

pytestmark = pytest.mark.needs("cryptography")

ALTERATIONS = 1000


@pytest.fixture
def signed(make_artifact: Callable[..., Path], tmp_path: Path) -> tuple[Path, Path, Path]:
    """A signed artifact, its private key and its public key."""
    folder = make_artifact()
    (folder / "README.md").write_text("# tiny\n")
    (folder / "notes").mkdir()
    (folder / "notes/licence.txt").write_text("Apache-2.0\n")
    metadata = parse_metadata((folder / "edgefm.json").read_text(), where="edgefm.json")
    files = {**metadata.files, "README.md": hash_file(folder / "README.md")}
    (folder / "edgefm.json").write_text(dump_metadata(replace(metadata, files=files)))
    key = make_key(tmp_path)
    sign(folder, key)
    return folder, key, key.with_suffix(".pub")


@contextmanager
def put_back(folder: Path, kept: Path) -> Iterator[None]:
    """Restore the folder afterwards from a copy, file by file."""
    try:
        yield
    finally:
        for path in sorted(folder.rglob("*"), reverse=True):
            original = kept / path.relative_to(folder)
            if path.is_dir() and not path.is_symlink():
                if not original.is_dir():
                    shutil.rmtree(path)
            elif path.is_symlink() or not path.is_file() or not original.is_file():
                path.unlink()
        for original in kept.rglob("*"):
            path = folder / original.relative_to(kept)
            if original.is_dir():
                path.mkdir(exist_ok=True)
            elif not path.is_file() or path.read_bytes() != original.read_bytes():
                path.write_bytes(original.read_bytes())


def change_a_byte(folder: Path, random: np.random.Generator, _: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = files[random.integers(len(files))]
    content = bytearray(file.read_bytes())
    content[random.integers(len(content))] ^= 1 << int(random.integers(8))
    file.write_bytes(content)


def cut_or_append(folder: Path, random: np.random.Generator, _: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = files[random.integers(len(files))]
    content = file.read_bytes()
    file.write_bytes(content[:-1] if random.integers(2) else content + b"\0")


def add_a_file(folder: Path, random: np.random.Generator, _: Path) -> None:
    names = ("model.bin", "extra.onnx", ".git/config", "notes/more.txt", "model.sig.old", "a\nb", "__init__.py")
    file = folder / names[random.integers(len(names))]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"" if random.integers(2) else b"x")


def remove_a_file(folder: Path, random: np.random.Generator, _: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    files[random.integers(len(files))].unlink()


def rename_a_file(folder: Path, random: np.random.Generator, _: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = files[random.integers(len(files))]
    file.rename(file.with_name(f"{file.name}{random.integers(10)}"))


def exchange_two_files(folder: Path, random: np.random.Generator, _: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    one, other = (files[i] for i in random.choice(len(files), 2, replace=False))
    one_content, other_content = one.read_bytes(), other.read_bytes()
    one.write_bytes(other_content)
    other.write_bytes(one_content)


def link_a_file(folder: Path, random: np.random.Generator, kept: Path) -> None:
    """The same bytes, behind a link: of a file, of a folder, or to another file of the artifact."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = files[random.integers(len(files))]
    kind = random.integers(3)
    if kind == 0:
        file.unlink()
        file.symlink_to(kept / file.relative_to(folder))
    elif kind == 1:
        shutil.rmtree(folder / "notes")
        (folder / "notes").symlink_to(kept / "notes")
    else:
        (folder / "linked").symlink_to(file)


def put_in_a_pipe(folder: Path, random: np.random.Generator, _: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = files[random.integers(len(files))]
    if random.integers(2):
        file.unlink()
        os.mkfifo(file)
    else:
        os.mkfifo(folder / "pipe")


def make_consistent_again(folder: Path, random: np.random.Generator, kept: Path) -> None:
    """What an attacker does who knows the format: labels exchanged, payload, hashes and checksum to go with them."""
    metadata = parse_metadata((folder / "edgefm.json").read_text(), where="edgefm.json")
    order = random.permutation(len(metadata.labels))
    order = order[::-1] if list(order) == sorted(order) else order
    changed = replace(metadata, labels=tuple(metadata.labels[i] for i in order))
    write_tiny_onnx(folder / "model.onnx", changed, seed=int(random.integers(100)))
    files = {name: hash_file(folder / name) for name in metadata.files}
    (folder / "edgefm.json").write_text(dump_metadata(replace(changed, files=files)))
    load_artifact(folder)  # without the signature it is a whole artifact
    kind = random.integers(4)
    if kind == 1:  # signed with a key of her own
        sign(folder, kept.parent / "attacker.key", force=True)
    elif kind == 2:  # and it claims to be the required one
        sign(folder, kept.parent / "attacker.key", force=True)
        signature = json.loads((folder / "model.sig").read_text())
        right = json.loads((kept / "model.sig").read_text())
        signature["verificationMaterial"] = right["verificationMaterial"]
        (folder / "model.sig").write_text(json.dumps(signature))
    elif kind == 3:  # the right signature over her own list of files
        sign(folder, kept.parent / "attacker.key", force=True)
        signature = json.loads((folder / "model.sig").read_text())
        right = json.loads((kept / "model.sig").read_text())
        right["dsseEnvelope"]["payload"] = signature["dsseEnvelope"]["payload"]
        (folder / "model.sig").write_text(json.dumps(right))


WAYS = (
    *([change_a_byte] * 10),
    cut_or_append,
    add_a_file,
    remove_a_file,
    rename_a_file,
    exchange_two_files,
    link_a_file,
    put_in_a_pipe,
    make_consistent_again,
    make_consistent_again,
)


def test_a_thousand_altered_artifacts_are_refused_unread(
    signed: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, public = signed
    make_key(tmp_path, "attacker")
    kept = tmp_path / "kept"
    shutil.copytree(folder, kept)
    before = load_artifact(folder, require_signature=public)
    random = np.random.default_rng(0)
    accepted, read = [], []
    for turn in range(ALTERATIONS):
        way = WAYS[turn % len(WAYS)]
        with put_back(folder, kept):
            way(folder, random, kept)
            with monkeypatch.context() as patched:
                for module, name in ((embedded, "opened_data"), (onnx_external_data, "opened_data")):
                    patched.setattr(module, name, lambda *_, way=way: read.append(way.__name__))
                try:
                    load_artifact(folder, require_signature=public)
                except IntegrityError as error:
                    assert error.exit_code == 3
                else:
                    accepted.append((turn, way.__name__))
    assert not accepted
    assert not read
    assert load_artifact(folder, require_signature=public) == before  # put back, it is accepted again


def test_a_link_to_the_whole_folder_is_how_devices_name_the_current_one(
    signed: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    folder, _, public = signed
    (tmp_path / "current").symlink_to(folder)
    assert load_artifact(tmp_path / "current", require_signature=public).signed_by is not None


def test_a_folder_in_place_of_the_signature_is_refused(signed: tuple[Path, Path, Path]) -> None:
    folder, _, public = signed
    (folder / "model.sig").unlink()
    (folder / "model.sig").mkdir()
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0
    for _ in range(3):
        with pytest.raises(SignatureError, match="is a folder, not a file"):
            load_artifact(folder, require_signature=public)
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_signature_of_another_artifact_by_the_same_key_is_refused(
    signed: tuple[Path, Path, Path], make_artifact: Callable[..., Path], metadata: object
) -> None:
    folder, key, public = signed
    other = make_artifact("other", metadata=replace(metadata, labels=("a", "b", "c")))  # type: ignore[type-var]
    sign(other, key)
    shutil.copy(other / "model.sig", folder)
    with pytest.raises(SignatureError, match="not as it was signed"):
        load_artifact(folder, require_signature=public)


def test_what_was_checked_is_what_runs_whatever_is_written_later(signed: tuple[Path, Path, Path]) -> None:
    folder, _, public = signed
    images = np.random.default_rng(3).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)
    with Classifier.load(folder, require_signature=public) as classifier:
        right = classifier.predict_pixels(images)
    opened = load_artifact(folder, require_signature=public)
    make_key(folder.parent, "attacker")
    make_consistent_again(folder, np.random.default_rng(4), folder)  # between the check and the use
    engine = create_engine(opened)
    np.testing.assert_array_equal(engine.infer(images), right)
    engine.close()
    engine = create_engine(load_artifact(folder))
    assert np.abs(engine.infer(images) - right).max() > 0.01
    engine.close()


def test_golden_predictions_are_those_that_were_checked(signed: tuple[Path, Path, Path]) -> None:
    from edge_fm_runtime.artifacts.golden import golden_of

    folder, _, public = signed
    opened = load_artifact(folder, require_signature=public)
    (folder / "golden.npz").unlink()
    assert len(golden_of(opened).images) == 32
    with pytest.raises(EdgeFMError):
        load_artifact(folder, require_signature=public)
