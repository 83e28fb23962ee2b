"""Copy an artifact, check the copy and open it: what was checked is what is served, whatever happens to the folder.

Engines map files into memory. A folder that is replaced in place, file by file, would change a model that is being
served, and one that is half copied would be opened as it is.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edge_fm.serving.options import ServeOptions
from edge_fm_runtime.artifacts.packaged import packaged_artifact, packaged_names
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.errors import ArtifactError, EdgeFMError, GateError, IntegrityError
from edge_fm_runtime.parity.verification import verify_golden
from edge_fm_runtime.system.scratch import scratch_folder

Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, inode, bytes and time of the last change (ns) of every file of a folder."""
_MOST_FILES = 10_000


@dataclass(frozen=True, eq=False)
class Opened:
    """A classifier that has been verified.

    Attributes:
        classifier: of the copy.
        stamp: of the folder that was copied.
        name: the artifact's own name.
        payload_hash: SHA-256 (hex) over the payload.
        resources: closes the classifier, then removes the copy.
    """

    classifier: Classifier
    stamp: Stamp
    name: str
    payload_hash: str | None
    resources: ExitStack


def folder_of(path: Path) -> Path:
    """The folder of an artifact that is given by its path or, where there is none, by its name in the package.

    Raises:
        ArtifactError: there is no such folder.
    """
    if path.is_dir():
        return path
    if path.is_file():
        raise ArtifactError(
            f"{path} is a file; only an artifact's folder is served: it holds the golden predictions that prove it.",
            hint="Name the folder that edgefm export made.",
        )
    packaged = packaged_artifact(path)
    if packaged is None:
        raise ArtifactError(
            f"There is no artifact {path}.",
            hint=f"Name a folder that edgefm export made, or one in the package: {', '.join(packaged_names())}.",
        )
    return packaged


def stamp_of(folder: Path) -> Stamp:
    """What tells that a folder has changed.

    Raises:
        ArtifactError: it is no folder, or holds more files than an artifact has.
        OSError: it cannot be read, or was changed meanwhile.
    """
    if not folder.is_dir():
        raise ArtifactError(f"{folder} is not there.", hint="Put the artifact there.")
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            status = path.stat()
            found.append((path.relative_to(folder).as_posix(), status.st_ino, status.st_size, status.st_mtime_ns))
        if len(found) > _MOST_FILES:
            raise ArtifactError(f"{folder} holds more than {_MOST_FILES:,} files; an artifact has a few.")
    return tuple(found)


def open_verified(folder: Path, options: ServeOptions) -> Opened:
    """Copy an artifact, check its hashes (and its signature), open it and replay its golden predictions.

    Args:
        folder: the artifact's.
        options: engine, device, threads, signature, thresholds.

    Raises:
        ArtifactError, IntegrityError, SignatureError, EngineError, DeviceError, MissingDependencyError: as
            `Classifier.load`.
        GateError: the golden predictions do not hold on this machine.
        OSError: the folder cannot be read, or was changed meanwhile.
    """
    with ExitStack() as stack:
        stamp = stamp_of(folder)
        copy = stack.enter_context(scratch_folder("edgefm-serve-")) / folder.resolve().name
        shutil.copytree(folder, copy, symlinks=True, copy_function=_copy_file)
        if stamp_of(folder) != stamp:
            raise IntegrityError(f"{folder} was changed while it was read.", hint="Wait until it is copied.")
        with _named(folder, copy):
            classifier = stack.enter_context(_load(copy, options))
            verification = verify_golden(classifier.artifact, classifier.engine)
        if not verification.passed:
            raise GateError(
                f"{folder} does not predict here as it did where it was exported.",
                [check.describe() for check in verification.checks if not check.passed],
                hint=f"See edgefm verify {folder}",
            )
        artifact = classifier.artifact
        return Opened(classifier, stamp, artifact.metadata.name, artifact.payload_hash(), stack.pop_all())


def _copy_file(source: str, target: str) -> None:
    """Copy a regular file; links stay links, which the checks of the copy refuse: one to a device would have no end.

    Raises:
        IntegrityError: it is neither a file nor a link.
    """
    if not stat.S_ISREG(os.lstat(source).st_mode):
        raise IntegrityError(
            f"{source} is neither a file nor a folder.", hint="Copy the artifact again from where it was exported."
        )
    shutil.copyfile(source, target, follow_symlinks=False)


@contextmanager
def _named(folder: Path, copy: Path) -> Iterator[None]:
    """Let errors name the folder that was given, and not the copy, which is gone by then."""
    try:
        yield
    except EdgeFMError as error:
        error.message = error.message.replace(str(copy), str(folder))
        error.hint = error.hint and error.hint.replace(str(copy), str(folder))
        raise


def _load(copy: Path, options: ServeOptions) -> Classifier:
    return Classifier.load(
        copy,
        options.engine,
        options.device,
        options.threads,
        one_shot=True,
        max_pixels=options.max_pixels,
        min_score=options.min_score,
        require_signature=options.require_signature,
    )
