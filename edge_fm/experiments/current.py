"""What decides a result beside its recipe, as this version has it: the network that is built and the data.

A listing takes no time, without Keras and without data: `current.json` holds both for every experiment, and hashes of
the code that they were found with. Where that code has been changed since, networks and data are looked at anew.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.experiments.results import Result
from edge_fm.training import Recipe
from edge_fm_runtime.errors import DataError, DownloadError

if TYPE_CHECKING:
    from edge_fm.data import Dataset

FILE = Path(__file__).parent / "current.json"

_MODEL_CODE = (
    *(
        f"edge_fm.models.architectures.{name}"
        for name in ("backbones", "cnn", "convnet5", "lenet", "parts", "resnet18", "transfer")
    ),
    "edge_fm_export.third_party_models.pixel_scaling",
)
_DATA_CODE = tuple(f"edge_fm.data.{name}" for name in ("fashion_mnist", "readers.idx", "prepare", "splits", "dataset"))


@dataclass(frozen=True)
class Current:
    """What an experiment would be run with now.

    Attributes:
        structure: hash of its network, or None where that is unknown: the code has changed, and Keras is missing.
        params: weights of the network; None likewise.
        data: hash of its data, or None where that is unknown: the code has changed, and the data is not here.
    """

    structure: str | None
    params: int | None
    data: str | None


def why_changed(result: Result, now: Current) -> str | None:
    """What has changed since a result was stored: "model" or "data"; None where nothing has.

    A result of an earlier version has no hash of its network; its number of weights is compared.
    """
    if result.structure is not None and now.structure is not None:
        if result.structure != now.structure:
            return "model"
    elif now.params is not None and result.params != now.params:
        return "model"
    return "data" if now.data is not None and result.data["hash"] != now.data else None


def current_of(name: str, recipe: Recipe) -> Current:
    """What an experiment would be run with now.

    Args:
        name: of the experiment.
        recipe: its own.
    """
    recorded = _recorded()
    known: Mapping[str, Any] = recorded["experiments"].get(name, {})
    structure, params, data = known.get("structure"), known.get("params"), known.get("data")
    if structure is None or recorded["code"]["models"] != _code_hash(_MODEL_CODE):
        structure, params = _network(recipe)
    if data is None or recorded["code"]["data"] != _code_hash(_DATA_CODE):
        data = _data(recipe)
    return Current(structure, params, data)


def record(experiments: Mapping[str, Recipe]) -> dict[str, Any]:
    """What `current.json` should hold; needs Keras and Fashion-MNIST.

    Args:
        experiments: name -> recipe, of every experiment.
    """
    return {
        "code": {"models": _code_hash(_MODEL_CODE), "data": _code_hash(_DATA_CODE)},
        "experiments": {
            name: dict(zip(("structure", "params", "data"), (*_network(recipe), _data(recipe)), strict=True))
            for name, recipe in experiments.items()
        },
    }


@functools.cache
def _recorded() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return recorded


@functools.cache
def _code_hash(modules: tuple[str, ...]) -> str:
    """SHA-256 (hex) of what the modules do: comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for module in modules:
        package, _, name = module.rpartition(".")
        tree = ast.parse(resources.files(package).joinpath(f"{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(body := getattr(node, "body", None), list):
                node.body = [each for each in body if not _is_text(each)] or [ast.Pass()]  # type: ignore[attr-defined]
        digest.update(ast.unparse(tree).encode() + b"\0")
    return digest.hexdigest()


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _network(recipe: Recipe) -> tuple[str | None, int | None]:
    """Hash of a recipe's network and how many weights it has; None without Keras."""
    if find_spec("keras") is None:
        return None, None
    classes = len(set(recipe.data.relabel.values())) or 10
    return _built(recipe.model.name, json.dumps(dict(recipe.model.options)), classes)


@functools.cache
def _built(name: str, options: str, classes: int) -> tuple[str, int]:
    from edge_fm.experiments.structure import structure_hash
    from edge_fm.models import build_model

    model = build_model(name, input_shape=(28, 28, 1), classes=classes, **json.loads(options))
    return structure_hash(model), model.count_params()


def _data(recipe: Recipe) -> str | None:
    """Hash of a recipe's data; None where Fashion-MNIST is not on this machine."""
    from edge_fm.data import prepare

    whole = _fashion_mnist()
    return None if whole is None else prepare(whole, recipe.data.preparation).content_hash


@functools.cache
def _fashion_mnist() -> Dataset | None:
    """The whole of it, if it is on this machine: nothing is fetched for a listing."""
    from edge_fm.data import fashion_mnist

    try:
        return fashion_mnist.load(sources=())
    except (DataError, DownloadError):
        return None
