"""Each command of benchmarks/ that the documentation names is one that exists and that takes these arguments."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from markdown_blocks import ROOT, markdown_files

pytest.importorskip("benchmarks", reason="benchmarks/ is in the repository alone")
COMMAND = re.compile(r"python (?:-m benchmarks\.|benchmarks/)[^`#\n]*")
SCRIPTS = sorted(path for path in (ROOT / "benchmarks").glob("*/*.py") if "\n    python " in path.read_text("utf-8"))


def documented() -> list[str]:
    """The commands in blocks and between backticks."""
    text = "\n".join(file.read_text("utf-8") for file in markdown_files())
    return sorted({match[0].strip() for match in COMMAND.finditer(text)})


class Parsed(Exception):
    """The arguments were taken."""


@pytest.mark.parametrize("command", documented())
def test_a_documented_benchmark_takes_its_arguments(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(command.replace("...", ""))[1:]
    module = words[1] if words[0] == "-m" else words[0].removesuffix(".py").replace("/", ".")
    parse = argparse.ArgumentParser.parse_args

    def stop_after(parser: argparse.ArgumentParser, *given: Any) -> None:
        parse(parser, *given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop_after)
    monkeypatch.setattr(sys, "argv", [module, *words[2 if words[0] == "-m" else 1 :]])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(Parsed):
        runpy.run_module(module, run_name="__main__")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_names_itself_by_its_place(script: Path) -> None:
    place = script.relative_to(ROOT).as_posix()
    names = re.findall(r"^    python (?:-m )?(\S+)", script.read_text("utf-8"), re.MULTILINE)
    assert set(names) <= {place, place.removesuffix(".py").removesuffix("/__main__").replace("/", ".")}
