"""Compiled models are kept by the payload's hash, bounded, and done without where the folder cannot be had."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_fm_runtime.artifact import load_artifact
from edge_fm_runtime.engines import create_engine
from edge_fm_runtime.golden import load_golden
from edge_fm_runtime.user_cache import model_folder, openvino_cache, prune


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def answers(folder: Path) -> np.ndarray:
    engine = create_engine(load_artifact(folder), "openvino")
    return engine.infer(load_golden(folder / "golden.npz").images[:1])


def test_a_compiled_model_is_kept_and_answers_the_same(artifact_folder: Path) -> None:
    first = answers(artifact_folder)
    (blob,) = openvino_cache().glob("*/*.blob")
    np.testing.assert_array_equal(answers(artifact_folder), first)
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:100])  # cut short by a full disk
    np.testing.assert_array_equal(answers(artifact_folder), first)


def test_another_payload_has_another_folder(make_artifact: Callable[..., Path], metadata) -> None:
    from dataclasses import replace

    one = make_artifact("one")
    two = make_artifact("two", metadata=replace(metadata, name="other"))  # the embedded copy differs
    assert model_folder(load_artifact(one), "CPU") != model_folder(load_artifact(two), "CPU")
    assert model_folder(load_artifact(one), "CPU") != model_folder(load_artifact(one), "CPU, in halves")
    assert model_folder(load_artifact(one / "model.onnx"), "CPU") is None  # bare: nothing says which payload it is


def test_without_a_folder_there_is_no_cache_and_an_answer_all_the_same(artifact_folder: Path, cache: Path) -> None:
    cache.write_text("a file in the way")
    assert model_folder(load_artifact(artifact_folder), "CPU") is None
    assert answers(artifact_folder).shape == (1, 3)


def test_a_folder_that_others_can_write_to_is_not_trusted(artifact_folder: Path) -> None:
    openvino_cache().mkdir(parents=True)
    openvino_cache().chmod(0o777)
    assert model_folder(load_artifact(artifact_folder), "CPU") is None


def test_pruning_removes_the_old_and_the_least_used(tmp_path: Path) -> None:
    now = 2_000_000_000
    for name, age in (("keep", 9e9), ("new", 0), ("middle", 100), ("big", 200), ("old", 1e7)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.blob").write_bytes(bytes(10))
        os.utime(tmp_path / name, (now - age, now - age) if age < 9e9 else (0, 0))
    prune(tmp_path, keep=tmp_path / "keep", max_bytes=25, max_age_s=9e9)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keep", "middle", "new"]
