"""One cache folder: what it holds is checked before it is used, is bounded, and can be done without."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.golden import load_golden
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.errors import CacheWarning
from edge_fm_runtime.parity.verification import verify_golden
from edge_fm_runtime.system.sealed_file import read_sealed, why_damaged, write_sealed
from edge_fm_runtime.system.user_cache import cache_root, own_folder, prune, why_untrusted


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def predict(folder: Path) -> np.ndarray:
    engine = create_engine(load_artifact(folder), "openvino")
    return engine.infer(load_golden(folder / "golden.npz").images[:1])


def blobs(cache: Path) -> list[Path]:
    return sorted(cache.glob("edgefm/openvino/*/compiled.blob"))


def test_there_is_one_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_fm.data import cache_folder

    monkeypatch.delenv("EDGEFM_DATA", raising=False)
    assert cache_root() == cache_folder() == tmp_path / "cache" / "edgefm"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the XDG specification
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == cache_folder() == tmp_path / ".cache" / "edgefm"


def test_a_compiled_model_is_stored_and_predicts_the_same(artifact_folder: Path, cache: Path) -> None:
    first = predict(artifact_folder)
    (blob,) = blobs(cache)
    written = blob.stat().st_mtime_ns
    np.testing.assert_array_equal(predict(artifact_folder), first)
    assert blob.stat().st_mtime_ns == written
    assert (blob.stat().st_mode & 0o777, blob.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("damage", ["zeroed", "cut", "empty", "one bit", "everybody's"])
def test_a_damaged_compiled_model_is_reported_and_never_used(artifact_folder: Path, cache: Path, damage: str) -> None:
    first = predict(artifact_folder)
    (blob,) = blobs(cache)
    whole = blob.read_bytes()
    bit = bytes([whole[len(whole) // 2] ^ 1])
    {
        "zeroed": lambda: blob.write_bytes(bytes(len(whole) // 2) + whole[len(whole) // 2 :]),
        "cut": lambda: blob.write_bytes(whole[:-100]),
        "empty": lambda: blob.write_bytes(b""),
        "one bit": lambda: blob.write_bytes(whole[: len(whole) // 2] + bit + whole[len(whole) // 2 + 1 :]),
        "everybody's": lambda: blob.chmod(0o666),
    }[damage]()
    with pytest.warns(CacheWarning, match="compiled again"):
        np.testing.assert_array_equal(predict(artifact_folder), first)
    np.testing.assert_array_equal(predict(artifact_folder), first)  # and stored anew: no warning
    assert why_damaged(blob) is None


def test_verify_does_not_use_a_damaged_compiled_model(artifact_folder: Path, cache: Path) -> None:
    artifact = load_artifact(artifact_folder)
    assert verify_golden(artifact, create_engine(artifact, "openvino")).passed
    found = blobs(cache)
    assert len(found) == 2  # single images, and any number
    for blob in found:
        content = bytearray(blob.read_bytes())
        content[len(content) // 4 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 4)
        blob.write_bytes(content)
    with pytest.warns(CacheWarning) as caught:
        assert verify_golden(artifact, create_engine(artifact, "openvino")).passed
    assert len(caught) == 2


def test_another_payload_or_setting_has_another_file(make_artifact: Callable[..., Path], metadata, cache: Path) -> None:
    from edge_fm_runtime.engines import EngineOptions

    one = make_artifact("one")
    two = make_artifact("two", metadata=replace(metadata, name="other"))  # the embedded copy differs
    for folder, options, files in (
        (one, EngineOptions(threads=1), 1),
        (one, EngineOptions(threads=1), 1),
        (one, EngineOptions(threads=1, arithmetic="fast"), 2),
        (two, EngineOptions(threads=1), 3),
        (one / "model.onnx", EngineOptions(threads=1), 3),  # bare: nothing says which payload it is
    ):
        create_engine(load_artifact(folder), "openvino", options=options).close()
        assert len(blobs(cache)) == files


def test_without_a_folder_there_is_no_cache_and_a_prediction_all_the_same(artifact_folder: Path, cache: Path) -> None:
    cache.write_text("a file in the way")
    assert own_folder("openvino") is None
    assert predict(artifact_folder).shape == (1, 3)


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_can_write_to_is_not_used(artifact_folder: Path, cache: Path, mode: int) -> None:
    folder = cache / "edgefm" / "openvino"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    with pytest.warns(CacheWarning, match=f"may write to .*mode {mode:o}.*XDG_CACHE_HOME"):
        assert predict(artifact_folder).shape == (1, 3)
    assert blobs(cache) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give a file away")
def test_what_another_user_owns_is_not_believed(tmp_path: Path) -> None:
    write_sealed(tmp_path / "file", lambda file: file.write(b"content"))
    assert why_damaged(tmp_path / "file") is None
    os.chown(tmp_path / "file", 12345, 12345)
    assert "another user (uid 12345)" in str(why_damaged(tmp_path / "file"))
    assert why_untrusted(Path("/")) is None  # root may change everything anyway


def test_a_sealed_file_tells_of_every_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_sealed(path, lambda file: file.write(b"content"))
    whole = path.read_bytes()
    assert read_sealed(path) == b"content" and why_damaged(path) is None
    changed = [whole[:n] for n in range(len(whole))]
    changed += [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(len(whole))] + [whole + b"x"]
    for content in changed:
        path.write_bytes(content)
        assert read_sealed(path) is None and "damaged" in str(why_damaged(path))
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in str(why_damaged(path))


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_sealed(path, lambda file: file.write(b"old"))

    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_sealed(path, full)
    assert read_sealed(path) == b"old" and list(tmp_path.iterdir()) == [path]


def test_pruning_removes_the_old_and_the_least_used(tmp_path: Path) -> None:
    now = 2_000_000_000
    for name, age in (("keep", 9e9), ("new", 0), ("middle", 100), ("big", 200), ("old", 1e7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.blob").write_bytes(bytes(10))
        os.utime(tmp_path / name, (now - age, now - age) if age < 9e9 else (0, 0))
    prune(tmp_path, keep=tmp_path / "keep", max_bytes=25, max_age_s=9e9)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keep", "middle", "new"]


@pytest.mark.needs("platformdirs")
@pytest.mark.parametrize("xdg", [False, True])
def test_macos_has_its_own_cache_folder(tmp_path: Path, xdg: bool) -> None:
    """As platformdirs finds it; XDG_CACHE_HOME still decides where it is set."""
    code = "import sys, edge_fm_runtime.system.user_cache as c; sys.platform = 'darwin'; print(c.cache_root())"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "xdg") if xdg else ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / ("xdg/edgefm" if xdg else "Library/Caches/edgefm"))


def test_a_fifo_in_place_of_a_compiled_model_is_no_wait(artifact_folder: Path, cache: Path) -> None:
    first = predict(artifact_folder)
    (blob,) = blobs(cache)
    blob.unlink()
    os.mkfifo(blob, 0o600)
    with pytest.warns(CacheWarning, match="not used"):
        np.testing.assert_array_equal(predict(artifact_folder), first)
    assert blob.is_file(), "it was not compiled and kept again"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_a_cache_in_another_users_hands_is_not_used(cache: Path, tmp_path: Path) -> None:
    """The folder itself, the one around it, one below it, a link to a folder of one's own."""
    nobody = 65534
    folder = own_folder("openvino")
    assert folder is not None
    for given in (cache, cache / "edgefm", folder):
        os.chown(given, nobody, nobody)
        with pytest.warns(CacheWarning, match=r"belongs to another user \(uid 65534\)"):
            assert own_folder("openvino") is None
        os.chown(given, 0, 0)
        assert own_folder("openvino") == folder
    mine = tmp_path / "mine"
    (cache / "edgefm").rename(mine)
    (cache / "edgefm").symlink_to(mine)
    assert own_folder("openvino") == folder
    os.lchown(cache / "edgefm", nobody, nobody)
    with pytest.warns(CacheWarning, match="edgefm belongs to another user"):
        assert own_folder("openvino") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_nothing_is_made_in_another_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root with HOME of a user (`sudo -E`): a `.cache` of root's there would shut that user's own programs out."""
    from edge_fm.data.fashion_mnist import fetch
    from edge_fm_runtime.errors import ArtifactError, DataError
    from edge_fm_runtime.measurement.device_profile import place_for_profile

    home = tmp_path / "alice"
    home.mkdir()
    os.chown(home, 65534, 65534)
    for variable, value in (("XDG_CACHE_HOME", str(home / ".cache")), ("HOME", str(home))):
        monkeypatch.setenv(variable, value)
        with pytest.warns(CacheWarning, match=r"alice belongs to another user.*\. Name a folder of yours") as caught:
            assert own_folder("openvino") is None
        assert "chmod" not in str(caught[0].message)
        with pytest.raises(ArtifactError, match="alice belongs to another user"):
            place_for_profile()
        monkeypatch.delenv("EDGEFM_DATA", raising=False)
        with pytest.raises(DataError, match="alice belongs to another user") as error:
            fetch(sources=[])
        assert "EDGEFM_DATA" in str(error.value.hint)
        assert list(home.iterdir()) == []
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_nothing_is_made_in_another_users_cache(cache: Path) -> None:
    (cache / "edgefm").mkdir(parents=True)
    os.chown(cache / "edgefm", 65534, 65534)
    with pytest.warns(CacheWarning, match="edgefm belongs to another user"):
        assert own_folder("openvino", "one") is None
    assert list((cache / "edgefm").iterdir()) == []


def test_the_cache_is_the_users_alone_under_any_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new" / "cache"))
    before = os.umask(0)
    try:
        folder = own_folder("openvino")
    finally:
        os.umask(before)
    assert folder is not None
    modes = [place.stat().st_mode & 0o777 for place in (tmp_path / "new", *folder.parents[:2], folder)]
    assert modes == [0o700] * 4


def test_the_warning_says_which_command_helps(cache: Path) -> None:
    (cache / "edgefm" / "with space").mkdir(parents=True)
    (cache / "edgefm" / "with space").chmod(0o777)
    with pytest.warns(CacheWarning, match=r"Type chmod go-w '.*/edgefm/with space', or name") as caught:
        assert own_folder("with space") is None
    command = str(caught[0].message).partition("Type ")[2].partition(", or")[0]
    subprocess.run(command, shell=True, check=True)
    assert own_folder("with space") is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("given", ["file", "folder"])
def test_advice_about_another_users_profile_does_not_touch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    from edge_fm_runtime.errors import ArtifactError
    from edge_fm_runtime.measurement.device_profile import place_for_profile

    profile = tmp_path / "hers" / "profile.json"
    profile.parent.mkdir()
    profile.write_text('{"schema_version": 1, "choices": {}}')
    os.chown(profile if given == "file" else profile.parent, 65534, 65534)
    monkeypatch.setenv("EDGEFM_PROFILE", str(profile))
    with pytest.raises(ArtifactError, match="another user") as error:
        place_for_profile()
    assert "EDGEFM_PROFILE=FILE" in str(error.value.hint) and "rm " not in str(error.value.hint)
