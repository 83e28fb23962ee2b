"""Names and labels that people give, as C++ source text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_fm_export.tflm.c_text import array_lines, comment, float_literal, identifier, list_lines, string_literal

AWKWARD = [
    "T-shirt/top",
    'a "quoted" one',
    "back\\slash",
    "new\nline",
    "??/ trigraph",
    "Été, long",
    "模型",
    "7up",
    "%s",
    "\x7f1",
]


@pytest.mark.parametrize(
    "name", ["edgenet-n", "7-class net (v2)", "int", "模型", "", "a" * 300, "../x y\n", "__x__", "Été"]
)
def test_any_name_becomes_an_identifier(name: str) -> None:
    made = identifier(name)
    # Double underscores are reserved in C++.
    assert re.fullmatch(r"edgefm(_[0-9A-Za-z]+)+", made) and len(made) <= 64


def test_comments_stay_on_their_line() -> None:
    assert comment("a\nb */ \\") == "a?b */ ?"


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_compiler_reads_what_was_written(tmp_path: Path) -> None:
    floats = [1 / 255, 1.0, 3.0757405e-05, 2.0**-126, 1e20]
    source = f"""
#include <cstdio>
const char* const labels[] = {{
{chr(10).join(list_lines([string_literal(label) for label in AWKWARD]))}
}};
const float floats[] = {{ {", ".join(map(float_literal, floats))} }};
const unsigned char bytes[] = {{
{chr(10).join(array_lines(bytes(range(40)), hexadecimal=True))}
}};
int main() {{
  for (const char* label : labels) {{ std::fputs(label, stdout); std::fputc(0, stdout); }}
  std::fwrite(floats, sizeof floats, 1, stdout);
  std::fwrite(bytes, sizeof bytes, 1, stdout);
}}
"""
    (tmp_path / "text.cc").write_text(source, encoding="ascii")
    command = ["g++", "-std=c++17", "-trigraphs", "-Wall", "-Werror", "text.cc", "-o", "text"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    printed = subprocess.run([tmp_path / "text"], capture_output=True, check=True, timeout=60).stdout
    labels = b"".join(label.encode() + b"\0" for label in AWKWARD)
    assert printed == labels + np.array(floats, np.float32).tobytes() + bytes(range(40))
