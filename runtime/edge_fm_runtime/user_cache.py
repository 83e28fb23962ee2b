"""The user's cache folder: compiled models, bounded in size and age. Where it cannot be written there is no cache."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from edge_fm_runtime.artifact import Artifact

MAX_BYTES = 256 * 1024 * 1024
MAX_AGE_S = 90 * 24 * 3600.0


def cache_root() -> Path:
    """`$XDG_CACHE_HOME/edgefm`, else `~/.cache/edgefm`."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path(os.environ.get("HOME") or "~").expanduser() / ".cache"
    return base / "edgefm"


def openvino_cache() -> Path:
    """Where OpenVINO's compiled models are kept."""
    return cache_root() / "openvino"


def payload_hash(artifact: Artifact) -> str | None:
    """One SHA-256 (hex) for all of an artifact's payload, from the hashes checked on load; None for a bare payload."""
    payload = artifact.metadata.payload
    stem = payload.removesuffix(".xml") + ".bin"
    wanted = [n for n in artifact.metadata.files if n in (payload, stem) or n.startswith(payload + "/")]
    if artifact.bare or not wanted:
        return None
    lines = [f"{name} {artifact.metadata.files[name].sha256}\n" for name in sorted(wanted)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def model_folder(artifact: Artifact, settings: str) -> Path | None:
    """The cache folder of just this payload compiled with `settings`, made where needed; None where none can be had.

    OpenVINO's own key leaves settings out that change the answers, such as the arithmetic.

    Compiled models are code that a library will trust, so a folder that others can write to is not used.
    """
    digest = payload_hash(artifact)
    if digest is None:
        return None
    root = openvino_cache()
    folder = root / hashlib.sha256(f"{digest} {settings}".encode()).hexdigest()[:32]
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        info = root.stat()
        if info.st_mode & 0o022 or (hasattr(os, "getuid") and info.st_uid != os.getuid()):
            return None
        fresh = not folder.exists()
        folder.mkdir(exist_ok=True, mode=0o700)
        os.utime(folder)  # when it was last used, for pruning
        if fresh:
            prune(root, keep=folder)
    except OSError:  # read-only, full, or a file in the way: compiling anew is all that it costs; `doctor` says it
        return None
    return folder if os.access(folder, os.W_OK) else None


def prune(root: Path, *, keep: Path, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
    """Remove the folders below `root` that were not used for long, and the longest unused while there is too much."""
    import shutil  # with its archive formats the slowest import of a cold start, and seldom needed

    kept = 0
    folders = [(entry.stat().st_mtime, entry) for entry in root.iterdir() if entry.is_dir() and entry != keep]
    for used, folder in sorted(folders, reverse=True):
        kept += sum(file.stat().st_size for file in folder.iterdir())
        if kept > max_bytes or time.time() - used > max_age_s:
            shutil.rmtree(folder)
