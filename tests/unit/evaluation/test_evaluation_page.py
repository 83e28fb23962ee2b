"""The page of an evaluation holds everything, and nothing from outside it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_predictions import NAMES, case
from PIL import Image

from edge_fm.evaluation import (
    Evaluated,
    evaluate_probabilities,
    report_parts,
    write_report,
)


def write(folder: Path, *, channels: int = 1, seed: int = 0, right: bool = False) -> tuple[str, Path]:
    """A page of made-up predictions of images of so many channels."""
    probabilities, labels = case(seed)
    usual = np.arange(len(labels)) % 4 > 0  # only a model that is right as a rule has labels doubted
    probabilities[usual] = 0.02 + 0.9 * np.eye(5)[labels[usual]]
    probabilities[0] = 0.01 + 0.95 * np.eye(5)[(labels[0] + 1) % 5]
    if right:
        probabilities = np.eye(5)[labels]
    result = {"model": "<run>", "engine": "keras", "device": "CPU", "precision": "fp32", "data": "d", "split": "test"}
    result["inference"] = {"ms_per_image": 0.5, "images_per_s": 2000.0, "batch": 64, "threads": 2}
    files = tuple(f"photos/<{i}>.jpg" for i in range(len(labels)))
    result |= evaluate_probabilities(probabilities, labels, NAMES, files=files).to_json()
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, channels), dtype=np.uint8)
    keys = ("loss", "accuracy", "val_loss", "val_accuracy")
    history = [{"epoch": e, "seconds": 2.0, **dict.fromkeys(keys, 1.0 / e)} for e in range(1, 4)]
    training = {"params": 1234, "seconds": 75.0, "seed": 3, "recipe_hash": "ab" * 32, "epochs": 3, "best_epoch": 2}
    maps = np.random.default_rng(1).random((2, 6, 6, 5)).astype(np.float32)
    evaluated = Evaluated(
        images, labels, probabilities.astype(np.float32), NAMES, history, training, "conv <1>", maps, images[:2], files
    )
    return write_report(folder, result, evaluated).read_text(encoding="utf-8"), folder


class _Page(HTMLParser):
    """Checks that tags are closed in order; collects links and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [values[key] or "" for key in ("src", "data", "srcset") if key in values]
        self.links += [values["href"] or ""] if tag == "a" else []
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag not in {"meta", "br", "img", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [dict(attrs)["id"] or ""] if "id" in dict(attrs) else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_self_contained_and_escaped_and_shows_everything(tmp_path: Path) -> None:
    text, folder = write(tmp_path / "report")
    page = _Page(text)
    assert not page.open and len(page.ids) == len(set(page.ids))
    assert "&lt;run&gt;" in text and "Bag &lt;b&gt;" in text and "<run>" not in text and "conv &lt;1&gt;" in text
    assert page.sources and all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert all(word not in text for word in ("http://", "https://", "<script", "@import"))
    sections = [link.removeprefix("#") for link in page.links]
    assert sections == [
        "training",
        "classes",
        "confusion-matrix",
        "most-confused",
        "calibration",
        "sample-predictions",
        "wrong-and-most-confident",
        "labels-to-check",
        "feature-maps",
        "time",
        "provenance",
    ]
    assert set(sections) <= set(page.ids)
    # Loss, accuracy, calibration, and the feature maps of two images.
    assert text.count("<svg") == 5
    for name in ("curves", "confusion", "calibration", "samples", "worst", "feature_maps-1", "feature_maps-2"):
        with Image.open(folder / f"{name}.png") as image:
            assert min(image.size) > 100
    assert "1 min 15 s" in text and "1,234" in text and "✓" in text and "✗" in text
    assert json.loads((folder / "evaluation.json").read_text())["n"] == 500


def test_the_page_has_the_whole_confusion_matrix_in_its_own_colours(tmp_path: Path) -> None:
    text, folder = write(tmp_path / "report")
    result = json.loads((folder / "evaluation.json").read_text())
    matrix = text.split('<table class="confusion">')[1].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>\s*(\d*)</td>", row) for row in matrix.split("<tr>")[2:]]
    assert [[int(n or 0) for n in row] for row in rows] == result["confusion"]
    assert matrix.count("<th>") == 1 + 2 * len(NAMES) and "#fff" not in matrix and "white" not in matrix


def test_bars_stand_beside_their_figures(tmp_path: Path) -> None:
    text, folder = write(tmp_path / "report")
    result = json.loads((folder / "evaluation.json").read_text())
    assert set(result["per_class"]) == set(NAMES)
    for score in result["per_class"].values():
        figure = f"{100 * score['f1']:.2f}%"
        assert re.search(
            rf"<td>{figure}</td>\s*<td class=\"bar\"><i style=\"width: {100 * score['f1']:.1f}%\"></i>", text
        )


def test_wrong_predictions_are_named_by_file(tmp_path: Path) -> None:
    text, folder = write(tmp_path / "report")
    worst = json.loads((folder / "evaluation.json").read_text())["worst"]
    assert worst and all(one["file"] == f"photos/<{one['index']}>.jpg" for one in worst)
    section = text.split('id="wrong-and-most-confident"')[1].split("</section>")[0]
    assert all(f"photos/&lt;{one['index']}&gt;.jpg" in section for one in worst)
    assert "photos/&lt;" in text.split('id="most-confused"')[1].split("</section>")[0]


def test_the_page_leaves_out_what_there_is_not(tmp_path: Path) -> None:
    text, _ = write(tmp_path / "odd", channels=2)
    assert "<img" not in text and "Feature maps" not in text and "predicted as" in text
    text, _ = write(tmp_path / "perfect", right=True)
    assert "Most confused" not in text and "✗" not in text and "500 of 500 images are predicted right" in text


def test_the_page_compares_no_classes_that_are_equal() -> None:
    result = {"n": 4, "accuracy": 1.0, "accuracy_ci95": [0.4, 1.0], "most_confused": []}
    one = {"f1": 1.0, "support": 2}
    assert report_parts.summary({**result, "per_class": {"a": one, "b": one}}).endswith("of all such images.")
    other = {"f1": 0.5, "support": 2}
    assert "Hardest is b" in report_parts.summary({**result, "per_class": {"a": one, "b": other}})


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_page_names_a_temperature_that_changes_the_scores(temperature: float) -> None:
    before = {"calibration_error": 0.2, "loss": 0.5, "brier": 0.1}
    result = {
        "calibration": [{"count": 4, "confidence": 0.9}],
        "accuracy": 1.0,
        "calibration_error": 0.1,
        "brier": 0.02,
        "scores": {"temperature": temperature, "before": before},
    }
    assert ("Without its temperature" in str(report_parts.calibration_text(result))) == (temperature != 1)
