"""An artifact runs from a folder of any name that the system allows: spaces, line breaks, bytes that are no UTF-8."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny_models import TINY_SHAPES, tiny_images

from edge_fm_export.targets import Target
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.engines import create_engine

if TYPE_CHECKING:
    from edge_fm_export.results import ExportResult

ODD = [b"with space", b"two\nlines", b"no \xff UTF-8", b"\x1b[31m", b"-dash", "\u00e9\u202e\u00fc".encode()]


def put(folder: Path, into: Path, name: bytes) -> Path:
    odd = into / os.fsdecode(name)
    try:
        shutil.copytree(folder, odd)
    except OSError:
        pytest.skip("this file system takes no such name")
    return odd


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_folder_of_any_name(artifact_folder: Path, tmp_path: Path, name: bytes, engine: str) -> None:
    pixels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    found = []
    for folder in (artifact_folder, put(artifact_folder, tmp_path, name)):
        with Classifier.load(folder, engine=engine) as classifier:
            found.append(classifier.predict_pixels(pixels))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("form", ["openvino", "litert"])
def test_every_format_in_a_folder_that_is_no_utf8(
    form: str, exported: Callable[[str, Target], ExportResult], tmp_path: Path
) -> None:
    folder = exported("colour", Target(form, "fp32")).path
    images, _ = tiny_images(TINY_SHAPES["colour"], 3, seed=8)
    odd = load_artifact(put(folder, tmp_path, b"no \xff UTF-8"))
    np.testing.assert_array_equal(*(create_engine(one, form).infer(images) for one in (odd, load_artifact(folder))))
