"""The manifest of a folder of results: what every process of a job must agree on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_fm_runtime import __version__
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import METADATA_FILE
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.json_text import dump_json, parse_json

MANIFEST_FILE = "job.json"
_SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """How the photos of a job are classified.

    Attributes:
        artifact: its name.
        artifact_sha256: SHA-256 (hex) of its edgefm.json, which holds the hashes of its files; of a bare payload, of
            its files.
        options: option -> value, of those that a result depends on.
        partition: how the photos are shared out: `{"shards": 8}`, or `{"photos_per_file": 256}`.
    """

    artifact: str
    artifact_sha256: str
    options: Mapping[str, Any]
    partition: Mapping[str, int]

    def encode(self) -> bytes:
        """The manifest as a JSON file."""
        about = {"schema_version": _SCHEMA, "edge_fm": __version__}
        return dump_json(about | self.__dict__).encode()

    def require_same(self, content: bytes, where: str) -> None:
        """Refuse to add to results that were made in another way.

        Args:
            content: of the manifest that is there.
            where: the folder, for messages.

        Raises:
            DataError: the artifact, an option or the partition is another one, or the file is no manifest.
        """
        try:
            there = parse_json(content)
            version, name, sha256 = there["schema_version"], str(there["artifact"]), str(there["artifact_sha256"])
            theirs = {"options": dict(there["options"]), "partition": dict(there["partition"])}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{where}/{MANIFEST_FILE} is not the manifest of a folder of results.",
                hint="Name another folder with --out.",
            ) from error
        if version != _SCHEMA:
            raise DataError(
                f"{where} holds results of another version of edge-fm (schema {version}; this one writes {_SCHEMA}).",
                hint="Name another folder with --out.",
            )
        differ = []
        if sha256 != self.artifact_sha256:
            differ.append(f"the artifact {name} ({sha256[:12]}), now {self.artifact} ({self.artifact_sha256[:12]})")
        for part, then in theirs.items():
            now = getattr(self, part)
            differ += [
                f"{key.replace('_', ' ')} {then.get(key)}, now {now.get(key)}"
                for key in sorted({*then, *now})
                if then.get(key) != now.get(key)
            ]
        if differ:
            raise DataError(
                f"{where} holds results that were made in another way: {'; '.join(differ)}.",
                hint="Give the same artifact and options as then, or name another folder with --out.",
            )


def artifact_hash(artifact: Artifact) -> str:
    """SHA-256 (hex) that tells an artifact from every other one; see `Manifest.artifact_sha256`."""
    if not artifact.bare:
        content = artifact.content(METADATA_FILE)
        return hashlib.sha256((artifact.path / METADATA_FILE).read_bytes() if content is None else content).hexdigest()
    weights = artifact.payload.with_suffix(".bin")
    files = [artifact.payload, *([weights] if artifact.payload.suffix.lower() == ".xml" and weights.is_file() else [])]
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
