"""Private interfaces of other packages are used, and other packages changed, in the `compat` packages alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OWN = ("edge_fm", "edge_fm_export", "edge_fm_runtime")
PACKAGES = (ROOT / "edge_fm", ROOT / "export" / "edge_fm_export", ROOT / "runtime" / "edge_fm_runtime")
PRIVATE_MODULES = ("keras.src", "tensorflow.python", "tensorflow.core", "onnxruntime.capi", "tf2onnx.graph")
"""Modules without a leading underscore that their packages do not document as public."""
DOCUMENTED = ("os._exit", "sys._MEIPASS")
"""Names with a leading underscore that their documentation describes."""
HOOKS = (
    "os.environ",
    "sys.modules",
    "sys.stdin",
    "sys.stdout",
    "sys.stderr",
    "sys.unraisablehook",
    "warnings.showwarning",
)
"""What Python's documentation invites programs to change."""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__")) and name != "_"


def _is_private_module(module: str) -> bool:
    inside = any(module == private or module.startswith(f"{private}.") for private in PRIVATE_MODULES)
    return inside or any(_is_private(part) for part in module.split("."))


def _dotted(node: ast.AST) -> str | None:
    """`a.b.c` for a chain of attributes that starts with a name."""
    if isinstance(node, ast.Name):
        return node.id
    start = _dotted(node.value) if isinstance(node, ast.Attribute) else None
    return f"{start}.{node.attr}" if start is not None and isinstance(node, ast.Attribute) else None


def _imported(tree: ast.AST) -> dict[str, str]:
    """Local names -> the full names in other packages that they stand for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {
                a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                for a in node.names
            }
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    found = {local: full for local, full in found.items() if full.partition(".")[0] not in (*OWN, "__future__")}
    for node in ast.walk(tree):  # `keras = require_keras(...)`, `tf, keras = ...`, and `Node = graph.Node`
        if isinstance(node, ast.Assign):
            for target in node.targets:
                full = _full_name(node.value, found)
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                if isinstance(node.value, ast.Call) and (_dotted(node.value.func) or "").startswith("require_"):
                    found |= {n.id: n.id for n in names if isinstance(n, ast.Name) and n.id != "_"}
                elif full is not None and isinstance(target, ast.Name):
                    found[target.id] = full
    return found


def _full_name(node: ast.AST, imported: dict[str, str]) -> str | None:
    first, _, rest = (_dotted(node) or "").partition(".")
    return None if first not in imported else imported[first] + (f".{rest}" if rest else "")


def _own_attributes(tree: ast.AST) -> set[str]:
    """The private attributes of a module's own classes and their own bases: methods, fields, what is set on `self`."""
    found = {"_replace", "_asdict", "_fields", "_make"}  # documented, of named tuples
    bases = {_dotted(base) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for base in node.bases}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OWN:
            if any((alias.asname or alias.name) in bases for alias in node.names):
                found |= _own_attributes(ast.parse(_source(node.module)))
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                found |= {member.name} if isinstance(member, ast.FunctionDef) else set()
                found |= {t.id for t in _targets(member) if isinstance(t, ast.Name)}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _dotted(node.value) == "self":
            found.add(node.attr)
    return found


def _source(module: str) -> str:
    """The text of a module of ours."""
    package, *rest = module.split(".")
    path = PACKAGES[OWN.index(package)].joinpath(*rest)
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    if isinstance(node, ast.AugAssign | ast.AnnAssign):
        return [node.target]
    return node.targets if isinstance(node, ast.Delete) else []


def faults(source: str) -> list[str]:
    """Lines of `source` that use a private name of another package, or change another package: "LINE: what"."""
    tree = ast.parse(source)
    imported, own = _imported(tree), _own_attributes(tree)

    def found() -> Iterator[tuple[int, str]]:
        for node in ast.walk(tree):
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.Import):
                yield from ((line, f"import {a.name}") for a in node.names if _is_private_module(a.name))
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                if node.module.partition(".")[0] in OWN or node.module == "__future__":
                    continue
                for alias in node.names:
                    if _is_private_module(f"{node.module}.{alias.name}"):
                        yield line, f"from {node.module} import {alias.name}"
            elif isinstance(node, ast.Attribute):
                full = _full_name(node, imported)
                if _is_private(node.attr) and node.attr not in own and full not in DOCUMENTED:
                    yield line, full or f"....{node.attr}"
                elif full is not None and any(full == private for private in PRIVATE_MODULES):
                    yield line, full
            elif isinstance(node, ast.Call):
                yield from ((line, text) for text in _called(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isprintable():
                first = node.value.partition(".")[0]
                if any(node.value.startswith(f"{p}.") or node.value == p for p in PRIVATE_MODULES) and first not in OWN:
                    yield line, repr(node.value)
            for target in _targets(node):
                for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                    held = part.value if isinstance(part, ast.Attribute | ast.Subscript) else None
                    while isinstance(held, ast.Subscript):
                        held = held.value
                    full = None if held is None else _full_name(held, imported)
                    hook = full if isinstance(part, ast.Subscript) else f"{full}.{getattr(part, 'attr', '')}"
                    if full is not None and hook not in HOOKS:
                        yield line, f"changes {hook}"

    def _called(node: ast.Call) -> Iterator[str]:
        called = _dotted(node.func) or ""
        if called in ("getattr", "hasattr", "setattr", "delattr") and len(node.args) > 1:
            name = node.args[1]
            if isinstance(name, ast.Constant) and _is_private(str(name.value)) and str(name.value) not in own:
                yield f"{called}(..., {name.value!r})"
            full = _full_name(node.args[0], imported)
            if called in ("setattr", "delattr") and full is not None:
                yield f"changes {full}"
        if called.rpartition(".")[2] == "patch" or called.startswith("mock."):
            yield called

    return [f"{line}: {text}" for line, text in sorted(set(found()))]


def _modules() -> list[Path]:
    return sorted(file for package in PACKAGES for file in package.rglob("*.py") if "compat" not in file.parts)


def test_private_interfaces_of_other_packages_are_used_in_compat_alone() -> None:
    found = [f"{file.relative_to(ROOT)}:{fault}" for file in _modules() for fault in faults(file.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    [
        "from keras.src.models.functional import Functional",
        "from keras.src import ops",
        "import tensorflow.python.framework",
        "from tensorflow.core.protobuf import saved_model_pb2",
        "from PIL import _util",
        "from PIL._util import is_path",
        "import keras\nkeras.src.models",
        "def f(model):\n    return model._flatten_layers()",
        "def f(graph):\n    return graph._functions\ndef _functions():\n    pass",
        "def f(model):\n    return hasattr(model, '_flatten_layers')",
        "def f(study):\n    study.deeper._storage.get()",
        "import importlib\nimportlib.import_module('keras.src.models')",
        "import tf2onnx\ntf2onnx.utils.make_name = print",
        "from tf2onnx.tfonnx import Node\nNode.update_proto = print",
        "import tf2onnx\nN = tf2onnx.tfonnx.Node\nsetattr(N, 'update_proto', print)",
        "import optuna\ndel optuna.logging.x",
        "import onnx\nonnx.TABLE['x'] = 1",
        "def f():\n    tf, keras = require_tensorflow('x')\n    keras.layers.Dense.call = print",
        "from unittest import mock\nmock.patch('x.y')",
    ],
)
def test_the_check_finds(source: str) -> None:
    assert len(faults(source)) == 1, faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def __init__(self):\n        self._x = 1\n    def same(self, other):\n        return other._x",
        "import os\nos._exit(1)\nos.environ['A'] = '1'",
        "import sys\nsys.modules['a'] = 1\nprint(sys.__stdout__)",
        "from edge_fm_export._x import _y\n_y()",
        "import keras\nmodel = keras.Model()\nmodel.name = 'x'",
        "'Keras keeps it in `keras.src`, which is private.'",
    ],
)
def test_the_check_accepts(source: str) -> None:
    assert faults(source) == []


def test_keras_is_imported_without_writing_to_the_users_home() -> None:
    """A bare `import keras` writes `~/.keras/keras.json`; `import_keras` and `require_tensorflow` do not."""
    doors = {"tensorflow_setup.py", "keras_internals.py"}
    found = []
    for path in (path for package in PACKAGES for path in package.rglob("*.py") if path.name not in doors):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typed = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
        ignored = {id(inner) for node in typed for inner in ast.walk(node)}
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if id(node) not in ignored and any(module.split(".")[0] == "keras" for module in modules):
                found.append(f"{path.name}:{node.lineno}")
    assert found == []
