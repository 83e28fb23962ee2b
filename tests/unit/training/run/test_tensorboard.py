"""TensorBoard logs hold what history.csv holds, and an interrupted run's do too."""

from __future__ import annotations

import dataclasses
import struct
import sys
from pathlib import Path

import pytest
from strokes_data import make_recipe
from tensorboardX.proto.event_pb2 import Event

from edge_fm.data import Dataset
from edge_fm.training import Recipe, TrainingPart, recipe_hash, train
from edge_fm_runtime.errors import MissingDependencyError

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def logged_recipe() -> Recipe:
    return dataclasses.replace(make_recipe(), training=TrainingPart(epochs=3, batch_size=8, tensorboard=True))


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: the last value of each step, but for those that a later start purged."""
    shown: dict[str, dict[int, float]] = {}
    for file in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        content, place = file.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = Event.FromString(content[place + 12 : place + 12 + length])
            place += length + 16
            if event.session_log.status == event.session_log.START:
                shown = {tag: {s: v for s, v in steps.items() if s < event.step} for tag, steps in shown.items()}
            for value in event.summary.value:
                shown.setdefault(value.tag, {})[event.step] = value.simple_value
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("same_second", [True, False])
def test_the_logs_are_the_history(
    strokes: Dataset, tmp_path: Path, same_second: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = logged_recipe()
    if same_second:  # a fast machine resumes within the second that names the first file
        monkeypatch.setattr("tensorboardX.event_file_writer.time.time", lambda: 1_700_000_000.0)

    def interrupt(epoch: int, epochs: int, row: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, strokes, tmp_path, on_epoch=interrupt)
    result = train(recipe, strokes, tmp_path, resume=True)
    shown = scalars(tmp_path / "tensorboard")
    for key, tag in (("val_loss", "loss/validation"), ("accuracy", "accuracy/training"), ("loss", "loss/training")):
        assert shown[tag] == {int(row["epoch"]): pytest.approx(row[key]) for row in result.history}
    plain = dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, tensorboard=False))
    assert recipe_hash(recipe) == recipe_hash(plain)


def test_a_missing_package_is_said_before_anything_is_written(
    strokes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'edge-fm\[tensorboard\]'"):
        train(logged_recipe(), strokes, tmp_path / "run")
    assert not (tmp_path / "run").exists()
