"""The version of Keras that wrote a file, read from the file."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from edge_fm_runtime.system.json_text import parse_json

_METADATA = "metadata.json"
_MAX_METADATA_BYTES = 1 << 20
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises on an archive that is damaged, encrypted or compressed in a way that Python cannot read."""


@dataclass(frozen=True)
class KerasVersion:
    """The version of Keras that wrote a file.

    Attributes:
        text: as it stands in the file, such as "2.15.0"; empty where there is none.
        before_versions: whether only files older than Keras 2 have none in this format.
    """

    text: str
    before_versions: bool = False

    @property
    def major(self) -> int | None:
        """The first number; None where the file has no version."""
        first = self.text.partition(".")[0]
        return int(first) if first.isdigit() and len(first) < 6 else None

    @property
    def is_keras2(self) -> bool:
        """Whether Keras 2, tf_keras, or an older one wrote the file."""
        return self.before_versions if self.major is None else self.major < 3

    @property
    def is_tf_keras(self) -> bool:
        """Whether tf_keras wrote the file: it took over the numbers of Keras 2 with 2.16."""
        return (2, 16) <= _release(self.text) < (3,)

    def is_newer_than(self, other: str) -> bool:
        """Whether the file comes from a later release than `other`, such as "3.15.1"."""
        mine, others = _release(self.text), _release(other)
        return bool(mine) and mine > others

    def describe(self) -> str:
        """The version for a message, such as "Keras 2.15.0 (or tf_keras)"."""
        if self.major is None:
            return "an old version of Keras" if self.before_versions else "an unknown version of Keras"
        return f"{'tf_keras' if self.is_tf_keras else 'Keras'} {self.text}"


def keras_file_version(path: Path) -> KerasVersion:
    """The version in a `.keras` file's metadata; empty where there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_METADATA).file_size > _MAX_METADATA_BYTES:
                return KerasVersion("")
            metadata = parse_json(archive.read(_METADATA))
    except (*DAMAGED_ZIP, OSError):
        return KerasVersion("")
    text = metadata.get("keras_version") if isinstance(metadata, dict) else None
    return KerasVersion(text if isinstance(text, str) else "")


def h5_version(path: Path) -> KerasVersion:
    """The version in a legacy `.h5` file's attributes; empty where there is none."""
    import h5py

    with h5py.File(path, "r") as file:
        value = file.attrs.get("keras_version")
        weights = file.get("model_weights")
        if value is None and weights is not None:
            value = weights.attrs.get("keras_version")
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    # Keras 3 always writes its version; tfjs and Keras 1 write another kind of it, or none.
    return KerasVersion(text if isinstance(text, str) else "", before_versions=True)


def _release(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.partition("-")[0].split("."):
        if not part.isdigit() or len(part) > 6:
            break
        numbers.append(int(part))
    return tuple(numbers)
