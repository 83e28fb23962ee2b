"""Third-party models, data sets and photos as users bring them: right, or refused with words that help."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import field
import pytest
from field.case import Case, ModelCase

pytestmark = pytest.mark.filterwarnings(
    # h5py writes legacy files through a NumPy call that NumPy has deprecated.
    "ignore::DeprecationWarning:h5py"
)

_MODULES = [importlib.import_module(module.name) for module in pkgutil.walk_packages(field.__path__, "field.")]
CASES: tuple[Case, ...] = tuple(case for module in _MODULES for case in getattr(module, "CASES", ()))


def _marks(case: Case) -> tuple[pytest.MarkDecorator, ...]:
    """A model is exported, which takes seconds."""
    return (pytest.mark.slow,) if isinstance(case, ModelCase) else ()


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name, marks=_marks(case)) for case in CASES])
def test_field_case(case: Case, tmp_path: Path) -> None:
    case.check(tmp_path)


def test_every_module_of_cases_is_collected() -> None:
    without = {
        module.__name__ for module in _MODULES if not hasattr(module, "__path__") and not getattr(module, "CASES", ())
    }
    assert without == {"field.bare", "field.case", "field.keras2_writer", "field.makers", "field.written_sets"}


def test_names_tell_cases_apart() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
