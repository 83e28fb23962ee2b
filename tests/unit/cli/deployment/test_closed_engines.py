"""Commands close their engines, and ask nothing of them afterwards, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_models import TINY_LABELS, TINY_SHAPES, tiny_images

from edge_fm.cli import cli
from edge_fm_export.targets import Target

FORMATS = ("onnx", "openvino", "litert", "savedmodel")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("command", ["verify", "evaluate", "benchmark"])
def test_every_format(command: str, format_: Any, exported: Callable[..., Any], tmp_path: Path) -> None:
    artifact = exported("grey", Target(format_, "fp32")).path
    more: list[str] = []
    if command == "evaluate":
        images, labels = tiny_images(TINY_SHAPES["grey"], 24, seed=5)
        np.savez(tmp_path / "d.npz", x_train=255 - images, y_train=labels, x_test=images, y_test=labels)
        (tmp_path / "labels.txt").write_text("\n".join(TINY_LABELS["grey"]))
        more = ["--data", str(tmp_path / "d.npz")]
    elif command == "benchmark":
        more = ["--against", "none", "--duration", "0.05", "--min-samples", "2", "--skip", "starts", "--skip", "photos"]
        more += ["--skip", "streams"]
    done = CliRunner().invoke(cli, [command, str(artifact), *more, "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert (printed["rows"][0] if command == "benchmark" else printed)["precision"] == "fp32"
