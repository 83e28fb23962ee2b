"""Modules and folders stay small enough to be read at once, those of the tests and benchmarks too."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from markdown_blocks import ROOT

FOLDERS = ("edge_fm", "export/edge_fm_export", "runtime/edge_fm_runtime", "benchmarks", "tests", "tools")
MODULES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))

LONGEST = 300
"""Lines of a module."""

MOST = 15
"""Modules of a folder, without `__init__.py`."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_no_module_is_longer_than_300_lines() -> None:
    lines = {name(module): len(module.read_text("utf-8").splitlines()) for module in MODULES}
    assert not {module: count for module, count in lines.items() if count > LONGEST}, "divide it by subject"


def test_no_folder_holds_more_than_15_modules() -> None:
    modules = Counter(name(module.parent) for module in MODULES if module.name != "__init__.py")
    assert not {folder: count for folder, count in modules.items() if count > MOST}, "divide it by subject"
