"""`import edge_fm` offers the whole API by name, and loads nothing until a name is used."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import edge_fm

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", edge_fm.__all__)
def test_every_public_name_is_there_and_says_what_it_is_for(name: str) -> None:
    value = getattr(edge_fm, name)
    assert value is not None
    assert name in dir(edge_fm)
    if name != "__version__":
        assert value.__doc__ and value is getattr(import_module(value.__module__), name)


def test_the_public_names_are_those_that_have_a_home_and_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(edge_fm.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == edge_fm._HOMES
    assert edge_fm.__all__ == sorted({*edge_fm._HOMES, "__version__"})
    assert (Path(edge_fm.__file__).parent / "py.typed").is_file()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'exprot'"):
        _ = edge_fm.exprot


def test_importing_loads_nothing_but_the_package_itself() -> None:
    code = "import json, sys; known = set(sys.modules); import edge_fm; print(json.dumps([*{*sys.modules} - known]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in json.loads(done.stdout) if name.startswith("edge_fm")}
    assert loaded == {"edge_fm", "edge_fm_runtime", "edge_fm_runtime.system", "edge_fm_runtime.system.usage_reports"}
    assert not {"numpy", "click", "rich", "PIL"} & set(json.loads(done.stdout))


def test_the_api_knows_neither_click_nor_rich_and_prints_nothing() -> None:
    files = sorted((ROOT / "edge_fm/api").rglob("*.py"))
    assert len(files) > 20
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                aliases = [alias.name for alias in node.names]
                for module in [node.module or ""] if isinstance(node, ast.ImportFrom) else aliases:
                    assert module.split(".")[0] not in ("click", "rich"), file
                    assert not module.startswith("edge_fm.cli"), file
            assert not (isinstance(node, ast.Name) and node.id == "print"), file
