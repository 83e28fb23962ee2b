"""Every name that a script, benchmark or test imports from the packages is there, imports in functions included."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest
from markdown_blocks import ROOT

SOURCES = {"edge_fm": ROOT, "edge_fm_export": ROOT / "export", "edge_fm_runtime": ROOT / "runtime", "benchmarks": ROOT}
FOLDERS = [name for name in ("benchmarks", "docs", "tests", "tools") if (ROOT / name).is_dir()]


def file_of(module: str) -> Path | None:
    path = SOURCES[module.partition(".")[0]].joinpath(*module.split("."))
    found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    return found[0] if found else None


@cache
def names_of(file: Path) -> frozenset[str]:
    """The names that a module defines or imports, wherever in it, so that those behind a condition count."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
    return frozenset(names)


def missing(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or node.level or str(node.module).partition(".")[0] not in SOURCES:
            continue
        module = file_of(str(node.module))
        for alias in node.names:
            there = module is not None and alias.name in names_of(module)
            if not there and file_of(f"{node.module}.{alias.name}") is None:
                found.append(f"{node.module}.{alias.name}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_imported_name_is_there(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert not {str(file.relative_to(ROOT)): names for file in files if (names := missing(file))}
