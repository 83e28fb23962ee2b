"""Versions of installed packages."""

from __future__ import annotations

from importlib import metadata


def installed_version(distribution: str) -> str | None:
    """The version of a distribution such as "openvino"; None where it is not installed, or without its metadata."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
