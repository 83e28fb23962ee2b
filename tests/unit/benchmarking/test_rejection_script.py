"""The figures of benchmarks/photos/rejection.py, by hand, on photos of a folder."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")
rejection = import_module("benchmarks.photos.rejection")


def test_the_figures_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]])
    others = np.array([[0.7, 0.3], [0.5, 0.5]])
    result = rejection.report(probabilities, np.array([0, 0, 1, 0]), others, ["_other_a", "_other_b"], 0.65)
    auto = result["auto"]
    assert (auto["coverage"], auto["accuracy"], auto["others_accepted"]) == (0.5, 1.0, 0.5)
    assert result["others_by_folder"] == {"_other_a": 1.0, "_other_b": 0.0}
    everything = result["table"][0]
    assert (everything["coverage"], everything["accuracy"], everything["others_accepted"]) == (1.0, 0.75, 1.0)
    assert result["table"][-1]["accuracy"] is None and result["table"][-1]["coverage"] == 0.0
    highest = result["scores"]["highest probability"]
    # Of the eight pairs of a photo and another thing, 0.6 and 0.55 lose to 0.7 alone.
    assert (highest["right_above_wrong"], highest["classes_above_others"]) == (1.0, 0.75)
    assert highest["coverage_at_92"] == 0.75
    assert rejection.separation(np.array([1.0, 1.0]), np.array([1.0])) == 0.5


def test_a_folder_is_measured(
    artifact_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    for name in ("Bag", "T-shirt_top", "_other_hat", "_other_shorts", "_something"):
        (folder / name).mkdir(parents=True)
        for i in range(2):
            Image.new("L", (4, 4), 100 * i).save(folder / name / f"{i}.png")

    def measured(*more: str) -> dict[str, object]:
        monkeypatch.setattr(sys, "argv", ["rejection", str(folder), "--artifact", str(artifact_folder), *more])
        rejection.main()
        return json.loads(capsys.readouterr().out) if "--json" in more else {}

    assert (measured("--json")["n"], measured("--json")["others"]) == (4, 4)
    only = tmp_path / "files.txt"
    only.write_text("Bag/0.png\n_other_hat/1.png\n")
    result = measured("--json", "--files", str(only), "--other", "_other_hat")
    assert (result["n"], result["others"], result["auto"]) == (1, 1, None)
    measured()
    with pytest.raises(SystemExit, match="no photos of nothing"):
        measured("--other", "nothing")
