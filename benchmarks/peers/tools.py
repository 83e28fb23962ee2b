"""Peers that are commands: start one, read its report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 120


class ToolError(Exception):
    """A peer's command failed, or its report is not what we know."""


@dataclass(frozen=True)
class Report:
    """What a tool said of one run; what it does not say is None.

    Attributes:
        p50_ms: median latency of a call.
        mean_ms: mean latency of a call.
        images_per_second: throughput.
        threads: compute threads, if the tool tells.
    """

    p50_ms: float | None = None
    mean_ms: float | None = None
    images_per_second: float | None = None
    threads: int | None = None


def script(name: str) -> str:
    """The path of a console script of this Python's environment."""
    return str(Path(sys.executable).with_name(name))


def run_tool(command: Sequence[str]) -> str:
    """Run a command and return what it printed, both streams.

    Raises:
        ToolError: it is not installed, fails, or takes too long.
    """
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{Path(command[0]).name} took longer than {TIMEOUT_S} s") from error
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise ToolError(f"{Path(command[0]).name} ended with {done.returncode}: {last}")
    return done.stdout


def find(pattern: str, text: str, tool: str) -> re.Match[str]:
    """The one place in a report where `pattern` matches.

    Raises:
        ToolError: there is none: the tool's report has changed.
    """
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ToolError(f"{tool}'s report has no line like {pattern!r}")
    return found
