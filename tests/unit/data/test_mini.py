"""The shipped set is whole, balanced, and licensed; that it comes from the whole set is tested with that."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import numpy as np

from edge_fm.data import dataset_info, load_dataset, mini
from edge_fm.data.fashion_mnist import LABEL_NAMES


def test_it_is_what_it_says() -> None:
    dataset = load_dataset("fashion-mnist-mini")
    assert dataset.label_names == LABEL_NAMES and dataset.shape == (28, 28, 1)
    for split, per_class in ((dataset.train, 600), (dataset.test, 100)):
        assert np.bincount(split.labels).tolist() == [per_class] * 10
        assert split.labels[:10].tolist() == list(range(10))
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int64
    assert dataset.content_hash == "295e813357dd0c1e1883f985dc2bdfa3345f78d88c0058e685eddc766cac1f4f"
    info = dataset_info(dataset)
    assert info["duplicates"] == {"train": 0, "test": 0, "test_in_train": 0}
    assert "MIT" in info["licence"] and "1708.07747" in info["citation"]


def test_its_licence_ships_beside_it() -> None:
    text = (files("edge_fm.data") / "LICENSE-fashion-mnist.txt").read_text()
    assert "Zalando SE" in text and "Permission is hereby granted" in text and mini.FILE in text


def test_loading_needs_nothing_but_numpy_and_pillow() -> None:
    code = """
import sys
from edge_fm.data import contact_sheet, dataset_info, load_dataset, split_validation
dataset = load_dataset("fashion-mnist-mini")
split_validation(dataset.train, fraction=0.1, seed=0)
dataset_info(dataset)
contact_sheet(dataset)
tops = {name.partition(".")[0] for name in sys.modules}
print(sorted(tops & {"tensorflow", "keras", "sklearn", "scipy", "matplotlib", "onnx", "rich", "click", "http"}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
