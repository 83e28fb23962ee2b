"""Trainings on streamed images that are killed and go on: `python benchmarks/training/streamed_folder.py resume`."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.streamed_folder import first_of, recipe_for


def resume(folder: Path, count: int, kills: int) -> None:
    """Kill a training at random moments, go on, and compare its weights with those of one that ran through.

    Every second kill comes after an epoch more was finished, so that there is something to go on from on any machine;
    the others may come while the process starts.
    """
    rng = random.Random(0)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        data = first_of(folder, count, Path(scratch))
        (Path(scratch) / "recipe.toml").write_text(_small_recipe(data))
        command = [sys.executable, "-m", "edge_fm", "train", "--recipe", str(Path(scratch) / "recipe.toml"), "--quiet"]
        environment = {**os.environ, "EDGEFM_IMAGE_MEMORY": "0"}
        began = time.monotonic()
        through = Path(scratch) / "through"
        quiet: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL}
        subprocess.run([*command, "--out", str(through)], check=True, **quiet)
        took = time.monotonic() - began
        seconds = [float(row["seconds"]) for row in _epochs(through)]
        killed = Path(scratch) / "killed"
        for number in range(kills):
            finished, later = len(_epochs(killed)), number % 2 == 1
            moment = rng.uniform(0, 1) * max(seconds) if later else rng.uniform(0.15, 0.45) * took
            further = ["--resume"] if (killed / "recipe.toml").is_file() else []
            child = subprocess.Popen([*command, "--out", str(killed), *further], **quiet)
            while later and child.poll() is None and len(_epochs(killed)) == finished:
                time.sleep(0.01)
            try:
                child.wait(moment)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
            since = "the next epoch's end" if later else "its start"
            print(f"kill {number + 1}, {moment:.1f} s after {since}: finished epochs {len(_epochs(killed))}")
            if (killed / "model.keras").is_file():
                break
        if not (killed / "model.keras").is_file():
            subprocess.run([*command, "--out", str(killed), "--resume"], check=True, **quiet)
        print(f"the same weights: {same_weights(through / 'model.keras', killed / 'model.keras')}")


def _epochs(run: Path) -> list[dict[str, str]]:
    """The finished epochs of a run."""
    history = run / "history.csv"
    if not history.is_file():
        return []
    with history.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _small_recipe(data: Path) -> str:
    from edge_fm.training import with_overrides
    from edge_fm.training.recipe.file import recipe_toml

    return recipe_toml(with_overrides(recipe_for(data, epochs=6, side=64), batch_size=64))


def same_weights(one: Path, other: Path) -> bool:
    """Whether two models have the same weights, bit for bit."""
    import keras

    pairs = zip(*(keras.models.load_model(path, compile=False).get_weights() for path in (one, other)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)
