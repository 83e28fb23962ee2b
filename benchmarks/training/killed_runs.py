"""Trainings on streamed images that are killed and go on: `python benchmarks/training/streamed_folder.py resume`."""

from __future__ import annotations

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
    """Kill a training at random moments, go on, and compare its weights with those of one that ran through."""
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
        killed = Path(scratch) / "killed"
        for number in range(kills):
            moment = rng.uniform(0.15, 0.45) * took
            further = ["--resume"] if (killed / "recipe.toml").is_file() else []
            child = subprocess.Popen([*command, "--out", str(killed), *further], **quiet)
            try:
                child.wait(moment)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.wait()
            done = [p.name for p in killed.glob("*")] if killed.is_dir() else []
            print(f"kill {number + 1} after {moment:.1f} s; the run holds {', '.join(sorted(done)) or 'nothing'}")
            if (killed / "model.keras").is_file():
                break
        if not (killed / "model.keras").is_file():
            subprocess.run([*command, "--out", str(killed), "--resume"], check=True, **quiet)
        print(f"the same weights: {same_weights(through / 'model.keras', killed / 'model.keras')}")


def _small_recipe(data: Path) -> str:
    from edge_fm.training import with_overrides
    from edge_fm.training.recipe.file import recipe_toml

    return recipe_toml(with_overrides(recipe_for(data, epochs=6, side=64), batch_size=64))


def same_weights(one: Path, other: Path) -> bool:
    """Whether two models have the same weights, bit for bit."""
    import keras

    pairs = zip(*(keras.models.load_model(path, compile=False).get_weights() for path in (one, other)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)
