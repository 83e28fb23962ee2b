"""Versions of installed packages."""

from __future__ import annotations

from collections.abc import Iterable


def package_version(name: str) -> str | None:
    """Version of an installed distribution; None where it is not installed, or without metadata."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Name -> version of those distributions that are installed."""
    return {name: version for name in names if (version := package_version(name)) is not None}
