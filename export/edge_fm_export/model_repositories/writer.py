"""Write a version of a model into a server's model repository."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm_export.model_repositories.layouts import MOUNT, SERVERS, Layout
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import read_small
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, Metadata
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.artifacts.names import NAME_RULE, is_plain_name
from edge_fm_runtime.errors import EdgeFMError, ExportError, IntegrityError


@dataclass(frozen=True)
class RepositoryVersion:
    """A version of a model in a repository.

    Attributes:
        layout: the server that reads it: "triton", "ovms" or "tfserving".
        repository: the folder of all models.
        model: name of the model.
        version: its number.
        files: what was written, relative to the repository.
        kept: configuration files that were there and are as they were, relative to the repository.
    """

    layout: Layout
    repository: Path
    model: str
    version: int
    files: tuple[str, ...]
    kept: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm export --layout --json` prints."""
        return {
            "layout": self.layout,
            "repository": str(self.repository),
            "model": self.model,
            "version": self.version,
            "files": list(self.files),
            "kept": list(self.kept),
        }


def check_layout(metadata: Metadata, layout: Layout) -> None:
    """Refuse a format that the server does not run.

    Raises:
        ExportError: names what it runs.
    """
    server = SERVERS[layout]
    if metadata.format not in server.formats:
        why = server.why_not[metadata.format]
        raise ExportError(
            f"{server.title} does not run {metadata.format} artifacts: {why}.",
            hint=f"Export it as {' or '.join(server.formats)}: edgefm export RUN --format {server.formats[0]}",
        )


def write_version(
    artifact: Artifact,
    layout: Layout,
    repository: Path,
    *,
    name: str | None = None,
    version: int | None = None,
    mount: str = MOUNT,
) -> RepositoryVersion:
    """Copy an artifact's payload and its metadata into a new version, and add the model to the configuration.

    A running server sees either no version or the whole of it. Every file is checked against its hash once it is
    written. Nothing that is there is replaced.

    Args:
        artifact: opened and checked.
        layout: the server.
        repository: the folder of all models; made where it is missing.
        name: of the model; None for the artifact's.
        version: its number, from 1; None for the one after the highest.
        mount: path of the repository as the server sees it.

    Raises:
        ExportError: the server does not run this format; the version is there; the model's other versions have another
            input, other labels or another format; or the configuration cannot be extended.
        IntegrityError: the artifact was changed while it was read.
    """
    check_layout(artifact.metadata, layout)
    name = artifact.metadata.name if name is None else name
    if not is_plain_name(name):
        raise ExportError(f"{name!r} cannot name a model in a repository; a name is {NAME_RULE}.")
    if artifact.bare:
        raise ExportError(
            f"{artifact.path} is a bare payload, whose bytes cannot be checked.", hint="Give the artifact's folder."
        )
    model = repository / name
    number = _free_version(model, artifact, version)
    place, configure = SERVERS[layout].place, SERVERS[layout].configure
    made_model = not model.exists()
    try:
        model.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=model) as scratch:
            folder = Path(scratch) / str(number)
            names = _copy_payload(artifact, folder, place)
            settings = configure(repository, name, artifact.metadata, mount)
            folder.chmod(0o755)
            folder.rename(model / str(number))
    except BaseException:
        if made_model and not any(path.is_dir() for path in model.glob("[0-9]*")):
            shutil.rmtree(model, ignore_errors=True)
        raise
    files = [path.relative_to(repository).as_posix() for path, written in settings.items() if written]
    files += [f"{name}/{number}/{one}" for one in names]
    kept = [path.relative_to(repository).as_posix() for path, written in settings.items() if not written]
    return RepositoryVersion(layout, repository, name, number, tuple(files), tuple(kept))


def _copy_payload(artifact: Artifact, folder: Path, place: Callable[[Metadata, str], str]) -> list[str]:
    """Write the payload's files and `edgefm.json` into `folder`; returns their names there."""
    metadata = artifact.metadata
    names = []
    for file, entry in metadata.files.items():
        weights = metadata.payload.removesuffix(".xml") + ".bin"
        if file not in (metadata.payload, weights) and not file.startswith(metadata.payload + "/"):
            continue
        content = artifact.content(file)
        content = (artifact.path / file).read_bytes() if content is None else content
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise IntegrityError(f"{artifact.path / file} was changed while it was read.", hint="Try again.")
        target = folder / place(metadata, file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        names.append(target.relative_to(folder).as_posix())
    content = artifact.content(METADATA_FILE)
    (folder / METADATA_FILE).write_bytes(read_small(artifact.path / METADATA_FILE) if content is None else content)
    return [*names, METADATA_FILE]


def _free_version(model: Path, artifact: Artifact, asked: int | None) -> int:
    """The number of the new version, once the versions that are there fit it."""
    there = sorted(int(path.name) for path in model.glob("*") if re.fullmatch("[1-9][0-9]*", path.name))
    if asked is not None and asked in there:
        raise ExportError(
            f"{model / str(asked)} is there already.",
            hint=f"Leave --model-version out for the next one ({there[-1] + 1}), or remove that folder.",
        )
    for number in there:
        earlier = _metadata_of(model / str(number))
        if earlier is None:
            continue
        if asked is None and earlier.files == artifact.metadata.files and number == there[-1]:
            raise ExportError(
                f"{model / str(number)} is this artifact already; nothing was written.",
                hint=f"To write it once more, number it: --model-version {number + 1}",
            )
        differ = [
            what
            for what, one, other in (
                ("format", earlier.format, artifact.metadata.format),
                ("input", earlier.input, artifact.metadata.input),
                ("labels", earlier.labels, artifact.metadata.labels),
                ("outputs", earlier.extra_outputs, artifact.metadata.extra_outputs),
            )
            if one != other
        ]
        if differ:
            raise ExportError(
                f"{model / str(number)} has another {' and '.join(differ)}; versions of a model are exchanged under "
                "their clients, so they must agree in these.",
                hint="Name this model otherwise: --model-name NAME",
            )
    return asked if asked is not None else (there[-1] + 1 if there else 1)


def _metadata_of(version: Path) -> Metadata | None:
    """What a version was made from; None where it is not of EdgeFM's making."""
    file = version / METADATA_FILE
    if not file.is_file():
        return None
    try:
        return parse_metadata(read_small(file), where=str(file))
    except EdgeFMError:
        return None
