"""Internals of another package are used with the versions that they were tested with, and pip installs those."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from edge_fm_export.compat import keras_internals, tensorflow_graphs, tensorflow_setup, tf2onnx_patches
from edge_fm_export.compat.versions import SupportedVersions
from edge_fm_runtime.errors import MissingDependencyError

ROOT = Path(__file__).parents[4]
MODULES = (keras_internals, tensorflow_graphs, tf2onnx_patches)
KERAS = SupportedVersions("keras", "3.12", "3.16")


@pytest.mark.parametrize(
    ("version", "included"),
    [("3.11.9", False), ("3.12", True), ("3.15.1", True), ("3.16.0rc1", False), ("4.0.0", False), ("2.15.0", False)],
)
def test_versions_are_included_up_to_the_upper_bound(version: str, included: bool) -> None:
    assert KERAS.include(version) == included


def test_another_version_is_an_error_that_says_which_to_install() -> None:
    with pytest.raises(MissingDependencyError, match=r"keras 3\.16\.0 is installed.* from 3\.12 up to") as caught:
        KERAS.require(SimpleNamespace(__version__="3.16.0"))
    assert caught.value.hint == "pip install 'keras>=3.12,<3.16'"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.VERSIONS.package)
def test_pyproject_has_the_same_bounds(module: ModuleType) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    package = module.VERSIONS.package
    found = {line for lines in extras.values() for line in lines if line.startswith((f"{package}>", f"{package}<"))}
    assert found == {module.VERSIONS.requirement}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.VERSIONS.package)
def test_the_installed_version_is_supported(module: ModuleType) -> None:
    module.VERSIONS.require(import_module(module.VERSIONS.package))


@pytest.mark.parametrize("package", ["keras", "tensorflow"])
def test_an_export_begins_with_the_check(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module(package), "__version__", "99.0")
    with pytest.raises(MissingDependencyError, match=rf"{package} 99\.0 is installed"):
        tensorflow_setup.require_tensorflow("the tests")
