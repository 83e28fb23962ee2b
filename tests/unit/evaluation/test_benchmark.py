"""One measurement of a tiny artifact: figures, verdict, page and advice; the page is made from the JSON alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.evaluation.benchmark.page import benchmark_page, write_benchmark
from edge_fm.evaluation.benchmark.recommendation import MAX_DROP_POINTS, pareto_front, recommend
from edge_fm.evaluation.benchmark.stored import read_benchmark
from edge_fm_runtime.errors import ClosedError, DataError


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the command leaves for the tiny grey model on three engines."""
    from edge_fm_export.targets import Target

    exported = request.getfixturevalue("exported")
    kinds = (("onnx", "fp32"), ("openvino", "fp32"), ("litert", "fp32"))
    paths = [str(exported("grey", Target(*kind)).path) for kind in kinds]
    out = tmp_path_factory.mktemp("benchmark")
    arguments = ["benchmark", *paths, "--against", "none", "--duration", "0.05", "--min-samples", "20"]
    done = CliRunner().invoke(
        cli, [*arguments, "--skip", "starts", "--batch", "1", "--batch", "4", "--profile", "--out", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads((out / "benchmark.json").read_text())
    return printed | {"_folder": str(out)}


def rows(report: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [row for row in report["rows"] if row["kind"] == kind]


def test_every_artifact_stands_beside_its_bare_library_and_nothing(report: dict[str, Any]) -> None:
    assert {r["engine"] for r in rows(report, "artifact")} == {"onnxruntime", "openvino", "litert"}
    assert {r["engine"] for r in rows(report, "bare")} == {"bare-onnxruntime", "bare-openvino", "bare-litert"}
    assert len(rows(report, "null")) == 2
    assert report["harness_us"] < 1000
    for row in report["rows"]:
        assert row["n"] >= 20 and row["p50_ms"] > 0
        low, high = row["p50_ci95_ms"]
        assert low <= row["p50_ms"] * 1.001 and row["p50_ms"] <= high * 1.001
        assert (row["p99_9_ms"] is not None) == (row["n"] * 0.001 >= 10)
        quantiles = [value for _, value in row["quantiles_ms"]]
        assert quantiles == sorted(quantiles)
    for row in rows(report, "artifact"):
        assert row["load_ms"] is None and row["starts"] == 0 and row["bytes"] > 0
        assert row["streams_throughput_ips"] > 0 and row["throughput_ips"] > 0
        assert (row["photo_p50_ms"] is not None) == (row["batch"] == 1)
        assert 0 <= row["accuracy"] <= 1 and row["drop_ci95"][0] <= row["drop_points"] <= row["drop_ci95"][1]


def test_overheads_are_ratios_of_medians_with_an_interval(report: dict[str, Any]) -> None:
    assert len(report["overheads"]) == 6
    for overhead in report["overheads"]:
        (ours,) = (
            r for r in rows(report, "artifact") if (r["model"], r["batch"]) == (overhead["model"], overhead["batch"])
        )
        (bare,) = (r for r in rows(report, "bare") if (r["of"], r["batch"]) == (overhead["model"], overhead["batch"]))
        assert overhead["p50_ratio"] == pytest.approx(ours["p50_ms"] / bare["p50_ms"])
        low, high = overhead["p50_ratio_ci95"]
        assert low <= high


def test_a_short_run_is_invalid_and_says_so(report: dict[str, Any]) -> None:
    assert report["verdict"] == "INVALID"
    assert any("too short" in reason for reason in report["reasons"])
    assert all(row["verdict"] == "INVALID" for row in report["rows"])


def test_profiles_split_a_photo_and_name_operators_slowest_first(report: dict[str, Any]) -> None:
    by_engine = {p["engine"]: p for p in report["profiles"]}
    for profile in by_engine.values():
        assert [s["stage"] for s in profile["stages"]] == ["decode", "canvas", "inference", "post"]
        assert all(s["p50_ms"] > 0 for s in profile["stages"])
    for engine in ("onnxruntime", "openvino"):
        operators = by_engine[engine]["operators"]
        assert any("Conv" in o["type"] for o in operators)
        times = [o["p50_us"] for o in operators]
        assert times == sorted(times, reverse=True)
        assert sum(o["share"] for o in operators) == pytest.approx(1)
    assert by_engine["litert"]["operators"] == [] and by_engine["litert"]["note"]


def test_the_page_is_one_file_without_network(report: dict[str, Any]) -> None:
    page = benchmark_page(report)
    assert "http://" not in page and "https://" not in page
    assert page.count("<svg") >= 4 and page.count("<svg") == page.count("</svg>")
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names))
    used = set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page))
    assert used <= set(names)
    assert "INVALID" in page and "prefers-color-scheme: dark" in page and "@media print" in page
    for row in rows(report, "artifact"):
        assert row["model"] in page


def test_third_party_names_are_escaped(report: dict[str, Any], tmp_path: Path) -> None:
    hostile = json.loads(json.dumps(report).replace("tiny", "<script>alert(1)</script>"))
    _, page = write_benchmark(hostile, tmp_path)
    assert "<script" not in page.read_text()


def test_every_text_of_a_report_is_escaped(report: dict[str, Any]) -> None:
    def hostile(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: hostile(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [hostile(one, key) for one in value]
        return f"{value}<script>'\"&" if isinstance(value, str) and key not in ("kind", "verdict", "reasons") else value

    changed = hostile({name: value for name, value in report.items() if name != "_folder"})
    changed["reasons"] = ["<script>reason"] * 9
    page = benchmark_page(changed)
    assert "<script" not in page


def test_the_verdict_stands_beside_the_name(report: dict[str, Any]) -> None:
    head = re.findall(r"<tr>(<th.*?)</tr>", benchmark_page(report))[0]
    assert re.findall(r">([^<]+)</th>", head)[:2] == ["model", "verdict"]


def test_advice_looks_at_photos_before_size_and_tells_the_interval() -> None:
    row = {"kind": "artifact", "engine": "e", "batch": 1, "threads": 1, "top1_agreement": 1.0, "accuracy": 0.9}
    small = row | {"model": "small", "p50_ms": 0.103, "photo_p50_ms": 13.0, "bytes": 1000}
    quick = row | {"model": "quick", "p50_ms": 0.100, "photo_p50_ms": 5.0, "bytes": 5000}
    drop = {"drop_points": -1.2, "drop_ci95": [-7.7, 2.9]}
    report = {"verdict": "VALID", "rows": [small | drop, quick | drop], "ratios": []}
    advice = recommend(report)
    assert advice.model == "quick" and "5 ms from photo to class" in advice.sentence
    assert "1.20 points gained, 95% interval of the loss -7.70 to +2.90" in advice.sentence
    unmeasured = {"photo_p50_ms": None}
    report["rows"] = [small | drop | unmeasured, quick | drop | unmeasured]
    assert recommend(report).model == "small"


def test_report_makes_the_page_again(report: dict[str, Any], tmp_path: Path) -> None:
    folder = Path(report["_folder"])
    before = (folder / "benchmark.html").read_text()
    done = CliRunner().invoke(cli, ["report", str(folder), "--out", str(tmp_path / "new/page.html"), "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert Path(printed["page"]).read_text() == before
    assert printed["recommended"] in {r["model"] for r in rows(report, "artifact")}


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_benchmark(tmp_path)
    (tmp_path / "benchmark.json").write_text("[1, 2]")
    with pytest.raises(DataError, match="not a result of edgefm benchmark"):
        read_benchmark(tmp_path)
    (tmp_path / "benchmark.json").write_text("{")
    with pytest.raises(DataError, match="not readable as JSON"):
        read_benchmark(tmp_path)


def test_artifacts_of_one_name_are_told_apart_by_their_folders(make_artifact: Callable[..., Path]) -> None:
    folders = [str(make_artifact("one")), str(make_artifact("two"))]
    arguments = ["benchmark", *folders, "--against", "none", "--duration", "0.05", "--min-samples", "2", "--json"]
    skip = ["--skip", "streams", "--skip", "photos", "--skip", "starts", "--skip", "null"]
    done = CliRunner().invoke(cli, [*arguments, *skip])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert [row["model"] for row in report["rows"] if row["kind"] == "artifact"] == folders
    assert sorted(overhead["model"] for overhead in report["overheads"]) == sorted(folders)


def test_strict_turns_an_invalid_run_into_code_3(artifact_folder_grey: str) -> None:
    arguments = ["benchmark", artifact_folder_grey, "--against", "none", "--duration", "0.05", "--strict"]
    skip = ["--skip", "bare", "--skip", "streams", "--skip", "photos", "--skip", "null"]
    done = CliRunner().invoke(cli, [*arguments, *skip, "--min-samples", "5", "--json"])
    assert done.exit_code == 3
    assert "too short" in done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert row["load_ms"] > 0 and row["first_ms"] > 0 and row["starts"] == 3


@pytest.fixture
def artifact_folder_grey(exported: Callable[..., Any]) -> str:
    from edge_fm_export.targets import Target

    return str(exported("grey", Target("onnx", "fp32")).path)


def advice(*changed: dict[str, Any]) -> Any:
    row = {"kind": "artifact", "engine": "litert", "batch": 1, "threads": 2, "accuracy": 0.9, "bytes": 1000}
    made = [row | {"model": f"m{i}", "p50_ms": 1.0, "drop_points": 0.0} | c for i, c in enumerate(changed)]
    return recommend({"rows": made, "ratios": [], "verdict": "VALID"})


@pytest.mark.parametrize("fails", [False, True])
def test_every_engine_is_closed_after_it_was_measured(
    artifact_folder_grey: str, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    from edge_fm.evaluation.benchmark import benchmark

    seen: list[benchmark.Case] = []
    measure = benchmark.run_benchmark

    def watched(cases: list[benchmark.Case], **options: Any) -> benchmark.BenchmarkReport:
        seen.extend(cases)
        if fails:
            raise DataError("as if")
        return measure(cases, **options)

    monkeypatch.setattr(benchmark, "run_benchmark", watched)
    skip = [part for name in ("bare", "streams", "photos", "starts") for part in ("--skip", name)]
    done = CliRunner().invoke(
        cli,
        ["benchmark", artifact_folder_grey, "--engine", "openvino", "--against", "none", "--duration", "0.05", *skip],
    )
    assert done.exit_code == int(fails), done.output
    assert [case.kind for case in seen] == ["artifact", "null"]
    for case in seen:
        with pytest.raises(ClosedError):
            case.engine.infer(case.batch(1))


def test_advice_follows_its_rule() -> None:
    assert advice({"p50_ms": 2.0}, {"p50_ms": 1.0}).model == "m1"
    lost = {"p50_ms": 0.1, "drop_points": MAX_DROP_POINTS + 0.1}
    assert advice({"p50_ms": 2.0}, lost).model == "m0"
    assert advice({"bytes": 2000}, {"p50_ms": 1.04, "bytes": 500}).model == "m1"
    unlabelled = {"accuracy": None, "drop_points": None, "top1_agreement": 0.999}
    assert advice(unlabelled).model == "m0" and "99.90% of the original's predictions" in advice(unlabelled).sentence
    nothing = advice(lost)
    assert nothing.model is None and "none is recommended" in nothing.sentence


def test_no_point_of_the_front_is_beaten_and_every_other_is() -> None:
    rng = np.random.default_rng(0)
    points = [(float(x), float(y)) for x, y in rng.random((40, 2)).round(1)]
    front = pareto_front(points)

    def beaten(i: int) -> bool:
        return any(
            a <= points[i][0] and b >= points[i][1] and (a, b) != points[i] for j, (a, b) in enumerate(points) if j != i
        )

    assert front and not any(beaten(i) for i in front)
    kept = {points[i] for i in front}
    assert all(beaten(i) or points[i] in kept for i in range(len(points)))
