"""`--format all` leaves out what is not here, says so, and nothing that is asked for afterwards needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner

from edge_fm.api.common.export_options import ExportOptions, requested_targets
from edge_fm.api.quickstart import quickstart
from edge_fm.cli import cli
from edge_fm_export.browser_runtime.package import ENVIRONMENT


class Reached(Exception):
    """The training would begin."""


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither TFLM's interpreter nor ONNX Runtime Web."""
    from importlib.util import find_spec

    def absent(name: str) -> Any:
        return None if name == "tflite_micro" else find_spec(name)

    monkeypatch.setattr("edge_fm_export.packages.find_spec", absent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@pytest.mark.usefixtures("without")
def test_what_is_left_out_is_said() -> None:
    said: list[str] = []
    targets, named = requested_targets("all", "int8", ExportOptions(), said.append)
    assert not named and {target.format for target in targets} == {"onnx", "openvino", "litert"}
    assert [text for text in said if "web is left out" in text and "--format web fetches it" in text]
    assert [text for text in said if "tflm int8 is left out: tflite-micro is not installed" in text]
    said.clear()
    assert requested_targets("web", "int8", ExportOptions(), said.append)[1] and not said


@pytest.mark.usefixtures("without")
def test_a_plan_leaves_out_the_same_and_says_so() -> None:
    done = CliRunner().invoke(cli, ["export", "net.keras", "--format", "all", "--precision", "all", "--dry-run"])
    assert done.exit_code == 0
    assert "web is left out: onnxruntime-web" in done.stderr and "tflite-micro is not installed" in done.stderr
    assert "net-web-" not in done.stdout and "net-onnx-int8" in done.stdout
    one = CliRunner().invoke(cli, ["export", "net.keras", "--format", "onnx", "--dry-run", "--board", "nano-33-ble"])
    assert one.exit_code == 1 and "no format for microcontrollers was requested" in one.stderr


@pytest.mark.needs("tflite_micro", "ai_edge_litert")
@pytest.mark.parametrize(
    ("options", "option"),
    [
        (ExportOptions(keep_float=["conv1"]), "--keep-float"),
        (ExportOptions(accuracy_control=True), "--accuracy-control"),
    ],
)
def test_all_leaves_out_microcontrollers_where_layers_are_to_stay_in_float(options: ExportOptions, option: str) -> None:
    said: list[str] = []
    targets, _ = requested_targets("all", "int8", options, said.append)
    assert "tflm" not in {target.format for target in targets}
    assert any("tflm int8 is left out" in text and f"{option} was requested" in text for text in said)


@pytest.mark.needs("tensorflow", "tf2onnx", "openvino", "nncf", "ai_edge_litert")
@pytest.mark.usefixtures("without")
def test_quickstart_needs_nothing_that_all_leaves_out(tmp_path: Path) -> None:
    def train(*_: Any, **__: Any) -> NoReturn:
        raise Reached

    with pytest.raises(Reached):
        quickstart(tmp_path / "run", epochs=1, train=train)
