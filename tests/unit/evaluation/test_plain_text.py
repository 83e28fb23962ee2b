"""Labels and names are text, never markup: in plots, on the page, on contact sheets, in progress bars."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm.data import Split, contact_sheet, make_dataset
from edge_fm.evaluation import (
    Evaluated,
    evaluate_probabilities,
    plot_confusion,
    plot_samples,
    report_parts,
    write_report,
)
from edge_fm.evaluation.plot_labels import label_width, short_label
from edge_fm.evaluation.plots import new_figure
from edge_fm_runtime.errors import EdgeFMWarning

HOSTILE = ("$$", r"$\frac{$", "$a_1$", "<script>alert(1)</script>", "a|b\\", "[/bold]", "_hidden", "two\nlines")


def _svg_texts(figure: object) -> str:
    import matplotlib as mpl

    stream = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure.savefig(stream, format="svg")  # type: ignore[attr-defined]
    return html.unescape(re.sub(r"<!--.*?-->", "", stream.getvalue(), flags=re.DOTALL))


def test_every_text_of_a_figure_is_literal() -> None:
    figure = new_figure(6, 6)
    axes = figure.subplots()
    names = HOSTILE[:5]
    axes.plot(range(1, 6), range(1, 6), label=names[0])
    axes.set_xticks(range(1, 6), names)
    axes.set(title=names[1], xlabel=names[2])
    axes.annotate(names[1], (2, 2))
    axes.legend()
    axes.set_yscale("log")
    figure.suptitle(names[0])
    drawn = _svg_texts(figure)
    for name in names:
        assert f">{name}<" in drawn
    assert drawn.count(f">{names[0]}<") == 3 and drawn.count(f">{names[1]}<") == 3
    assert r"\mathdefault" not in drawn  # the powers of ten on the logarithmic axis are still typeset


def test_plots_and_the_page_take_any_label(tmp_path: Path) -> None:
    n = len(HOSTILE)
    plot_confusion(np.eye(n) * 10, HOSTILE, tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
    plot_samples(np.zeros((n, 8, 8, 1), np.uint8), HOSTILE, tmp_path / "samples.png")
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(n), 200).astype(np.float32)
    labels = rng.integers(0, n, 200)
    result = {"model": "$$", "engine": "keras", "device": "CPU", "precision": "fp32", "data": "[/]", "split": "test"}
    result["inference"] = {"ms_per_image": 0.5, "images_per_s": 2000.0, "batch": 64, "threads": 2}  # type: ignore[assignment]
    result |= evaluate_probabilities(probabilities, labels, HOSTILE).to_json()
    images = rng.integers(0, 256, (200, 8, 8, 1), dtype=np.uint8)
    evaluated = Evaluated(
        images, labels, probabilities, HOSTILE, [], {}, "$layer$", images[:1].astype(np.float32), images[:1]
    )
    page = write_report(tmp_path / "report", result, evaluated).read_text("utf-8")
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.search(r">\s*\$\$\s*<", page)


@pytest.mark.needs("jinja2", "matplotlib")
def test_controls_and_marks_of_direction_are_shown_as_escapes_on_every_page() -> None:
    from edge_fm.evaluation.page import document, part

    page = document("a\x1b[31m", part("paragraph", "photo\u202egnp.exe \u2066x", ""), part("paragraph", "שלום", ""))
    for shown in (r"a\u001b[31m", r"photo\u202egnp.exe \u2066x", "שלום"):
        assert shown in page
    assert not set("\x1b\u202e\u2066") & set(page)


def test_characters_without_a_font_are_one_warning_of_ours(tmp_path: Path) -> None:
    unassigned = ["\U000e0100\ufdd0", "\ufdd1\ufdd2"]
    with pytest.warns(EdgeFMWarning, match="boxes for [34] characters") as warned:
        plot_confusion(np.eye(2), unassigned, tmp_path / "confusion.png")
    assert {warning.category for warning in warned} == {EdgeFMWarning}


@pytest.mark.parametrize("label", ["x" * 60, "Fagus sylvatica subsp. " + "purpurea " * 20, "a" * 400])
def test_a_confusion_matrix_has_room_for_long_labels(label: str, tmp_path: Path) -> None:
    # Warnings are errors here: Matplotlib warns where labels leave no room for the matrix.
    plot_confusion(np.eye(3) * 10, [label, "b", f"{label}c"], tmp_path / "confusion.png")
    with Image.open(tmp_path / "confusion.png") as image:
        edge = np.asarray(image.convert("L"))
    assert (edge[:, :2] == 255).all() and (edge[-2:] == 255).all()  # no label is cut off at the border


def test_labels_of_plots_are_shortened_by_the_width_of_their_letters() -> None:
    for label in ("x" * 60, "日本語のとても長いラベル名前です全角文字" * 3, "🙂" * 40, "a\nb" * 20):
        for width in (2, 7, 20):
            short = short_label(label, width)
            assert label_width(short) <= width and "…" in short and "\n" not in short
    assert short_label("Bag", 3) == "Bag"


def test_a_contact_sheet_takes_any_label() -> None:
    labels = np.repeat(np.arange(len(HOSTILE)), 2)
    split = Split(np.zeros((len(labels), 6, 6, 1), np.uint8), labels)
    assert contact_sheet(make_dataset("a\nb", "a", HOSTILE, split, split)).width > 50


def test_a_progress_bar_takes_any_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from edge_fm.cli.console.console import Console

    monkeypatch.setenv("FORCE_COLOR", "1")
    with Console().progress() as progress:
        progress("Reading [/bold] [red]", 1, 2)
    assert "[/bold] [red]" in capsys.readouterr().err


@pytest.mark.needs("jinja2")
def test_long_labels_wrap_on_the_page_and_leave_room_for_the_matrix() -> None:
    table = str(report_parts.confusion_table([[1, 2], [3, 4]], ["x" * 60, "b"]))
    assert table.count(f"<th><span>{'x' * 60}</span></th>") == 2
    style = (Path(report_parts.__file__).parent / "templates" / "style.css").read_text("utf-8")
    assert re.search(r"table\.confusion span \{[^}]*overflow-wrap: anywhere", style)
    assert re.search(r"h2, h3 \{ overflow-wrap: break-word", style)
