"""The user's cache folder: where it is, which of its files are trusted, and how it stays bounded in size and age."""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time
import warnings
from pathlib import Path

from edge_fm_runtime.errors import CacheWarning

MAX_BYTES = 256 * 1024 * 1024
MAX_AGE_S = 90 * 24 * 3600.0


def user_home() -> Path | None:
    """The user's home folder: `$HOME`, else the one that the system knows; None for a user without one."""
    given = os.environ.get("HOME", "")
    if Path(given).is_absolute():
        return Path(given)
    if os.name != "posix":
        return Path.home()
    import pwd

    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a numeric user, as containers are often run
        return None


def expand_home(path: str | os.PathLike[str]) -> Path:
    """A path with a leading `~` or `~user` replaced; as it stands where there is no such home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def cache_root() -> Path | None:
    r"""The one folder for what EdgeFM can make again; None for a user without a home folder.

    `$XDG_CACHE_HOME/edgefm` where that is an absolute path (the XDG specification has others ignored), else the
    platform's own: `~/.cache/edgefm`, `~/Library/Caches/edgefm`, `%LOCALAPPDATA%\edgefm\Cache`.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "edgefm"
    if sys.platform in ("win32", "darwin"):
        import platformdirs

        return platformdirs.user_cache_path("edgefm", appauthor=False)
    home = user_home()
    return None if home is None else home / ".cache" / "edgefm"


def why_untrusted(path: Path, *, group: bool = False) -> str | None:
    """Why the content of a file or folder must not be trusted; None where only its owner can change it.

    Args:
        path: an existing file or folder.
        group: whether members of its group may not write to it either.

    Raises:
        OSError: it does not exist, or cannot be looked at.
    """
    if os.name != "posix":
        return None
    info = path.stat()
    for owner in (path.lstat().st_uid, info.st_uid):  # of a link, and of what it leads to
        if owner not in (0, os.geteuid()):
            return f"{path} belongs to another user (uid {owner})"
    # In a folder such as /tmp, with the sticky bit, nobody replaces another user's files.
    if info.st_mode & 0o002 and not (stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX):
        return f"everybody may write to {path} (mode {stat.S_IMODE(info.st_mode):o})"
    if group and info.st_mode & 0o020:
        return f"its group may write to {path} (mode {stat.S_IMODE(info.st_mode):o})"
    return None


def nearest_existing(path: Path) -> Path:
    """The path itself, or the first folder above it that exists: what is made below it is made in there."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if os.access(p, os.F_OK))


def how_to_trust(path: Path) -> str | None:
    """The command after which `why_untrusted` has nothing against a path; None where it belongs to another user."""
    if path.stat().st_uid != os.geteuid() or path.lstat().st_uid != os.geteuid():
        return None
    return f"chmod go-w {shlex.quote(str(path))}"


def own_folder(*names: str) -> Path | None:
    """A folder below the cache folder that only this user writes to, made where needed; None where none can be had.

    Nothing is made inside another user's folder: root who works in the home folder of a user (`sudo -E`) would leave
    folders there that this user cannot write to.

    Its content can be made again, so a read-only or full disk costs time and nothing else; `edgefm doctor` reports
    which folders cannot be written to.

    Warns:
        CacheWarning: there is one, but others may write to it, so it is not used.
    """
    root = cache_root()
    if root is None:
        return None
    folder = root
    try:
        found = nearest_existing(root)
        reason = why_untrusted(found)
        if reason is None:
            for missing in (*reversed(root.parents), root):
                missing.mkdir(exist_ok=True, mode=0o700)  # as the XDG specification asks, under any umask
            # Whoever can write to the folder around it can put another one in its place.
            found = next((place for place in (root.parent, root) if why_untrusted(place)), root)
            reason = why_untrusted(found)
        for name in () if reason else names:
            found = folder = folder / name
            folder.mkdir(exist_ok=True, mode=0o700)
            if (reason := why_untrusted(folder, group=True)) is not None:
                break
        usable = os.access(folder, os.W_OK)
        command = None if reason is None else how_to_trust(found)
    except OSError:
        return None
    if reason is not None:
        way_out = "N" if command is None else f"Type {command}, or n"
        warnings.warn(
            f"The cache is not used: {reason}. {way_out}ame a folder of yours in XDG_CACHE_HOME.",
            CacheWarning,
            stacklevel=2,
        )
        return None
    return folder if usable else None


def prune(root: Path, *, keep: Path, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
    """Remove the folders below `root` that were not used for long, and the longest unused while there is too much.

    Raises:
        OSError: a folder cannot be removed.
    """
    import shutil  # with its archive formats the slowest import of a cold start, and seldom needed

    total = 0
    folders = [
        (entry.stat().st_mtime, entry)
        for entry in root.iterdir()
        if entry.is_dir() and not entry.is_symlink() and entry != keep
    ]
    for used, folder in sorted(folders, reverse=True):
        total += sum(file.stat().st_size for file in folder.iterdir())
        if total > max_bytes or time.time() - used > max_age_s:
            shutil.rmtree(folder)
