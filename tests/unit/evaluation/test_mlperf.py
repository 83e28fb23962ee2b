"""LoadGen's scenarios over real engines, its logs read and scored, and what ends a run early."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm.mlperf import SCENARIOS, Plan, Subject, run_scenarios
from edge_fm.mlperf.logs import read_predictions, read_verdict
from edge_fm.mlperf.pace import Pace, find_rate
from edge_fm.mlperf.samples import SampleLibrary
from edge_fm.mlperf.sut import QueueIssuer, System
from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata
from edge_fm_runtime.engines import EngineOptions
from edge_fm_runtime.errors import EngineError

LABELS = ("T-shirt/top", "Ankle boot", "Bag")
SHORT = ["--duration", "0.1"]
PATIENT = [*SHORT, "--target-latency-ms", "20000"]
"""A bound that holds on a machine that is busy with other tests."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """61 labelled test images, which queries of eight do not divide, and labels that the model often misses."""
    random = np.random.default_rng(5)
    images = random.integers(0, 256, (100, 4, 4, 1), dtype=np.uint8)
    labels = random.integers(0, 3, 100)
    file = tmp_path / "set.npz"
    np.savez(file, x_train=images[:39], y_train=labels[:39], x_test=images[39:], y_test=labels[39:], label_names=LABELS)
    return file


def run_cli(*arguments: str) -> Any:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.needs("mlperf_loadgen")
def test_every_scenario_is_valid_and_scores_what_evaluate_counts(
    artifact_folder: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ["--scenario", "all", "--data", str(data), "--out", str(out), *PATIENT, "--json", "--quiet"]
    result = run_cli("benchmark", str(artifact_folder), *arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [row["scenario"] for row in report["rows"]] == list(SCENARIOS)
    evaluated = run_cli("evaluate", str(artifact_folder), "--data", str(data), "--json", "--quiet")
    accuracy = json.loads(evaluated.stdout)["accuracy"]
    assert 0.1 < accuracy < 0.9
    for row in report["rows"]:
        assert (row["verdict"], row["reasons"], row["errors"]) == ("VALID", [], [])
        assert row["accuracy"] == accuracy and row["n"] == 61
        logs = Path(row["logs"])
        summary = (logs / "performance" / f"run_{row['runs']}" / "mlperf_log_summary.txt").read_text()
        assert "Result is : VALID" in summary
        assert (logs / "accuracy" / "mlperf_log_accuracy.json").is_file()
    assert json.loads((out / "mlperf.json").read_text())["rows"] == report["rows"]
    assert report["rows"][1]["queries"] >= 662 and report["rows"][3]["queries"] == 1
    assert report["environment"]["loadgen"]


@pytest.mark.needs("mlperf_loadgen")
def test_a_fixed_batch_is_cut_and_filled(make_artifact: Callable[..., Path], metadata: Metadata, data: Path) -> None:
    folder = make_artifact(metadata=replace(metadata, input=InputSpec(4, 4, 1, batch=3)))
    arguments = ["--scenario", "multi-stream", "--scenario", "offline", "--data", str(data), *SHORT]
    result = run_cli("benchmark", str(folder), *arguments, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    evaluated = json.loads(run_cli("evaluate", str(folder), "--data", str(data), "--json", "--quiet").stdout)
    assert {row["accuracy"] for row in json.loads(result.stdout)["rows"]} == {evaluated["accuracy"]}


@pytest.mark.needs("mlperf_loadgen")
@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 3)])
def test_what_cannot_be_held_is_invalid(artifact_folder: Path, data: Path, strict: tuple[str, ...], code: int) -> None:
    arguments = ["--scenario", "server", "--data", str(data), *SHORT, "--target-latency-ms", "0.0001", *strict]
    result = run_cli("benchmark", str(artifact_folder), *arguments)
    assert result.exit_code == code, result.output
    assert "INVALID" in result.stdout and "Performance constraints satisfied : NO" in result.stderr
    assert "Reduce target QPS" in result.stderr


@pytest.mark.needs("mlperf_loadgen")
def test_a_rate_that_was_asked_for_is_not_changed(artifact_folder: Path, data: Path) -> None:
    arguments = ["--scenario", "server", "--data", str(data), *PATIENT, "--target-qps", "1500", "--json", "--quiet"]
    (row,) = json.loads(run_cli("benchmark", str(artifact_folder), *arguments).stdout)["rows"]
    assert (row["target_qps"], row["target_latency_ms"], row["runs"]) == (1500, 20000, 1)


@pytest.mark.needs("mlperf_loadgen")
def test_without_labels_there_is_no_accuracy(artifact_folder: Path) -> None:
    result = run_cli("benchmark", str(artifact_folder), "--scenario", "single-stream", "--duration", "0.1", "--json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["rows"]
    assert row["accuracy"] is None and row["n"] == 32 and row["logs"] is None
    assert "golden inputs" in result.stderr and "--out DIR" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target-qps", "5"], "belongs to --scenario"),
        (["--scenario", "offline", "--target-qps", "5"], "belong to --scenario server"),
        (["--scenario", "all", "--against", "none"], "--against has no meaning"),
        (["--scenario", "all", "--official", "--duration", "1"], "contradict"),
        (["--scenario", "all", "--batch", "1", "--batch", "2"], "--batch once"),
        (["--scenario", "batch"], "not one of"),
    ],
)
def test_wrong_usage_is_2(artifact_folder: Path, arguments: list[str], said: str) -> None:
    result = run_cli("benchmark", str(artifact_folder), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_engine_that_fails_in_the_middle_is_an_error_and_does_not_hang(
    artifact_folder: Path, tmp_path: Path
) -> None:
    images = np.zeros((16, 5, 5, 1), np.uint8)  # not what the model takes: ONNX Runtime refuses the first query
    subject = Subject("tiny", str(artifact_folder), "auto", EngineOptions(), images, None)
    with pytest.raises(EngineError, match=r"tiny, single-stream: .*Got invalid dimensions"):
        run_scenarios([subject], ["single-stream"], Plan(0.1), tmp_path)


@pytest.mark.needs("mlperf_loadgen")
def test_a_broken_artifact_keeps_its_exit_code(artifact_folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(artifact_folder, broken)
    with (broken / "model.onnx").open("ab") as file:
        file.write(b"x")
    assert run_cli("benchmark", str(broken), "--scenario", "offline").exit_code == 3


def test_a_missing_loadgen_names_the_extra(artifact_folder: Path) -> None:
    code = (
        "import sys; sys.modules['mlperf_loadgen'] = None\n"
        "from edge_fm.cli import main\n"
        f"sys.argv = ['edgefm', 'benchmark', {str(artifact_folder)!r}, '--scenario', 'all']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'edge-fm[mlperf]'" in done.stderr


def test_what_fails_in_the_servers_thread_reaches_fail(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 4, 4, 1), np.uint8))
    samples = SampleLibrary(tmp_path / "images.npy")
    samples.load([0, 1])
    errors: list[BaseException] = []

    def fail(error: BaseException) -> Any:
        errors.append(error)

    engine: Any = SimpleNamespace(infer=lambda images: images)
    issuer = QueueIssuer(System(None, engine, samples, fail=fail), 4)
    issuer.issue([7], [3])  # was not loaded
    issuer.close()
    assert len(errors) == 1 and "sample 3" in str(errors[0])


def test_samples_are_read_when_they_are_loaded(tmp_path: Path) -> None:
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2, 1)
    np.save(tmp_path / "images.npy", images)
    samples = SampleLibrary(tmp_path / "images.npy")
    samples.load([4, 1, 1])
    assert np.array_equal(samples.get([1, 4, 1]), images[[1, 4, 1]])
    assert np.array_equal(samples.get([4]), images[[4]])
    samples.unload([4, 1])
    for wanted in ([4], [1, 4]):
        with pytest.raises(EngineError, match="not loaded"):
            samples.get(wanted)


def write_logs(folder: Path, *, summary: str, validity: str) -> Path:
    entry = {"metadata": {"is_error": False}}
    figures = {"result_validity": validity, "result_50.00_percentile_latency_ns": 1_500_000}
    lines = [":::MLLOG " + json.dumps({"key": k, "value": v, **entry}) for k, v in figures.items()]
    lines.append(":::MLLOG " + json.dumps({"key": "error_x", "value": "odd", "metadata": {"is_error": True}}))
    folder.mkdir()
    (folder / "mlperf_log_detail.txt").write_text("\n".join(lines))
    (folder / "mlperf_log_summary.txt").write_text(summary)
    return folder


INVALID = """Result is : INVALID
  Performance constraints satisfied : NO
  Min duration satisfied : Yes
  Early stopping satisfied: NO
Recommendations:
 * Reduce target QPS to improve latency.
Early Stopping Result:
 * Run unsuccessful.
"""


def test_verdicts_are_read_with_their_reasons(tmp_path: Path) -> None:
    verdict = read_verdict(write_logs(tmp_path / "a", summary=INVALID, validity="INVALID"))
    assert not verdict.valid and verdict.errors == ("odd",)
    assert verdict.reasons == (
        "Performance constraints satisfied : NO",
        "Early stopping satisfied: NO",
        "Reduce target QPS to improve latency.",
    )
    assert verdict.percentile_ms("50.00") == 1.5


@pytest.mark.parametrize(("summary", "validity"), [("", "VALID"), (INVALID, "VALID"), ("Result is : VALID", "")])
def test_logs_that_do_not_agree_are_an_error(tmp_path: Path, summary: str, validity: str) -> None:
    with pytest.raises(EngineError, match="do not agree"):
        read_verdict(write_logs(tmp_path / "a", summary=summary, validity=validity))


def test_the_accuracy_log_is_read_by_sample(tmp_path: Path) -> None:
    entries = [{"seq_id": i, "qsl_idx": q, "data": d} for i, (q, d) in enumerate([(1, "02000000"), (0, "00010000")])]
    (tmp_path / "mlperf_log_accuracy.json").write_text(json.dumps(entries))
    assert read_predictions(tmp_path, 2).tolist() == [256, 2]
    with pytest.raises(EngineError, match="1 of 3 samples"):
        read_predictions(tmp_path, 3)
    (tmp_path / "mlperf_log_accuracy.json").write_text("[\n")
    with pytest.raises(EngineError, match="not LoadGen's log"):
        read_predictions(tmp_path, 2)


def test_a_rate_is_found_below_what_holds() -> None:
    assert find_rate(lambda rate: rate <= 300, 1000.0) == pytest.approx(0.85 * 300, rel=0.2)
    assert find_rate(lambda rate: False, 1000.0) is None
    assert find_rate(lambda rate: True, 1000.0) == pytest.approx(850, rel=0.2)


def test_the_servers_batch_leaves_time_to_wait() -> None:
    pace = Pace({1: 0.001, 8: 0.003, 64: 0.02}, {1: 0.001, 8: 0.003, 64: 0.02})
    assert [pace.server_batch(s) for s in (0.001, 0.010, 1.0)] == [1, 8, 64]
    assert pace.best_batch == 64 and pace.peak_ips == pytest.approx(3200)
