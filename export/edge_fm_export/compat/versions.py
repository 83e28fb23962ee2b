"""The versions of another package whose internals EdgeFM was tested with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from edge_fm_runtime.errors import MissingDependencyError


@dataclass(frozen=True)
class SupportedVersions:
    """Versions from `first` up to `below`, which is not included; pyproject.toml has the same bounds.

    Attributes:
        package: name to import and to install.
        first: oldest version, such as "3.12".
        below: oldest version that is too new.
    """

    package: str
    first: str
    below: str

    @property
    def requirement(self) -> str:
        """What pip is given, such as "keras>=3.12,<3.16"."""
        return f"{self.package}>={self.first},<{self.below}"

    def include(self, version: str) -> bool:
        """Whether `version` is one of them.

        Example:
            >>> SupportedVersions("keras", "3.12", "3.16").include("3.16.0rc1")
            False
        """
        return _numbers(self.first) <= _numbers(version) < _numbers(self.below)

    def require(self, module: Any) -> None:
        """Raise unless the imported `module` has one of these versions.

        Raises:
            MissingDependencyError: another version is installed.
        """
        if not self.include(module.__version__):
            raise MissingDependencyError(
                f"{self.package} {module.__version__} is installed; EdgeFM uses internals of {self.package} that it "
                f"was tested with from {self.first} up to, but not including, {self.below}.",
                hint=f"pip install '{self.requirement}'",
            )


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor number of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
