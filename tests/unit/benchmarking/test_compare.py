"""The comparison with a baseline and the pages, on results as pytest-benchmark writes them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")
compare = import_module("benchmarks.compare")
results_file = import_module("benchmarks.results_file")
summary = import_module("benchmarks.summary")


def write_results(file: Path, ratios: dict[str, tuple[float, float, float]], *, slow: float = 1.0) -> Path:
    """Results with one benchmark for each ratio, low, high; `slow` makes the machine slower."""
    entries = [
        {
            "name": name,
            "fullname": f"benchmarks/bench_some.py::{name}",
            "group": "latency, batch 1",
            "stats": {"median": 0.001 * slow},
            "extra_info": {
                "engine": "openvino",
                "images_per_second": 1000.0,
                "against": {"what": "bare", "ratio": r, "ci95": [low, high], "ours_ms": slow * r, "bare_ms": slow},
            },
        }
        for name, (r, low, high) in ratios.items()
    ]
    original = {"name": "test_original", "fullname": "benchmarks/bench_some.py::test_original"}
    entries.append({**original, "group": "latency, batch 1", "stats": {"median": 1.0}, "extra_info": {}})
    machine = {"cpu": "A CPU", "threads": 2, "system": "Linux", "threads_reason": "all"}
    environment = {"machine": machine, "time": "2026-01-01", "versions": {"numpy": "2"}}
    file.write_text(json.dumps({"machine_info": {"edgefm": environment}, "benchmarks": entries}))
    return file


@pytest.fixture(autouse=True)
def measured_again(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was asked to be measured once more, in this module with no second figure unless a test gives one."""
    asked: list[list[str]] = []
    monkeypatch.setattr(compare, "_run", lambda nodes: asked.append(nodes) or [])
    return asked


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    file = tmp_path / "baseline.json"
    results = write_results(tmp_path / "old.json", {"a": (1.0, 0.98, 1.02), "b": (1.5, 1.4, 1.6)})
    assert compare.main([str(results), "--baseline", str(file), "--update"]) == 0
    return file


def run(tmp_path: Path, baseline: Path, ratios: dict[str, tuple[float, float, float]], **kwargs: Any) -> int:
    results = write_results(tmp_path / "new.json", ratios, **kwargs)
    code: int = compare.main([str(results), "--baseline", str(baseline)])
    return code


def test_the_same_ratios_on_a_machine_ten_times_slower_pass(
    tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, baseline, {"a": (1.0, 0.98, 1.02), "b": (1.5, 1.4, 1.6)}, slow=10.0) == 0
    assert "None of 2 ratios is worse" in capsys.readouterr().out


def test_a_worse_ratio_fails_with_a_line_that_says_so(
    tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, baseline, {"a": (1.3, 1.25, 1.35), "b": (1.2, 1.1, 1.3)}) == 1
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "+30.0%" in lines["a"] and lines["a"].endswith("WORSE")
    assert lines["b"].endswith("better")
    assert "1 of 2 ratios are worse" in out


@pytest.mark.parametrize(
    ("ratio", "code"),
    [
        ((1.09, 1.05, 1.12), 0),
        ((1.3, 0.9, 1.9), 0),
        ((1.11, 1.01, 1.2), 0),
        ((1.11, 1.03, 1.2), 1),
        ((0.5, 0.4, 0.6), 0),
    ],
)
def test_worse_is_beyond_the_tolerance_and_beyond_the_noise(
    tmp_path: Path, baseline: Path, ratio: tuple[float, float, float], code: int
) -> None:
    assert run(tmp_path, baseline, {"a": ratio, "b": (1.5, 1.4, 1.6)}) == code


@pytest.mark.parametrize(("second", "code"), [((1.02, 1.0, 1.04), 0), ((1.25, 1.2, 1.3), 1)])
def test_what_seems_worse_is_measured_once_more(
    tmp_path: Path,
    baseline: Path,
    second: tuple[float, float, float],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = []

    def again(nodes: list[str]) -> Any:
        asked.append(nodes)
        return results_file.read_results(write_results(tmp_path / "again.json", {"a": second}))[1]

    monkeypatch.setattr(compare, "_run", again)
    assert run(tmp_path, baseline, {"a": (1.3, 1.25, 1.35), "b": (1.5, 1.4, 1.6)}) == code
    assert asked == [["benchmarks/bench_some.py::a"]]
    assert f"{second[0]:.3f}" in capsys.readouterr().out


def test_what_is_gone_fails_and_what_is_new_does_not(
    tmp_path: Path, baseline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, baseline, {"a": (1.0, 0.9, 1.1), "c": (9.0, 8.0, 9.5), "b": (1.5, 1.4, 1.6)}) == 0
    assert run(tmp_path, baseline, {"a": (1.0, 0.9, 1.1)}) == 1
    out = capsys.readouterr().out
    assert "new" in out and "GONE" in out


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"benchmarks": 3}', '{"ratios": {"a": {}}}'])
def test_files_that_are_none_are_2(
    tmp_path: Path, baseline: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.json"
    file.write_text(text)
    results = write_results(tmp_path / "new.json", {"a": (1.0, 0.9, 1.1)})
    assert compare.main([str(file), "--baseline", str(baseline)]) == 2
    if text != "{}":
        assert compare.main([str(results), "--baseline", str(file)]) == 2
    assert compare.main([str(results), "--baseline", str(tmp_path / "none.json")]) == 2
    assert "--update" in capsys.readouterr().err


def peers_row(peer: str, ratio: float | None) -> dict[str, Any]:
    return {
        "model": "m-onnx-fp32",
        "engine": "onnxruntime",
        "peer": peer,
        "batch": 1,
        "threads": 2,
        "measure": "median",
        "ours": None if ratio is None else ratio,
        "theirs": None if ratio is None else 1.0,
        "ratio": ratio,
        "ci95": None if ratio is None else [0.99 * ratio, 1.01 * ratio],
        "verdict": "not run" if ratio is None else "LOSES" if ratio > 1.1 else "faster",
        "remark": "<b>",
    }


@pytest.mark.needs("jinja2")
def test_the_pages_hold_every_row_and_say_where_we_lose(tmp_path: Path) -> None:
    environment, rows = results_file.read_results(write_results(tmp_path / "r.json", {"test_a": (1.0, 0.98, 1.02)}))
    peers = {
        "environment": environment,
        "date": "2026-01-01",
        "rows": [peers_row("keras", 0.01), peers_row("better", 1.4), peers_row("absent", None)],
        "left_out": {"ultralytics": "not run: reasons"},
    }
    text, page = summary.markdown(environment, rows, peers), summary.page(environment, rows, peers)
    for place in (text, page):
        assert "1 of 2 peers are faster than EdgeFM by more than 10%: better on m-onnx-fp32, batch 1 (1.40)" in place
        assert "original" in place and "ultralytics" in place and "0.980 to 1.020" in place
    assert "<b>" not in page and page.count("<svg") == 3
    assert "<li>" in page and "<h1>What EdgeFM costs</h1>" in page and "&lt;" not in page.replace("&lt;b&gt;", "")
