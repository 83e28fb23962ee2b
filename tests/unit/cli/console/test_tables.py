"""No table of any command cuts a name, a value or a verdict, on terminals of 60 to 120 columns and in a pipe."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from terminal import shown

from edge_fm.cli import cli
from edge_fm.cli.console.console import print_table
from edge_fm.cli.console.tables import Column, cell_width, lay_out

WIDTHS = (60, 80, 100, 120, None)
Shown = Callable[[Callable[[], object]], str]


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width} columns" if width else "pipe")
def show(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Prints on a terminal of each width; fails where a line of a table is longer than the terminal."""

    def call(function: Callable[[], object]) -> str:
        text = shown(function, request.param, monkeypatch)
        if request.param is not None:
            for line in text.splitlines():
                if "─" in line:
                    assert cell_width(line) <= request.param
        return text

    return call


def run(*arguments: str) -> Callable[[], None]:
    return lambda: cli([*arguments, "--quiet"], standalone_mode=False)


def test_models_and_their_figures(show: Shown) -> None:
    models = json.loads(CliRunner().invoke(cli, ["models", "--json"]).stdout)["models"]
    text = show(run("models"))
    assert len(models) > 10 and any(model["recipes"] for model in models)
    for model in models:
        assert model["name"] in text
        for reached in model["recipes"]:
            assert reached["recipe"] in text and f"{100 * reached['accuracy']:.2f}%" in text


def test_experiments_can_be_typed(show: Shown) -> None:
    rows = json.loads(CliRunner().invoke(cli, ["experiments", "--json"]).stdout)["experiments"]
    text = show(run("experiments"))
    assert any(row["achieved_accuracy"] is not None for row in rows)
    for row in rows:
        assert row["name"] in text
        if row["achieved_accuracy"] is not None:
            assert f"{100 * row['achieved_accuracy']:.2f}" in text


def test_verify_and_autotune(show: Shown, artifact_folder: Path) -> None:
    from edge_fm.cli.console.artifact_tables import print_tuning
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.measurement.autotune import Candidate, Tuning

    text = show(run("verify", str(artifact_folder)))
    assert "max_abs_diff" in text and text.count("passed") >= 2 and "PASSED" in text
    artifact = load_artifact("edgenet-s-onnx-int8")
    candidates = tuple(Candidate(artifact, "onnxruntime", n, None, 0.123 * n, 9, None) for n in (1, 2))
    text = show(lambda: print_tuning(Tuning(candidates, candidates[0], ()), 0.5))
    assert text.count(artifact.metadata.name) >= 2 and "0.123" in text and "0.246" in text and "dynamic" in text


def test_evaluate_and_data(show: Shown, tmp_path: Path) -> None:
    text = show(run("evaluate", "edgenet-s-onnx-int8", "--data", "fashion-mnist-mini"))
    assert all(label in text for label in ("T-shirt/top", "Ankle boot", "F1 %"))
    file = tmp_path / "data.npz"
    images, labels = np.zeros((40, 4, 4, 1), np.uint8), np.arange(40) % 2
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels)
    info = json.loads(CliRunner().invoke(cli, ["data", "info", str(file), "--json"]).stdout)
    text = show(run("data", "info", str(file)))
    assert all(str(name) in text for name in info["label_names"])
    assert all(entry["sha256"] in text for entry in info["files"].values())


def test_doctor(show: Shown) -> None:
    text = show(run("doctor"))
    assert "onnxruntime" in text and "mlcommons-loadgen" in text and "8-bit products" in text


def test_benchmark(show: Shown, benchmarked: dict[str, Any]) -> None:
    from edge_fm.cli.console.benchmark_tables import print_report

    text = show(lambda: print_report(benchmarked))
    names = {row["model"] for row in benchmarked["rows"]} | {row["engine"] for row in benchmarked["rows"]}
    assert all(name in text for name in names)
    verdicts = [line for line in text.splitlines()[1:] if line.split()[-1:] in (["VALID"], ["INVALID"])]
    assert len(verdicts) == len(benchmarked["rows"])


@pytest.fixture(scope="module")
def benchmarked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    arguments = ["benchmark", "edgenet-s-onnx-int8", "--against", "none", "--duration", "0.05", "--min-samples", "2"]
    done = CliRunner().invoke(cli, [*arguments, "--skip", "starts", "--profile", "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_export(show: Shown, exported: Any) -> None:
    from edge_fm.cli.console.export_table import print_results
    from edge_fm_export.results import ExportFailure, ExportReport
    from edge_fm_export.targets import Target
    from edge_fm_runtime.errors import ExportError

    results = [exported("grey", Target("onnx", "fp32")), exported("grey", Target("onnx", "int8"))]
    report = ExportReport(tuple(results), np.zeros((0, 4), np.float32))
    text = show(lambda: print_results(report))
    for result in results:
        assert result.path.name in text
        assert f"{100 * result.parity.accuracy:.2f}" in text and f"{result.parity.drop_points:+.2f}" in text
    assert text.count("passed") == 2 and "earlier export" not in text
    kept = ExportFailure(f"{results[1].path.name}", results[1].target, ExportError("it cannot"), older=results[1].path)
    again = ExportReport((replace(results[0], replaced=True),), np.zeros((0, 4), np.float32), (kept,))
    text = " ".join(show(lambda: print_results(again)).split())
    assert f"Replaced, from an earlier export: {results[0].path.name}" in text
    assert f"Kept unchanged, from an earlier export: {results[1].path.name}" in text
    plan = show(run("export", "garments.keras", "--dry-run", "--format", "all", "--precision", "all"))
    assert all(f"garments-{name}" in plan for name in ("savedmodel-fp32", "onnx-int8", "openvino-fp16", "litert-int8"))


def test_quickstart(show: Shown, tmp_path: Path) -> None:
    from edge_fm.api.quickstart import QuickstartResult
    from edge_fm.cli.console.artifact_tables import print_quickstart
    from edge_fm.evaluation.benchmark.statistics import Verdict
    from edge_fm.training import load_recipe
    from edge_fm.training.run.results import RunResult

    row = {"model": "edgenet-s-openvino-int8", "engine": "openvino", "bytes": 140000, "accuracy": 0.901}
    row |= {"drop_points": 0.1, "agreement": 0.997, "p50_ms": 0.17, "times_faster": 444.0, "load_ms": 199.0}
    row |= {"peak_rss_mib": 99.0}
    metrics = {"model": "edgenet-s", "params": 90522}
    trained = RunResult(tmp_path, load_recipe("quickstart"), metrics, (), np.zeros((0, 10), np.float32))
    photo = tmp_path / "photo.jpg"
    result = QuickstartResult(trained, 100.0, (row,), Verdict(()), tmp_path, photo, "Ankle boot", 0.987, "Ankle boot")
    assert {"run", "seconds", "rows", "photo"} <= set(result.to_json()) and result.to_json()["rows"] == [row]
    text = show(lambda: print_quickstart(result))
    assert "relied" not in text
    loaded = replace(result, verdict=Verdict(("other load seen: other processes took 93% of the CPU",)))
    said = " ".join(show(lambda: print_quickstart(loaded)).split())
    assert "The times are not to be relied on. INVALID: other load seen: other processes took 93% of the CPU" in said
    assert loaded.to_json()["verdict"] == "INVALID" and loaded.to_json()["reasons"]
    assert f"{photo}: Ankle boot 98.7% (it is: Ankle boot)" in text
    assert all(value in text for value in ("edgenet-s-openvino-int8", "90.10", "+0.10", "0.170", "444x"))


def test_train(show: Shown, tmp_path: Path) -> None:
    from edge_fm.cli.console.study_tables import print_run
    from edge_fm.training import load_recipe
    from edge_fm.training.run.results import RunResult

    metrics = {"model": "edgenet-s", "params": 90522, "test_accuracy": 0.9123, "val_accuracy": 0.9234}
    metrics |= {"train_accuracy": 0.9345, "best_epoch": 7, "epochs": 8, "seconds": 61.0}
    metrics |= {"validation_leaks": [], "test_leaks": []}
    once = RunResult(tmp_path, load_recipe("edgenet-s"), {**metrics, "epochs": 1}, (), np.zeros((0, 10), np.float32))
    assert "1 epochs" not in show(lambda: print_run(once))
    result = RunResult(tmp_path, load_recipe("edgenet-s"), metrics, (), np.zeros((0, 10), np.float32))
    text = show(lambda: print_run(result))
    assert all(value in text for value in ("edgenet-s", "90,522", "91.23%", "92.34%", "93.45%", "confusion.png"))


def test_search_crossval_and_sweep(show: Shown, tmp_path: Path) -> None:
    from edge_fm.api.studies.search import SearchReport
    from edge_fm.api.studies.sweep import SweepResult
    from edge_fm.cli.console.study_tables import print_folds, print_sweep, print_trials
    from edge_fm.training import load_recipe
    from edge_fm.training.search.crossval import CrossValidation, FoldScore
    from edge_fm.training.search.search import SearchResult
    from edge_fm.training.search.sweep import SweepRow

    keys = [
        "optimizer.name",
        "optimizer.learning_rate",
        "optimizer.momentum",
        "training.batch_size",
        "model.options.dropout",
    ]
    values = dict(zip(keys, ("adamw", 0.00123, 0.95, 128, 0.25), strict=True))
    trial = {"number": 12, "state": "complete", "values": values, "val_accuracy": 0.9234, "epochs": 8, "seconds": 61.0}
    found = SearchResult("study", "sqlite:///study.db", "edgenet-s", (trial,), trial, tmp_path / "best.toml")
    text = show(lambda: print_trials(SearchReport(found, tuple(keys), tmp_path)))
    assert all(value in text for value in ("12 *", "complete", "adamw", "0.00123", "0.95", "128", "0.25", "92.34"))

    score = FoldScore(3, 0.9123, 0.2345, 0.92, 48000, 12000, 8, 61.0, "runs/crossval-edgenet-s/fold-3")
    folds = CrossValidation("edgenet-s", "0" * 64, "fashion-mnist", 0, (score, score))
    text = show(lambda: print_folds(folds))
    assert text.count("runs/crossval-edgenet-s/fold-3") == 2 and text.count("91.23") >= 2 and "0.2345" in text

    row = SweepRow(values, 0.9234, 0.3, 0.91, 8, 7, 61.0, 90522, 0, "0" * 64, "runs/sweep/1", None)
    text = show(lambda: print_sweep(SweepResult(load_recipe("edgenet-s"), (row,), tmp_path, test=True)))
    assert all(value in text for value in ("adamw", "0.00123", "0.95", "128", "0.25", "92.34 *", "91.00"))


def test_scenarios(show: Shown) -> None:
    from edge_fm.api.loadgen import ScenariosResult
    from edge_fm.cli.console.benchmark_tables import print_scenarios
    from edge_fm.mlperf import Plan, ScenarioResult
    from edge_fm.mlperf.logs import LoadGenVerdict

    figures = {f"{p}_percentile_latency_ns": 1_234_000 for p in ("50.00", "90.00", "95.00", "99.00", "99.90")}
    figures |= {"completed_samples_per_sec": 5123.4, "query_count": 98765, "effective_target_qps": 5000.0}
    figures |= {"effective_target_latency_ns": 10_000_000, "effective_min_duration_ms": 1000}
    settings = {
        "engine": "onnxruntime",
        "device": "CPU",
        "precision": "int8",
        "threads": 2,
        "batch": 1,
        "runs": ["a/b/run_1"],
    }
    verdict = LoadGenVerdict(False, ("too short",), (), figures)
    result = ScenarioResult("edgenet-s-openvino-int8", "server", False, settings, verdict, 0.9384, 10000)
    measured = ScenariosResult((result,), "5.0", Plan(1.0, None, None, None), {}, (), False)
    text = show(lambda: print_scenarios(measured))
    assert all(
        v in text for v in ("edgenet-s-openvino-int8", "onnxruntime", "server", "INVALID", "completed 5123 samples/s")
    )


def test_whatever_does_not_fit_is_named_and_what_stays_is_whole() -> None:
    drawn = random.Random(0)
    for width, count in itertools.product((60, 80, 100, 120, None), range(2, 12)):
        titles = [f"{'a' * drawn.randint(1, 9)} {'b' * drawn.randint(1, 9)} {i}" for i in range(count)]
        cells = [tuple(f"{'x' * drawn.randint(0, 30)}{i}" for _ in range(5)) for i in range(count)]
        cells[-1] = tuple(" ".join(drawn.choices(["ünder", "鞋", "of", "the"], k=20)) for _ in range(5))
        columns = [Column(t, c, wraps=i == count - 1) for i, (t, c) in enumerate(zip(titles, cells, strict=True))]
        optional = titles[1:-1][: count // 2]
        layout = lay_out(columns, width, optional=optional)
        assert set(layout.left_out) <= set(optional) and (width is not None or not layout.left_out)
        text = "\n".join((*layout.head, *layout.body))
        for column in columns:
            if column.title not in layout.left_out and not column.wraps:
                assert all(cell in text for cell in column.cells)
        if layout.head and width is not None:
            assert all(cell_width(line) <= width for line in (*layout.head, *layout.body))


def test_labels_are_text_and_not_markup(show: Shown) -> None:
    text = show(lambda: print_table("[b]title[/b]", ["name", "value"], [["[red]boot", "1"], [":smile:", "鞋子"]]))
    assert "[b]title[/b]" in text and "[red]boot" in text and ":smile:" in text and "鞋子" in text


def test_a_column_that_is_not_there_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="No columns are called nmae"):
        print_table("title", ["name"], [["x"]], optional=["nmae"])
