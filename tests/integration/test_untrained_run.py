"""A run that has learned nothing: every command that sees it says why, and what to type."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_models import tiny_images

from edge_fm.cli import cli

ADVICE = (
    "It was trained for 1 epoch on data.npz. Usual causes: too few epochs, or a learning rate that does not suit "
    "(--learning-rate): edgefm train --recipe runs/one/recipe.toml --epochs 10"
)
RECIPE = """
name = "one"
[model]
name = "lenet5"
[data]
source = "data.npz"
[training]
epochs = 1
[optimizer]
name = "adam"
learning_rate = 1e-9
"""


@pytest.mark.needs("tensorflow")
def test_the_error_for_an_untrained_run_says_how_to_train_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images, labels = tiny_images((28, 28, 1), 300, seed=0)
    np.savez("data.npz", x_train=images[:200], y_train=labels[:200], x_test=images[200:], y_test=labels[200:])
    Path("one.toml").write_text(RECIPE)

    def run(*arguments: str) -> Result:
        done = CliRunner().invoke(cli, arguments)
        assert done.exit_code == 0, done.output
        return done

    run("train", "--recipe", "one.toml", "--out", "runs/one", "--quiet")
    artifact = "runs/one/export/lenet5-onnx-fp32"
    commands: tuple[Callable[[], Result], ...] = (
        lambda: run("export", "runs/one"),
        lambda: run("evaluate", "runs/one"),
        lambda: run("evaluate", artifact),
        lambda: run("verify", artifact, "--against", "runs/one"),
    )
    for command in commands:
        said = command().stderr
        assert ADVICE in said and "--input-scale" not in said and "another order" not in said
    advised = shlex.split(ADVICE[ADVICE.index("edgefm train") :])
    run(*advised[1:], "--learning-rate", "1e-3", "--out", "runs/longer", "--quiet")
    assert "Usual causes" not in run("evaluate", "runs/longer").stderr
