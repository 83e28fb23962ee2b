"""Put finished artifacts in their place in one step, so that whoever looks sees none, the old one, or the new one.

An export works in a hidden folder beside its targets. The folder is locked (flock) for as long as its process lives,
whatever ends it, so the next export knows which leftovers are dead and clears them away. A finished artifact is
written to the disk (fsync), then changes places with the old one: `renameat2(RENAME_EXCHANGE)` on Linux, one
atomic step. Where a file system cannot do that, the old one is renamed aside first and put back by the next export
if this one died in between. Overlay file systems, as containers have them, cannot even rename a folder that lies in a
layer below: there a copy of it goes aside.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_fm_runtime.artifacts.files import list_files, read_small
from edge_fm_runtime.artifacts.metadata import METADATA_FILE
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.errors import ArtifactError, ExportError

_WORK, _ASIDE = ".edgefm-export-", ".edgefm-old-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextmanager
def workspace(out_dir: Path) -> Iterator[Path]:
    """Give a fresh, locked, hidden folder in `out_dir`, and remove it in the end.

    Args:
        out_dir: where the artifacts will stand; made if it is absent.

    Raises:
        ExportError: `out_dir` cannot be written.
    """
    with disk_errors(out_dir):
        made = not out_dir.exists()
        out_dir.mkdir(parents=True, exist_ok=True)
        with _locked(out_dir):
            _clear_leftovers(out_dir)
            folder = out_dir / f"{_WORK}{os.getpid()}-{secrets.token_hex(4)}"
            folder.mkdir()
            lock = _lock_folder(folder)
    try:
        yield folder
    finally:
        # Another process could take the folder for a leftover once it is unlocked: remove it first.
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if made and not any(out_dir.iterdir()):
            out_dir.rmdir()


def check_replaceable(target: Path, *, source_sha256: str, force: bool = False) -> None:
    """Raise unless `target` is free, or an artifact that an export of this model may replace.

    Args:
        target: the artifact's folder.
        source_sha256: of the model that is exported.
        force: replace an artifact of another model, or a damaged one; never anything else.

    Raises:
        ExportError: names what stands there and what to do.
    """
    elsewhere = "Write to another folder: --out DIR"
    if target.is_symlink():
        raise ExportError(f"{target} is a link; an export replaces only a folder of its own.", hint=elsewhere)
    if not target.exists():
        return
    if not target.is_dir():
        raise ExportError(f"{target} is a file, not an artifact; it is not touched.", hint=elsewhere)
    if not any(target.iterdir()):
        return
    file = target / METADATA_FILE
    if not file.is_file():
        raise ExportError(
            f"{target} is a folder without {METADATA_FILE}, so it is no artifact; it is not touched.", hint=elsewhere
        )
    if force:
        return
    replace = "Replace it: --force   or write to another folder: --out DIR"
    try:
        metadata = parse_metadata(read_small(file), where=str(file))
    except ArtifactError as error:
        raise ExportError(f"{target} is an artifact that cannot be read: {error.message}", hint=replace) from error
    extra = sorted(set(list_files(target)) - set(metadata.files))
    if extra:
        raise ExportError(f"{target} holds files that no export wrote: {', '.join(extra[:5])}.", hint=replace)
    made_from = (metadata.source or {}).get("sha256")
    if made_from != source_sha256:
        raise ExportError(
            f"{target} was made from another model ({(metadata.source or {}).get('name', 'unknown')}, "
            f"SHA-256 {str(made_from)[:12]}...).",
            hint=replace,
        )


def install(folder: Path, target: Path, *, source_sha256: str, force: bool = False) -> None:
    """Move the finished artifact `folder`, which lies in a workspace, to `target` in one atomic step.

    Raises:
        ExportError: `target` may not be replaced, or the disk refuses; `target` is then as it was.
    """
    with disk_errors(target):
        _sync(folder)
        with _locked(target.parent):
            check_replaceable(target, source_sha256=source_sha256, force=force)
            _swap(folder, target)
            _sync_folder(target.parent)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the file system into an ExportError that names `path` and what to do.

    Raises:
        ExportError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "Free some space, or write to another disk: --out DIR",
            errno.EDQUOT: "Free some space, or write to another disk: --out DIR",
            errno.EFBIG: "Raise the limit on file sizes (ulimit -f), or write to another disk: --out DIR",
        }
        raise ExportError(
            f"Cannot write {path}: {error.strerror or error}.",
            hint=hints.get(error.errno or 0, "Name a folder that you may write: --out DIR"),
        ) from error


def _swap(folder: Path, target: Path) -> None:
    if not target.exists():
        folder.rename(target)
    elif not any(target.iterdir()) or not _exchange(folder, target):
        # rename replaces an empty folder; a full one goes aside, where `_clear_leftovers` finds it.
        if any(target.iterdir()):
            aside = target.parent / f"{_ASIDE}{target.name}"
            _move_aside(target, aside, scratch=folder.with_name(f"{folder.name}.old"))
            folder.rename(target)
            shutil.rmtree(aside, ignore_errors=True)
        else:
            folder.rename(target)


def _move_aside(target: Path, aside: Path, *, scratch: Path) -> None:
    try:
        target.rename(aside)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(target, scratch, symlinks=True)
        _sync(scratch)
        scratch.rename(aside)
        (target / METADATA_FILE).unlink(missing_ok=True)  # first: without it `_clear_leftovers` takes the copy
        shutil.rmtree(target)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; False where the system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EXDEV):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _clear_leftovers(out_dir: Path) -> None:
    """Remove work folders whose process is gone, and put back artifacts that were moved aside and never replaced."""
    for folder in out_dir.glob(f"{_WORK}*"):
        try:
            lock = _lock_folder(folder)
        except BlockingIOError:
            continue  # its process lives
        except OSError:
            continue  # not ours to read
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
    for aside in out_dir.glob(f"{_ASIDE}*"):
        target = out_dir / aside.name.removeprefix(_ASIDE)
        half_removed = target.is_dir() and not (target / METADATA_FILE).exists()
        if half_removed and set(list_files(target)) <= set(list_files(aside)):
            shutil.rmtree(target)
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold `folder`'s lock for a moment; another export of the same folder waits."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock_folder(folder: Path) -> int:
    """Lock `folder` for as long as the returned file descriptor stays open.

    Raises:
        BlockingIOError: another process holds it.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _sync(folder: Path) -> None:
    """Bring everything below `folder` onto the disk."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        else:
            _sync_folder(file)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
