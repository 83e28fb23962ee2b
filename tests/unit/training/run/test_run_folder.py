"""Run folders: numbering, the link to the newest, files that are whole or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_fm.training.run.checkpoint import RunState, load_state, save_state
from edge_fm.training.run.run_folder import latest_run, new_run_dir, started_run
from edge_fm_runtime.errors import TrainingError


def test_new_runs_are_numbered_and_the_newest_is_linked(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "runs"
    first = new_run_dir(root, "edgenet-s")
    second = new_run_dir(root, "edgenet-s")
    other = new_run_dir(root, "quickstart")
    assert [path.name for path in (first, second, other)] == ["edgenet-s-001", "edgenet-s-002", "quickstart-001"]
    assert latest_run(root) == other
    assert (root / "latest").readlink() == Path("quickstart-001")
    # Relative: the folder can be moved.
    moved = root.rename(tmp_path / "elsewhere")
    assert latest_run(moved).is_dir()


def test_no_run_yet(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="There is no run") as raised:
        latest_run(tmp_path)
    assert raised.value.hint == "Start one: edgefm train"


def test_a_real_folder_called_latest_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(TrainingError, match="not a symbolic link"):
        new_run_dir(tmp_path, "edgenet-s")
    assert (tmp_path / "latest").is_dir()


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="--out"):
        new_run_dir(tmp_path / "file", "edgenet-s")


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None
    state = RunState(
        epoch=2,
        model=[np.float32([[1, 2]]), np.uint32([7, 8])],
        optimizer=[np.int64(12), np.float32([0.5])],
        best=[np.float32([[3, 4]])],
        best_epoch=1,
        history=({"epoch": 1, "val_loss": 0.1}, {"epoch": 2, "val_loss": 0.30000000000000004}),
        recipe_hash="a",
        data_hash="b",
        backend="tensorflow",
        duration_s=1.5,
    )
    save_state(tmp_path, state)
    save_state(tmp_path, state)
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["state.npz"]
    back = load_state(tmp_path)
    assert back is not None
    for group in ("model", "optimizer", "best"):
        for ours, theirs in zip(getattr(state, group), getattr(back, group), strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert np.asarray(ours).dtype == theirs.dtype
    for name in ("epoch", "best_epoch", "history", "recipe_hash", "data_hash", "backend", "duration_s"):
        assert getattr(back, name) == getattr(state, name)


def test_a_run_that_fails_before_it_wrote_anything_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), started_run(tmp_path, "a"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with started_run(tmp_path, "a") as kept:
        (kept / "recipe.toml").touch()
    with pytest.raises(RuntimeError), started_run(tmp_path, "a"):
        raise RuntimeError
    assert latest_run(tmp_path) == kept
    with pytest.raises(RuntimeError), started_run(tmp_path, "a") as begun:
        (begun / "recipe.toml").touch()
        raise RuntimeError
    assert latest_run(tmp_path) == begun  # it can be resumed


def test_a_failed_run_leaves_latest_to_one_that_began_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), started_run(tmp_path, "a"):
        other = new_run_dir(tmp_path, "b")
        raise RuntimeError
    assert latest_run(tmp_path) == other
