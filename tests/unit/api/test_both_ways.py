"""Whatever a command can do, a function of `import edge_fm` can do, and what it returns is what the command prints."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import edge_fm
from edge_fm.cli import cli

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "autotune": (edge_fm.autotune,),
    "benchmark": (edge_fm.benchmark, edge_fm.benchmark_scenarios),
    "crossval": (edge_fm.crossval,),
    "data fetch": (edge_fm.fetch_data,),
    "data info": (edge_fm.describe_data,),
    "data show": (edge_fm.draw_data,),
    "drift": (edge_fm.drift,),
    "doctor": (edge_fm.examine_machine,),
    "evaluate": (edge_fm.evaluate,),
    "experiments": (edge_fm.run_experiments, edge_fm.pair_classes),
    "export": (edge_fm.export, edge_fm.ExportOptions, edge_fm.write_model_repository),
    "infer": (edge_fm.classify, edge_fm.classify_video, edge_fm.classify_to_files),
    "models": (edge_fm.list_models, edge_fm.plot_models),
    "quickstart": (edge_fm.quickstart,),
    "report": (edge_fm.benchmark_report,),
    "search": (edge_fm.search,),
    "serve": (edge_fm.serve, edge_fm.ServeOptions),
    "sign": (edge_fm.sign,),
    "similar": (edge_fm.similar,),
    "sweep": (edge_fm.sweep,),
    "train": (edge_fm.train, edge_fm.TrainOptions),
    "verify": (edge_fm.verify,),
}
"""Command -> what does the same, and takes the same choices."""

CALLED = {
    "plot": "file",
    "pairings_of": "run",
    "preset": "preprocessing",
    "input_scale": "preprocessing",
    "mean": "preprocessing",
    "std": "preprocessing",
    "weights": ("weights", "changes"),
    "password_file": "password",
    "token_file": "token",
    "max_body": "max_body_mib",
    "timeout": "timeout_s",
    "batch_delay": "batch_delay_ms",
    "watch": "watch_s",
    "stop_timeout": "stop_s",
    "name": (),  # there is one dataset to fetch
}
"""A command's parameter -> what functions call it."""

ELSEWHERE = {
    ("benchmark", "strict"): edge_fm.BenchmarkResult.require_valid,
    ("drift", "fail_on_change"): edge_fm.DriftResult,
    ("export", "dry_run"): edge_fm.plan_export,
    ("infer", "as_csv"): edge_fm.Classification.to_json,
    ("infer", "show"): edge_fm.Classifier.canvas,
    ("infer", "heatmap"): edge_fm.Classifier.classify,
    **{
        (name, "require_signature"): edge_fm.required_signature
        for name in ("autotune", "benchmark", "evaluate", "infer", "serve", "similar", "drift")
    },
}
"""What a method or another function is for."""

OUTPUT = {"as_json", "quiet"}


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(words), command
        return
    context = click.Context(command)
    for child in command.list_commands(context):
        found = command.get_command(context, child)
        assert found is not None
        yield from leaves(found, (*words, child))


COMMANDS = dict(leaves(cli))


def test_every_command_has_a_function() -> None:
    assert set(FUNCTIONS) == set(COMMANDS)
    assert all(function.__name__ in edge_fm.__all__ for functions in FUNCTIONS.values() for function in functions)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_can_be_given_in_python(name: str) -> None:
    taken = {parameter for function in FUNCTIONS[name] for parameter in inspect.signature(function).parameters}
    for parameter in COMMANDS[name].params:
        assert parameter.name is not None
        if parameter.name in OUTPUT or (name, parameter.name) in ELSEWHERE:
            continue
        called = CALLED.get(parameter.name, parameter.name)
        names = (
            {called, parameter.name} if isinstance(called, str) else {*called, *([parameter.name] if called else [])}
        )
        assert not called or names & taken, f"{name} {parameter.opts}"


EMPTY = inspect.Parameter.empty

OTHER_DEFAULTS = {
    ("benchmark", "batches"): (1,),
    ("benchmark", "scenarios"): ("single-stream", "multi-stream", "server", "offline"),  # the command runs none unasked
}
"""Where the function's default stands in a value, and the command's is filled in later."""


def default_of(parameter: click.Parameter) -> Any:
    """The value that a command gets where the parameter is not given; None for an empty one and a flag that is off."""
    given = parameter.to_info_dict()["default"]
    return given if given.__class__.__name__ != "Sentinel" and given not in (False, (), "") else None


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("data fetch", "doctor")])
def test_defaults_are_the_same(name: str) -> None:
    known: dict[str, Any] = {}
    for function in FUNCTIONS[name]:
        for parameter in inspect.signature(function).parameters.values():
            known[parameter.name] = parameter.default
    compared = []
    for parameter in COMMANDS[name].params:
        called = CALLED.get(str(parameter.name), parameter.name)
        if not isinstance(called, str) or known.get(called, EMPTY) is EMPTY:
            continue
        default = known[called]
        if default in (False, ()) or "factory" in repr(default):
            default = None
        expected = OTHER_DEFAULTS.get((name, str(parameter.name)), default_of(parameter))
        assert expected == default, f"{name} {parameter.opts}"
        compared.append(called)
    assert compared or name == "models"  # its one function with a choice cannot be called without it


EDGENET = "edgenet-s-onnx-int8"
"""An artifact of the package, of 28x28 grey images."""

SAME: dict[str, tuple[list[str], Callable[[Path], Any]]] = {
    "data info": (["data", "info", "fashion-mnist-mini"], lambda _: edge_fm.describe_data("fashion-mnist-mini")),
    "data show": (
        ["data", "show", "fashion-mnist-mini", "--per-class", "2", "--out", "sheet.png"],
        lambda folder: edge_fm.draw_data("fashion-mnist-mini", per_class=2, out=Path("sheet.png")),
    ),
    "doctor": (["doctor"], lambda _: edge_fm.examine_machine()),
    "experiments": (["experiments"], lambda _: edge_fm.run_experiments()),
    "export": (
        ["export", EDGENET.removesuffix("-onnx-int8"), "--format", "all", "--precision", "all", "--dry-run"],
        lambda _: edge_fm.plan_export(EDGENET.removesuffix("-onnx-int8"), "all", "all"),
    ),
    "models": (["models"], lambda _: edge_fm.list_models()),
    "verify": (["verify", EDGENET], lambda _: edge_fm.verify(EDGENET)),
}


@pytest.mark.parametrize("name", SAME)
def test_a_result_is_what_the_command_prints(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, call = SAME[name]
    done = CliRunner().invoke(cli, [*arguments, "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    capfd.readouterr()
    result = call(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert json.loads(json.dumps(result.to_json())) == json.loads(done.stdout)


def test_an_evaluation_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["evaluate", EDGENET, "--data", "fashion-mnist-mini", "--json", "--quiet"])
    printed, result = json.loads(done.stdout), edge_fm.evaluate(EDGENET, data="fashion-mnist-mini").to_json()
    for timed in (printed, result):
        del timed["inference"]["ms_per_image"], timed["inference"]["images_per_s"]
    assert json.loads(json.dumps(result)) == printed


def test_photos_are_classified_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_fm.data import load_dataset, sample_photo

    monkeypatch.chdir(tmp_path)
    dataset = load_dataset("fashion-mnist-mini")
    boot = int((dataset.test.labels == dataset.label_names.index("Ankle boot")).argmax())
    sample_photo(dataset.test.images[boot], Path("boot.jpg"))
    Path("broken.jpg").write_bytes(b"none")
    done = CliRunner().invoke(cli, ["infer", "boot.jpg", "broken.jpg", "--model", EDGENET, "--json", "--quiet"])
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    found = [one.to_json() for one in edge_fm.classify(["boot.jpg", "broken.jpg"], EDGENET)]
    for row in (*printed, *found):
        row["decode_ms"] = row["infer_ms"] = None
    assert found == printed and found[0]["label"] == "Ankle boot" and found[1]["error"]


@pytest.mark.needs("tensorflow", "tf2onnx")
def test_folders_and_files_may_be_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked is what the options hold: text names a file, it is no sequence of letters."""
    monkeypatch.chdir(tmp_path)
    assert edge_fm.draw_data("fashion-mnist-mini", per_class=1, out="here/sheet.png").path == Path("here/sheet.png")
    with pytest.raises(edge_fm.EdgeFMError, match="missing-labels"):
        edge_fm.export("edgenet-s", out="out", options=edge_fm.ExportOptions(labels="missing-labels.txt"))
    with pytest.raises(edge_fm.EdgeFMError, match="no run to resume in nowhere"):
        edge_fm.train(out="nowhere", resume=True)
