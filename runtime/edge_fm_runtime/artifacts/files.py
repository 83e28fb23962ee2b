"""The files of an artifact's folder, and the check that they are those that its metadata lists."""

from __future__ import annotations

import stat
from pathlib import Path

from edge_fm_runtime.artifacts.metadata import MAX_METADATA_BYTES, METADATA_FILE, FileEntry, Metadata
from edge_fm_runtime.errors import ArtifactError, IntegrityError

GOLDEN_FILE = "golden.npz"
DRIFT_FILE = "drift.npz"


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
    import hashlib

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
    """Files that a library, `verify` or `drift` would read with the payload without a hash to check them by."""
    payload = metadata.payload
    beside = [payload.removesuffix(".xml") + ".bin"] if metadata.format == "openvino" else []
    names = [
        name for name in (*beside, GOLDEN_FILE, DRIFT_FILE) if (folder / name).exists() or (folder / name).is_symlink()
    ]
    if metadata.format == "savedmodel":
        names += [f"{payload}/{name}" for name in list_files(folder / payload)]
    return [name for name in names if name not in metadata.files]
