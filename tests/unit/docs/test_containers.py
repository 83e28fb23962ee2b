"""The container files: what they copy is there, nothing runs as root, and their commands are commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest
from running_server import needs_server, running

from edge_fm.cli import cli

ROOT = Path(__file__).parents[3]
FILES = ["runtime", "serve"]
PACKAGED = "edgenet-s-onnx-int8"


def instructions(name: str) -> list[tuple[str, str]]:
    text = (ROOT / "containers" / f"{name}.Dockerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def command(name: str, instruction: str) -> list[str]:
    text = [rest for word, rest in instructions(name) if word == instruction][-1]
    found: list[str] = json.loads(text[text.index("[") :])
    return found


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_is_there_and_not_ignored(name: str) -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for word, rest in instructions(name)
        if word == "COPY" and not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    ]
    assert copied and all((ROOT / source).exists() and source in kept for source in copied)
    # What the wheel is built from.
    for needed in ("pyproject.toml", "README.md", "LICENSE", "edge_fm", "export", "runtime", "constraints.txt"):
        assert needed in copied


@pytest.mark.parametrize("name", FILES)
def test_it_runs_without_rights_on_a_slim_base_with_a_health_check(name: str) -> None:
    found = instructions(name)
    words = [word for word, _ in found]
    last = len(words) - 1 - words[::-1].index("FROM")
    assert fnmatch(dict(found)["ARG"] if words[0] != "ARG" else found[0][1], "BASE=*python:3.*-slim*")
    users = [rest for word, rest in found[last:] if word == "USER"]
    assert users and all(re.fullmatch(r"[1-9]\d+:[1-9]\d+", user) for user in users)
    assert "HEALTHCHECK" in words[last:] and "RUN" not in words[last:]


@needs_server
def test_the_server_passes_its_health_check() -> None:
    entry = command("serve", "ENTRYPOINT")
    assert entry[:2] == ["edgefm", "serve"]
    serve = cli.get_command(click.Context(cli), "serve")
    assert serve is not None
    context = serve.make_context("serve", [*entry[2:], *command("serve", "CMD")])
    assert context.params["port"] == 8000 and context.params["host"] == "0.0.0.0"
    check = command("serve", "HEALTHCHECK")
    with running(PACKAGED) as server:
        here = [sys.executable, *(part.replace("127.0.0.1:8000", server.address) for part in check[1:])]
        assert subprocess.run(here, timeout=60, check=False).returncode == 0
    assert subprocess.run(here, timeout=60, capture_output=True, check=False).returncode != 0


def test_the_runtime_verifies_the_model_that_it_takes() -> None:
    assert command("runtime", "ENTRYPOINT") == ["edgefm"]
    entry = command("runtime", "HEALTHCHECK")
    assert entry[0] == "edgefm"
    done = subprocess.run(
        [sys.executable, "-m", "edge_fm", *entry[1:]],
        env={"PATH": "", "HOME": "/proc/nowhere", "EDGEFM_MODEL": PACKAGED, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and b"PASSED" in done.stdout
