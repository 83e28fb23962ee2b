"""The device profile: measured, kept by payload hash, used where it holds, and said where it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifact import load_artifact
from edge_fm_runtime.autotune import autotune
from edge_fm_runtime.device_profile import find_choice, save_choices
from edge_fm_runtime.errors import ArtifactError, GateError
from edge_fm_runtime.metadata import Metadata
from edge_fm_runtime.user_cache import payload_hash


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEFM_PROFILE", str(tmp_path / "p" / "profile.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "p" / "profile.json"


@pytest.fixture
def judged(make_artifact: Callable[..., Path], metadata: Metadata) -> Path:
    return make_artifact("judged", metadata=replace(metadata, parity={"drop_points": 0.2}))


def test_the_profile_decides_how_this_artifact_runs_and_no_other(
    judged: Path, make_artifact: Callable[..., Path], metadata: Metadata, profile: Path
) -> None:
    result = CliRunner().invoke(cli, ["autotune", str(judged), "--duration", "0.02", "--allow-load", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {c["engine"] for c in report["candidates"]} == {"onnxruntime", "openvino"}
    assert {c["batch"] for c in report["candidates"]} == {"dynamic", "static 1"}
    assert report["best"]["p50_ms"] == min(c["p50_ms"] for c in report["candidates"] if c["n"] == report["best"]["n"])
    other = load_artifact(make_artifact("other", metadata=replace(metadata, name="other")))
    artifact = load_artifact(judged)
    choice, note = find_choice(artifact)
    assert choice is not None and note is None
    assert find_choice(other) == (None, None)
    save_choices({str(payload_hash(artifact)): replace(choice, engine="openvino", threads=1, batch=0, version=_ov())})
    with Classifier.load(judged) as tuned, Classifier.load(other.path) as plain:
        assert (tuned.engine.name, tuned.engine.threads) == ("openvino", 1)
        assert plain.engine.name == "onnxruntime"
    with Classifier.load(judged, threads=2) as asked:
        assert (asked.engine.name, asked.engine.threads) == ("onnxruntime", 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")
def test_a_measurement_under_load_of_others_is_not_kept(judged: Path, profile: Path) -> None:
    cpu = min(os.sched_getaffinity(0))

    def pinned() -> None:
        os.sched_setaffinity(0, {cpu})

    with subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=pinned) as busy:  # noqa: PLW1509
        command = [
            sys.executable,
            "-c",
            "from edge_fm.cli import main; main()",
            "autotune",
            str(judged),
            "--duration",
            "0.2",
            "--json",
        ]
        done = subprocess.run(command, preexec_fn=pinned, capture_output=True, text=True, check=False)
        busy.kill()
    assert done.returncode == 3, done.stderr
    assert "other load seen" in done.stderr and "--allow-load" in done.stderr
    report = json.loads(done.stdout)
    assert report["verdict"] == "INVALID" and report["profile"] is None and report["candidates"]
    assert not profile.exists()


def _ov() -> str:
    from importlib import metadata

    return metadata.version("openvino")


@pytest.mark.parametrize("change", [{"cpu": "Another CPU"}, {"cpus": 99}, {"version": "0.1"}])
def test_a_changed_machine_is_noticed_and_said(judged: Path, profile: Path, change: dict[str, object]) -> None:
    artifact = load_artifact(judged)
    tuning = autotune([artifact], duration_s=0.02)
    save_choices({str(payload_hash(artifact)): replace(tuning.best.choice(), **change)})
    with Classifier.load(judged) as classifier:
        assert classifier.engine.name == "onnxruntime"
        assert "is now" in str(classifier.profile_note)
    photos = [str(judged / "README.md")] * 2
    assert "edgefm autotune" in CliRunner().invoke(cli, ["infer", *photos, "--model", str(judged)]).stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema_version": 1, "choices": {"a": {"engine": "x"}}}', "[" * 100_000]
)
def test_a_broken_profile_is_said_and_not_used(judged: Path, profile: Path, text: str) -> None:
    profile.parent.mkdir()
    profile.write_text(text)
    choice, note = find_choice(load_artifact(judged))
    assert choice is None and "edgefm autotune" in str(note)


def test_accuracy_bounds_the_choice(judged: Path, artifact_folder: Path) -> None:
    with pytest.raises(GateError, match=r"0\.2 points"):
        autotune([load_artifact(judged)], max_drop_points=0.1, duration_s=0.02)
    with pytest.raises(GateError, match="drop None"):  # nothing recorded: nothing proven
        autotune([load_artifact(artifact_folder)], duration_s=0.02)


def test_artifacts_of_two_models_are_refused(
    judged: Path, make_artifact: Callable[..., Path], metadata: Metadata
) -> None:
    other = make_artifact("other", metadata=replace(metadata, labels=("a", "b")))
    with pytest.raises(ArtifactError, match="not of one model"):
        autotune([load_artifact(judged), load_artifact(other)])
