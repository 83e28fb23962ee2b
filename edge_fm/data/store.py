"""Files with known sums in a folder: found, checked on every use, fetched where absent or damaged."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_fm_runtime.errors import DataError, DownloadError
from edge_fm_runtime.progress import MessageFn, ProgressFn
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.json_text import parse_json
from edge_fm_runtime.system.scratch import scratch_folder
from edge_fm_runtime.system.user_cache import nearest_existing, why_untrusted

FETCHED_FILE = "fetched.json"
"""Says which files of a folder were fetched and may therefore be replaced; everything else was put there by hand."""


@dataclass(frozen=True)
class FileSpec:
    """A file that is known beforehand.

    Attributes:
        name: of the unpacked file; sources and folders may hold it as `name` + ".gz".
        bytes: unpacked size.
        sha256: of the unpacked bytes (hex).
    """

    name: str
    bytes: int
    sha256: str


class SourceFailure(Exception):
    """A source could not deliver; the text is the reason, for a person."""


class Source(Protocol):
    """Where files can be had.

    Attributes:
        name: for messages.
    """

    @property
    def name(self) -> str: ...

    def fetch(self, files: Sequence[FileSpec], folder: Path, progress: ProgressFn, note: MessageFn) -> None:
        """Put each of `files` into the empty `folder`, unpacked or as .gz; their sums are checked by the caller.

        Raises:
            SourceFailure: with the reason.
        """


@dataclass(frozen=True)
class Found:
    """Checked files.

    Attributes:
        folder: where they lie.
        paths: of each file, by the unpacked name.
        contents: unpacked bytes, by the unpacked name.
    """

    folder: Path
    paths: dict[str, Path]
    contents: dict[str, bytes]


def obtain(
    title: str,
    files: Sequence[FileSpec],
    folders: Sequence[Path],
    *,
    cache: Path | None,
    sources: Callable[[], Sequence[Source]],
    progress: ProgressFn,
    note: MessageFn,
) -> Found:
    """Find the files in one of the folders, or fetch what is missing or damaged.

    Args:
        title: of the dataset, for messages.
        files: what is needed.
        folders: where to look, best first; what is missing is written into the first one that can be written to.
        cache: the folder whose files may always be replaced, if there is one; elsewhere only those that were fetched.
        sources: returns where to fetch from, best first.
        progress: called with bytes.
        note: called with what is tried.

    Raises:
        DataError: a file that was put there by hand is not what it should be, or no folder can be written to.
        DownloadError: no source could deliver.
    """
    looked = [_look(folder, files, own=folder == cache) for folder in folders]
    for look in looked:
        if not look.missing and not look.damaged:
            return Found(look.folder, look.paths, look.contents)
    look = next((candidate for candidate in looked if candidate.damaged), looked[0])
    for damage in look.damaged.values():
        note(f"{damage} It will be fetched again.")
    target = _writable([look, *(other for other in looked if other is not look)], cache, title, note)
    wanted = [spec for spec in files if spec.name not in target.contents]
    with scratch_folder(".fetch-", parent=target.folder) as scratch:
        contents = _fetch(title, wanted, scratch, target.folder, sources(), progress, note)
    return Found(
        target.folder,
        {**target.paths, **{spec.name: target.folder / spec.name for spec in wanted}},
        {**target.contents, **contents},
    )


@dataclass(frozen=True)
class _Look:
    folder: Path
    paths: dict[str, Path]
    contents: dict[str, bytes]
    damaged: dict[str, str]
    missing: tuple[str, ...]


def _look(folder: Path, files: Sequence[FileSpec], *, own: bool) -> _Look:
    fetched = set() if own else _fetched_names(folder)
    look = _Look(folder, {}, {}, {}, tuple(s.name for s in files if not _candidates(folder, s)))
    for spec in files:
        for path in _candidates(folder, spec):
            try:
                look.contents[spec.name] = read_checked(path, spec)
            except DataError as error:
                if not own and path.name not in fetched:
                    raise DataError(
                        error.message,
                        hint="It was put there by hand, so it is left alone: replace it, or delete it.",
                    ) from error
                look.damaged[spec.name] = error.message
            else:
                look.paths[spec.name] = path
                look.damaged.pop(spec.name, None)
                break
    return look


def _candidates(folder: Path, spec: FileSpec) -> list[Path]:
    return [
        path for path in (folder / spec.name, folder / f"{spec.name}.gz") if os.access(path, os.F_OK) and path.is_file()
    ]


def _fetched_names(folder: Path) -> set[str]:
    try:
        names = parse_json((folder / FETCHED_FILE).read_text(encoding="utf-8"))["files"]
        return set(names)
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # no list, or no readable one: nothing in there may be replaced


def read_checked(path: Path, spec: FileSpec) -> bytes:
    """Read a file, unpack it if it is gzip, and check its size and sum.

    Raises:
        DataError: it cannot be read, or is not the file of the sum.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                # One byte more than allowed is enough to know, whatever else a hostile file unpacks to.
                content = stream.read(spec.bytes + 1)
        else:
            size = path.stat().st_size
            if size != spec.bytes:
                raise DataError(f"{path} is damaged: it has {size} bytes instead of {spec.bytes}.")
            content = path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != spec.sha256:
        raise DataError(f"{path} is damaged: SHA-256 {digest} instead of {spec.sha256}.")
    return content


def _writable(looks: Sequence[_Look], cache: Path | None, title: str, note: MessageFn) -> _Look:
    reasons = []
    for look in looks:
        # Root in the home folder of another user would leave folders there that this user cannot write to.
        if look.folder == cache and (reason := why_untrusted(nearest_existing(cache))) is not None:
            reasons.append(reason)
            note(f"Nothing is stored in {look.folder}: {reason}.")
            continue
        try:
            look.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=look.folder):
                pass
        except OSError as error:
            reasons.append(f"{look.folder}: {error.strerror}")
            note(f"{look.folder} cannot be written to ({error.strerror}).")
        else:
            return look
    raise DataError(
        f"There is no folder to keep {title} in. Tried: {'; '.join(reasons)}.",
        hint="Set EDGEFM_DATA to a folder you can write to.",
    )


def _fetch(
    title: str,
    files: Sequence[FileSpec],
    scratch: Path,
    target: Path,
    sources: Sequence[Source],
    progress: ProgressFn,
    note: MessageFn,
) -> dict[str, bytes]:
    reasons = []
    for number, source in enumerate(sources):
        note(f"Trying {source.name} ...")
        folder = scratch / str(number)
        folder.mkdir()
        try:
            source.fetch(files, folder, progress, note)
            contents = {spec.name: _delivered(folder, spec) for spec in files}
        except SourceFailure as failure:
            reasons.append(f"{source.name}: {failure}")
            note(f"{source.name}: {failure}")
            continue
        for name, content in contents.items():
            _write(target / name, content)
        # After the files: a list that names a file which is not there yet could let a hand-made one be replaced.
        listed = sorted(_fetched_names(target) | set(contents))
        _write(target / FETCHED_FILE, json.dumps({"files": listed, "from": source.name}, indent=2).encode() + b"\n")
        note(f"Got {title} from {source.name}; it lies in {target}.")
        return contents
    raise _nothing_reached(title, files, target, reasons)


def _delivered(folder: Path, spec: FileSpec) -> bytes:
    for path in _candidates(folder, spec):
        try:
            return read_checked(path, spec)
        except DataError as error:
            raise SourceFailure(error.message.replace(f"{folder}{os.sep}", "")) from error
    raise SourceFailure(f"it has no {spec.name}")


def _write(path: Path, content: bytes) -> None:
    try:
        with replacing(path, mode=0o644) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror}.", hint="Make room, or set EDGEFM_DATA."
        ) from error


def _nothing_reached(title: str, files: Sequence[FileSpec], target: Path, reasons: Sequence[str]) -> DownloadError:
    tried = "\n".join(f"  - {reason}" for reason in reasons)
    wanted = "\n".join(f"  {spec.sha256}  {spec.name}" for spec in files)
    return DownloadError(
        f"{title} could not be fetched. Tried:\n{tried}",
        hint=f"Put the files into {target}, as they are or as .gz (or name their folder in EDGEFM_DATA). "
        f"SHA-256 of the unpacked files:\n{wanted}",
    )
