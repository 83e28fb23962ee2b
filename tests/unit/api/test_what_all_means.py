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
from edge_fm_runtime.errors import ExportError


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


FLOATS = [
    (ExportOptions(keep_float=["conv1"]), {"tflm int8"}),
    (ExportOptions(accuracy_control=True), {"tflm int8", "litert int8"}),
    (ExportOptions(outputs=["embedding"]), {"tflm int8"}),
    (ExportOptions(static_batch=4), {"tflm int8"}),
    (ExportOptions(static_batch=1), set()),
]


@pytest.mark.needs("tflite_micro", "ai_edge_litert")
@pytest.mark.parametrize(("options", "left_out"), FLOATS)
def test_all_leaves_out_what_cannot_be_with_these_options(options: ExportOptions, left_out: set[str]) -> None:
    said: list[str] = []
    targets, _ = requested_targets("all", "int8", options, said.append)
    assert {str(target) for target in requested_targets("all", "int8", ExportOptions(), said.append)[0]} - left_out == {
        str(target) for target in targets
    }
    for name in left_out:
        assert any(text.startswith(f"Note: {name} is left out: ") for text in said)


@pytest.mark.needs("tflite_micro", "ai_edge_litert")
def test_a_board_is_not_left_out_in_silence() -> None:
    options = ExportOptions(board="nano-33-ble", keep_float=["conv1"])
    with pytest.raises(ExportError, match="microcontrollers cannot leave layers in float") as caught:
        requested_targets("all", "int8", options, print)
    assert caught.value.hint is not None and "Leave out --keep-float" in caught.value.hint


@pytest.mark.usefixtures("without")
@pytest.mark.parametrize(("formats", "precisions"), [("all", "w8a16"), ("all,web", "fp32")])
def test_nothing_is_said_of_pages_that_were_not_left_out(formats: str, precisions: str) -> None:
    said: list[str] = []
    requested_targets(formats, precisions, ExportOptions(), said.append)
    assert not [text for text in said if "web" in text]


PLANNED = ["export", "net.keras", "--dry-run", "--format"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["litert", "--precision", "w8a16", "--keep-float", "a"], "ai-edge-quantizer cannot leave layers in float"),
        (["litert", "--precision", "int8", "--accuracy-control"], "LiteRT's int8 has no accuracy control"),
        (["tflm", "--keep-float", "a", "--accuracy-control"], "Leave out --accuracy-control and --keep-float here"),
        (["tflm", "--static-batch", "4"], "Batches of 4 were requested"),
        (["tflm", "--outputs", "cam"], "returns its probabilities alone"),
        (["litert", "--layout", "triton"], "Triton Inference Server does not run litert"),
    ],
)
def test_a_plan_refuses_what_the_export_would(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(cli, [*PLANNED, *arguments])
    assert done.exit_code in (1, 2) and message in done.stderr and not done.stdout


def test_a_plan_of_an_artifact_refuses_options_that_would_change_its_graph() -> None:
    options = ["export", "edgenet-s-onnx-int8", "--format", "web", "--precision", "int8", "--dry-run"]
    assert CliRunner().invoke(cli, options).exit_code == 0
    done = CliRunner().invoke(cli, [*options, "--keep-float", "a"])
    assert done.exit_code == 1 and "--keep-float cannot change it" in done.stderr


def test_a_plan_says_what_of_several_will_not_be_built() -> None:
    done = CliRunner().invoke(cli, [*PLANNED, "litert,onnx", "--precision", "int8", "--accuracy-control"])
    assert done.exit_code == 0 and "litert int8 will not be built: LiteRT's int8" in done.stderr
    assert "net-onnx-int8" in done.stdout and "net-litert-int8" not in done.stdout


@pytest.mark.needs("tensorflow", "tf2onnx", "openvino", "nncf", "ai_edge_litert")
@pytest.mark.usefixtures("without")
def test_quickstart_needs_nothing_that_all_leaves_out(tmp_path: Path) -> None:
    def train(*_: Any, **__: Any) -> NoReturn:
        raise Reached

    with pytest.raises(Reached):
        quickstart(tmp_path / "run", epochs=1, train=train)
