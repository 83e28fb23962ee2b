"""Whether the packages that an export needs are installed, without importing them."""

from __future__ import annotations

from importlib.util import find_spec

from edge_fm_runtime.errors import MissingDependencyError


def missing_packages(packages: tuple[str, ...]) -> tuple[str, ...]:
    """Those of `packages` (import names) that are not installed, without importing any."""
    return tuple(p for p in packages if find_spec(p) is None)


def require_package(package: str, purpose: str) -> None:
    """Raise unless `package` (its import name) is installed.

    Raises:
        MissingDependencyError: it is not.
    """
    if missing_packages((package,)):
        raise MissingDependencyError.for_extra(package, "export", purpose)
