"""The device profile: measured, kept by payload hash, used where it holds, and said where it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.artifact import load_artifact
from edge_fm_runtime.artifacts.metadata import Metadata
from edge_fm_runtime.errors import ArtifactError, GateError
from edge_fm_runtime.measurement import device_profile
from edge_fm_runtime.measurement.autotune import Candidate, autotune
from edge_fm_runtime.measurement.device_profile import Choice, find_choice, library_version, save_choices
from edge_fm_runtime.system.machine import cpu_name, usable_cpus


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEFM_PROFILE", str(tmp_path / "p" / "profile.json"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "p" / "profile.json"


@pytest.fixture
def compared(make_artifact: Callable[..., Path], metadata: Metadata) -> Path:
    parity = {"n": 1000, "dataset": "a test", "engine": "onnxruntime", "checks": [], "drop_points": 0.2}
    return make_artifact("compared", metadata=replace(metadata, parity=parity))


def test_what_was_measured_once_does_not_stand_above_the_winner(
    compared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []

    def slower_each_time(ways: Any, duration_s: float, progress: Any) -> list[Candidate]:
        rounds.append(len(ways))
        return [
            Candidate(artifact, engine, threads, batch, 1 + place / 100 + 10 * (len(rounds) - 1), 9, 0.0)
            for place, (artifact, (engine, threads, batch), _) in enumerate(ways)
        ]

    monkeypatch.setattr("edge_fm_runtime.measurement.autotune._thread_counts", lambda: [1, 2, 3, 4, 5])
    monkeypatch.setattr("edge_fm_runtime.measurement.autotune._measure", slower_each_time)
    tuning = autotune([load_artifact(compared)])
    assert len(tuning.candidates) == rounds[0] > rounds[1] == tuning.finalists
    assert tuning.candidates[0] == tuning.best and tuning.best.p50_ms == 11
    assert [c.p50_ms > 10 for c in tuning.candidates] == [place < rounds[1] for place in range(rounds[0])]


@pytest.mark.needs("openvino")
def test_the_profile_decides_how_this_artifact_runs_and_no_other(
    compared: Path, make_artifact: Callable[..., Path], metadata: Metadata, profile: Path
) -> None:
    result = CliRunner().invoke(cli, ["autotune", str(compared), "--duration", "0.02", "--allow-load", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {c["engine"] for c in report["candidates"]} == {"onnxruntime", "openvino"}
    assert {c["batch"] for c in report["candidates"]} == {"dynamic", "static 1"}
    assert report["candidates"][0] == report["best"] and 1 <= report["finalists"] <= len(report["candidates"])
    assert report["best"]["p50_ms"] == min(c["p50_ms"] for c in report["candidates"] if c["n"] == report["best"]["n"])
    other = load_artifact(make_artifact("other", metadata=replace(metadata, name="other")))
    artifact = load_artifact(compared)
    choice, note = find_choice(artifact)
    assert choice is not None and note is None
    assert find_choice(other) == (None, None)
    save_choices({str(artifact.payload_hash()): replace(choice, engine="openvino", threads=1, batch=0, version=_ov())})
    with Classifier.load(compared) as tuned, Classifier.load(other.path) as plain:
        assert (tuned.engine.name, tuned.engine.threads) == ("openvino", 1)
        assert plain.engine.name == "onnxruntime"
    with Classifier.load(compared, threads=2) as asked:
        assert (asked.engine.name, asked.engine.threads) == ("onnxruntime", 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")
def test_a_measurement_under_load_of_others_is_not_stored(compared: Path, profile: Path) -> None:
    cpu = min(os.sched_getaffinity(0))

    def pinned() -> None:
        os.sched_setaffinity(0, {cpu})

    with subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=pinned) as busy:  # noqa: PLW1509
        command = [
            sys.executable,
            "-c",
            "from edge_fm.cli import main; main()",
            "autotune",
            str(compared),
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
def test_a_changed_machine_is_noticed_and_reported(compared: Path, profile: Path, change: dict[str, object]) -> None:
    artifact = load_artifact(compared)
    tuning = autotune([artifact], duration_s=0.02)
    save_choices({str(artifact.payload_hash()): replace(tuning.best.choice(), **change)})
    with Classifier.load(compared) as classifier:
        assert classifier.engine.name == "onnxruntime"
        assert "is now" in str(classifier.profile_note)
    photos = [str(compared / "README.md")] * 2
    assert "edgefm autotune" in CliRunner().invoke(cli, ["infer", *photos, "--model", str(compared)]).stderr


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema_version": 1, "choices": {"a": {"engine": "x"}}}', "[" * 100_000]
)
def test_a_broken_profile_is_reported_and_not_used(compared: Path, profile: Path, text: str) -> None:
    profile.parent.mkdir()
    profile.write_text(text)
    choice, note = find_choice(load_artifact(compared))
    assert choice is None and "edgefm autotune" in str(note)


@pytest.fixture
def written(compared: Path, profile: Path) -> dict[str, Any]:
    """A profile that holds here, as it is in the file, and says two threads of OpenVINO or one of onnxruntime."""
    digest = str(load_artifact(compared).payload_hash())
    good = Choice("openvino", 1, 0, 1.0, cpu_name(), usable_cpus(), library_version("openvino"))
    save_choices({digest: good})
    choice, note = find_choice(load_artifact(compared))
    assert (choice, note) == (good, None)
    body: dict[str, Any] = json.loads(profile.read_text())
    return body


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("threads", value) for value in (4096, usable_cpus() + 1, 0, -1, 1.0, True, "2", None, 10**30)],
        *[("engine", value) for value in (["openvino"], {}, None, "tensorflow", 1, "litert")],
        *[("batch", value) for value in (1, 4096, -1, 0.0, False, "0", [])],
        *[("p50_ms", value) for value in (0, -1.0, float("nan"), float("inf"), 10**400, True, "1", [])],
        *[("cpu", value) for value in (None, 1, ["x"], "x" * 300)],
        *[("cpus", value) for value in (0, 10**9, None, "2", 2.0)],
        *[("version", value) for value in (None, {}, "x" * 300)],
    ],
    ids=str,
)
def test_values_that_do_not_fit_the_machine_are_reported_and_not_used(
    compared: Path, profile: Path, written: dict[str, Any], key: str, value: object
) -> None:
    next(iter(written["choices"].values()))[key] = value
    profile.write_text(json.dumps(written))
    with Classifier.load(compared) as classifier:
        assert (classifier.engine.name, classifier.engine.threads) == ("onnxruntime", usable_cpus())
        assert key in str(classifier.profile_note) and len(str(classifier.profile_note)) < 600


def test_a_key_that_is_no_hash_and_a_choice_of_other_keys(
    compared: Path, profile: Path, written: dict[str, Any]
) -> None:
    (digest,) = written["choices"]
    for choices in (
        {digest: written["choices"][digest], "../x": written["choices"][digest]},
        {digest: written["choices"][digest] | {"device": "GPU"}},
        {digest: ["openvino"]},
        {digest: None},
        [],
    ):
        profile.write_text(json.dumps({"schema_version": 1, "choices": choices}))
        choice, note = find_choice(load_artifact(compared))
        assert choice is None and "is not a device profile of this edge-fm" in str(note)


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_profile_that_everybody_may_write_is_reported_and_not_used(
    compared: Path, profile: Path, written: dict[str, Any], place: str
) -> None:
    assert profile.stat().st_mode & 0o777 == 0o600
    (profile if place == "file" else profile.parent).chmod(0o777)
    choice, note = find_choice(load_artifact(compared))
    assert choice is None and "everybody may write to" in str(note)
    with pytest.raises(ArtifactError, match="everybody may write to"):  # nor is it added to
        save_choices({})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_profile_of_another_user_is_reported_and_not_used(
    compared: Path, profile: Path, written: dict[str, Any]
) -> None:
    os.chown(profile, 12345, 12345)
    choice, note = find_choice(load_artifact(compared))
    assert choice is None and "belongs to another user (uid 12345)" in str(note)


def test_no_place_for_a_profile_is_an_error_with_a_way_out(compared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_profile, "cache_root", lambda: None)
    monkeypatch.delenv("EDGEFM_PROFILE")
    assert find_choice(load_artifact(compared)) == (None, None)
    with pytest.raises(ArtifactError, match="no home folder") as caught:
        save_choices({})
    assert "EDGEFM_PROFILE=FILE" in str(caught.value.hint)


def test_accuracy_bounds_the_choice(compared: Path, artifact_folder: Path) -> None:
    with pytest.raises(GateError, match=r"0\.2 points"):
        autotune([load_artifact(compared)], max_drop_points=0.1, duration_s=0.02)
    with pytest.raises(GateError, match="drop None"):  # nothing recorded: nothing proven
        autotune([load_artifact(artifact_folder)], duration_s=0.02)


def test_artifacts_of_two_models_are_refused(
    compared: Path, make_artifact: Callable[..., Path], metadata: Metadata
) -> None:
    other = make_artifact("other", metadata=replace(metadata, labels=("a", "b")))
    with pytest.raises(ArtifactError, match="not of one model"):
        autotune([load_artifact(compared), load_artifact(other)])
