"""Read an artifact: a folder that explains itself, or a bare payload with its embedded metadata."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from edge_fm_runtime.artifacts.metadata import (
    MAX_METADATA_BYTES,
    METADATA_FILE,
    FileEntry,
    Metadata,
    differences,
)
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.errors import ArtifactError, IntegrityError

GOLDEN_FILE = "golden.npz"
_BARE = (".onnx", ".xml", ".tflite")
_READS = 3
"""How often a folder is read that is being replaced meanwhile."""


@dataclass(frozen=True)
class Artifact:
    """An artifact on disk, validated.

    Attributes:
        path: the folder, or the payload itself where it was given bare.
        metadata: its description.
        payload: the main file (or, for a SavedModel, folder).
        bare: a payload without its folder: no hashes, no golden predictions.
    """

    path: Path
    metadata: Metadata
    payload: Path
    bare: bool = False

    def payload_hash(self) -> str | None:
        """One SHA-256 (hex) for all of the payload, from the hashes checked on load; None for a bare payload."""
        payload = self.metadata.payload
        weights = payload.removesuffix(".xml") + ".bin"
        files = {
            name: entry
            for name, entry in sorted(self.metadata.files.items())
            if name in (payload, weights) or name.startswith(payload + "/")
        }
        if self.bare or not files:
            return None
        lines = [f"{name} {entry.sha256}\n" for name, entry in files.items()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def load_artifact(path: str | Path, *, check_hashes: bool = True) -> Artifact:
    """Open an artifact and check it.

    Args:
        path: the folder, its `edgefm.json`, or a bare `.onnx`, `.xml` or `.tflite` with embedded metadata; or, where
            there is no such file or folder, the name of an artifact that comes with the package.
        check_hashes: compare every file with its SHA-256.

    Raises:
        ArtifactError: there is no artifact, or its metadata is malformed or newer than this edge-fm.
        IntegrityError: a file is missing, changed, or not listed.
    """
    if not os.fspath(path):  # which Path would take for the current folder
        raise ArtifactError("The path of the artifact is empty.", hint="Name the artifact; was a variable not set?")
    path = Path(path)
    if path.name == METADATA_FILE and path.is_file():
        path = path.parent
    if path.is_dir():
        return _load_folder(path, check_hashes=check_hashes)
    if path.suffix.lower() in _BARE and path.is_file():
        return _load_bare(path)
    from edge_fm_runtime.artifacts.packaged import packaged_artifact, packaged_names

    exists = path.exists()
    if not exists and (packaged := packaged_artifact(path)) is not None:
        return _load_folder(packaged, check_hashes=check_hashes)
    from edge_fm_runtime.artifacts.not_an_artifact import advice

    what = "is a file, not an artifact" if exists else "does not exist"
    raise ArtifactError(
        f"{path} {what}; an artifact is a folder with {METADATA_FILE}, an .onnx, .xml or .tflite "
        f"file that edgefm exported, or the name of one in the package: {', '.join(packaged_names())}.",
        hint=advice(path),
    )


def read_small(path: Path) -> bytes:
    """Read a metadata file: a regular file of bounded size, so that a FIFO or a huge file cannot stall a device.

    Raises:
        ArtifactError: it is not a regular file, too large, or unreadable.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise ArtifactError(f"{path} is not a regular file.", hint="Export the model again: edgefm export")
        if info.st_size > MAX_METADATA_BYTES:
            raise ArtifactError(
                f"{path} has {info.st_size} bytes; metadata has at most {MAX_METADATA_BYTES}.",
                hint="Export the model again: edgefm export",
            )
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the path and its rights."
        ) from error


def hash_file(path: Path) -> FileEntry:
    """SHA-256 and size of a regular file."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
        return FileEntry(digest.hexdigest(), stream.tell())


def list_files(folder: Path) -> list[str]:
    """Relative POSIX names of all files below `folder` except `edgefm.json`, sorted."""
    found = (p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    return sorted(p.relative_to(folder).as_posix() for p in found if p != folder / METADATA_FILE)


def check_files(folder: Path, metadata: Metadata) -> None:
    """Compare every file that `metadata` lists with its size and SHA-256, and look for files that it does not list.

    Raises:
        IntegrityError: names each file that is missing, changed, a link, or would be loaded without being listed.
    """
    wrong = []
    root = folder.resolve()
    for name, entry in metadata.files.items():
        file = folder / name
        if not file.is_file():
            wrong.append(f"{file} is missing")
        elif file.resolve() != root / name:
            wrong.append(f"{file} is a link, or lies behind one; an artifact's files are regular files inside it")
        elif file.stat().st_size != entry.bytes:
            wrong.append(f"{file} has {file.stat().st_size} bytes, not {entry.bytes}")
        elif hash_file(file).sha256 != entry.sha256:
            wrong.append(f"{file} was changed: its SHA-256 is not the one in {METADATA_FILE}")
    wrong += [f"{folder / name} is not listed in {METADATA_FILE}" for name in _loaded_too(folder, metadata)]
    if wrong:
        raise IntegrityError(
            "The artifact is damaged: " + "; ".join(wrong) + ".",
            hint=f"Copy {folder} again from where it was exported, or export again: edgefm export",
        )


def _loaded_too(folder: Path, metadata: Metadata) -> list[str]:
    """Files that a library or `verify` would read with the payload without a hash to check them by."""
    payload = metadata.payload
    beside = [payload.removesuffix(".xml") + ".bin"] if metadata.format == "openvino" else []
    names = [name for name in (*beside, GOLDEN_FILE) if (folder / name).exists() or (folder / name).is_symlink()]
    if metadata.format == "savedmodel":
        names += [f"{payload}/{name}" for name in list_files(folder / payload)]
    return [name for name in names if name not in metadata.files]


def _load_folder(folder: Path, *, check_hashes: bool) -> Artifact:
    file = folder / METADATA_FILE
    for _ in range(_READS):
        if not file.exists():
            from edge_fm_runtime.artifacts.not_an_artifact import advice

            raise ArtifactError(f"{folder} has no {METADATA_FILE}: it is not an artifact.", hint=advice(folder))
        text = read_small(file)
        try:
            return _open_folder(folder, parse_metadata(text, where=str(file)), check_hashes=check_hashes)
        except IntegrityError as error:
            damage = error
            # An export may have put a new artifact in the place of the old one while its files were read.
            if not file.exists() or read_small(file) == text:
                break
    raise damage


def _open_folder(folder: Path, metadata: Metadata, *, check_hashes: bool) -> Artifact:
    payload = folder / metadata.payload
    inside = metadata.payload + "/"
    if metadata.format == "savedmodel":
        covered = any(name.startswith(inside) for name in metadata.files)
    else:
        covered = metadata.payload in metadata.files
    if not covered:
        raise IntegrityError(
            f"{folder / METADATA_FILE}: the payload {metadata.payload} has no entry under files to check it by.",
            hint="Export the model again: edgefm export",
        )
    if check_hashes:
        check_files(folder, metadata)
    _check_alone(payload)
    artifact = Artifact(folder, metadata, payload)
    _compare_embedded(artifact)
    return artifact


def _load_bare(path: Path) -> Artifact:
    from edge_fm_runtime.artifacts.embedded import read_embedded

    text = read_embedded(path)
    if text is None:
        raise ArtifactError(
            f"{path} has no embedded EdgeFM metadata, so its labels and preprocessing are unknown.",
            hint="Give the artifact's folder, or export the Keras model: edgefm export MODEL.keras --format onnx",
        )
    metadata = parse_metadata(text, where=f"{path} (embedded metadata)")
    _check_alone(path)
    return Artifact(path, metadata, path, bare=True)


def _compare_embedded(artifact: Artifact) -> None:
    """Hold `edgefm.json` against the copy inside the payload, which was written with it."""
    if artifact.metadata.format == "savedmodel":
        return  # it has none
    from edge_fm_runtime.artifacts.embedded import read_embedded

    text = read_embedded(artifact.payload)
    if text == artifact.metadata.embedded():
        return
    file = artifact.path / METADATA_FILE
    where = f"{artifact.payload} (embedded metadata)"
    differ = ["all of it"] if text is None else differences(artifact.metadata, parse_metadata(text, where=where))
    if differ:
        raise IntegrityError(
            f"{file} differs from the copy inside {artifact.payload.name}: {', '.join(differ)}.",
            hint=f"Copy {artifact.path} again from where it was exported, or export again: edgefm export",
        )


def _check_alone(payload: Path) -> None:
    if payload.suffix.lower() == ".onnx" and payload.is_file():
        from edge_fm_runtime.artifacts.onnx_external_data import refuse_external_data

        refuse_external_data(payload)
    elif payload.suffix.lower() == ".xml" and payload.is_file():
        # OpenVINO goes by the content: an ONNX model by this name would be read, with files that nobody checked.
        with payload.open("rb") as stream:
            start = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        if not start.startswith((b"<?xml", b"<net")):
            raise ArtifactError(
                f"{payload} is not an OpenVINO IR: it does not begin as XML.",
                hint="Export the model again: edgefm export",
            )
