"""Every command and option has help and is documented; the command line loads nothing that it does not need."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edge_fm.cli import cli
from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL

PAGES = Path(__file__).parents[3] / "docs/reference/commands"
COMMON = {"as_json", "quiet", "help", "version"}


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from walk(found, f"{name} {child}")


COMMANDS = dict(walk(cli, "edgefm"))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_runs_and_says_what_it_is_for(name: str) -> None:
    command = COMMANDS[name]
    assert command.help and len(command.help) > 20
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0, result.output
    assert "..." not in result.output.partition("Commands:")[2], "a line of the list of commands is cut off"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts}"


def prose(page: Path) -> str:
    """The text of a command's page, without what is generated from the command itself."""
    text = page.read_text("utf-8")
    assert text.startswith(f"# edgefm {page.stem}\n")
    assert f".. command-options:: {page.stem}\n" in text
    return re.sub(r"^```\{eval-rst\}\n.*?^```$", "", text, flags=re.M | re.S)


def test_every_command_has_a_page_and_every_page_a_command() -> None:
    names = [name.split()[1] for name in COMMANDS if len(name.split()) == 2]
    assert {page.stem for page in PAGES.glob("*.md")} == set(names)
    listed = re.findall(r"^commands/(\w+)$", (PAGES.parent / "command-line.md").read_text("utf-8"), re.M)
    assert listed == names


@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "edgefm"])
def test_a_commands_own_page_describes_it_and_its_options(name: str) -> None:
    text = prose(PAGES / f"{name.split()[1]}.md")
    assert f"`{name}" in text
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option) and parameter.name not in COMMON:
            assert re.search(rf"`(?:[^`\n]* )?{parameter.opts[0]}\b", text), (
                f"{name} {parameter.opts[0]} is not documented"
            )


@pytest.mark.parametrize("name", [n for n in COMMANDS if len(n.split()) == 2])
def test_no_page_describes_an_option_that_its_command_lacks(name: str) -> None:
    known = {opt for n, c in COMMANDS.items() if f"{n} ".startswith(f"{name} ") for p in c.params for opt in p.opts}
    text = re.sub(r"^```.*?^```$", "", prose(PAGES / f"{name.split()[1]}.md"), flags=re.M | re.S)
    shown = [
        span for span in re.findall(r"`([^`]+)`", text) if not re.match(r"edgefm (?!" + name.split()[1] + ")", span)
    ]
    used = {option for span in shown for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
    assert used <= known | {"--json", "--quiet", "--help"}


def test_what_every_command_takes_is_on_the_common_page() -> None:
    text = (PAGES.parent / "command-line.md").read_text("utf-8")
    assert all(f"`--{name}`" in text for name in ("json", "quiet", "help"))


@pytest.mark.parametrize("name", [n for n, c in COMMANDS.items() if not isinstance(c, click.Group)])
def test_every_command_takes_json_and_quiet(name: str) -> None:
    options = {opt for p in COMMANDS[name].params for opt in p.opts}
    assert {"--json", "--quiet"} <= options


def test_an_unknown_command_names_the_nearest() -> None:
    result = CliRunner().invoke(cli, ["exprot"])
    assert result.exit_code == 2
    assert "Did you mean 'export'" in result.output


HEAVY = [
    *("tensorflow", "keras", "onnx", "openvino", "sklearn", "matplotlib", "tf2onnx", "nncf", "ai_edge_litert"),
    # Of the extra `sign`: loaded only where a signature is required.
    *("cryptography", "edge_fm_runtime.artifacts.signed", "edge_fm_runtime.signatures"),
]


def loaded_after(code: str) -> list[str]:
    """The modules of a fresh process after `code`, in a subprocess so that this one's imports do not count."""
    script = (
        f"{code}\nimport sys, json\nprint(json.dumps([m for m in {[*HEAVY, 'rich', 'PIL']!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_help_loads_nothing_heavy() -> None:
    code = "from edge_fm.cli import cli\ncli(['--help'], standalone_mode=False)"
    assert loaded_after(code) == []


def test_one_inference_loads_the_runtime_alone(artifact_folder: Path, tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    photo = tmp_path / "photo.png"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(photo)
    arguments = ["infer", str(photo), "--model", str(artifact_folder)]
    assert loaded_after(f"from edge_fm.cli import cli\ncli({arguments!r}, standalone_mode=False)") == ["PIL"]


def test_infer_says_what_it_takes_where_no_model_is_named() -> None:
    text = " ".join(CliRunner().invoke(cli, ["infer", "--help"]).output.split())
    assert "$EDGEFM_MODEL, else the newest export under runs/, else the one in the package" in text
    assert f"--model {DEFAULT_MODEL}" in text


def test_doctor_proposes_a_photo_whatever_optional_package_is_missing() -> None:
    done = CliRunner().invoke(cli, ["doctor"])
    assert [line for line in done.stderr.splitlines() if line.startswith("Next: ")] == ["Next: edgefm infer photo.jpg"]
