"""Get the clothing photos: one archive of one commit on GitHub, or the same archive supplied by hand."""

from __future__ import annotations

import csv
import hashlib
import http.client
import io
import json
import re
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edge_fm.data import fashion_mnist
from edge_fm.data.clothing_photos.manifest import MANIFEST, Photo, class_of, write_manifest
from edge_fm.data.store import FETCHED_FILE
from edge_fm.network import failure_reason, require_reachable
from edge_fm_runtime.errors import DataError, DownloadError
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.json_text import parse_json

NAME = "clothing-photos"
REPOSITORY = "alexeygrigorev/clothing-dataset"
COMMIT = "08b50460cf229fd852bb6c11564e0959f52578ca"
"""The commit that added images.csv and the photos, CC0-1.0."""

ARCHIVE = f"clothing-dataset-{COMMIT}.tar.gz"
URL = f"https://codeload.github.com/{REPOSITORY}/tar.gz/{COMMIT}"

_TABLE = "images.csv"
_PHOTO = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.jpg")
_MAX_PHOTO, _MAX_ARCHIVE = 16 << 20, 4 << 30
_SKIPPED = "Skip"
_TIMEOUT_S, _CHUNK = 20.0, 1 << 18


def fetch(*, progress: ProgressFn = silent, note: MessageFn = ignore_message, url: str = URL) -> Path:
    """Get the clothing photos, if they are not there yet, and write their manifest.

    They lie in `clothing-photos/` of `$EDGEFM_DATA` or of the user's cache. The archive that GitHub makes of the pinned
    commit names the commit, which is checked; GitHub publishes no sum of it, so that the sums of the archive and of its
    table are recorded when it is first read (in fetched.json), and the table's is checked on every later use. Where
    GitHub cannot be reached, the archive may be put into that folder by hand.

    Args:
        progress: called with bytes, and as photos are unpacked.
        note: called with what is done.
        url: of the archive.

    Returns:
        The folder: photos.csv and other-things.csv, images/ and fashion-mnist/.

    Raises:
        DownloadError: the archive could not be fetched; says where to put it.
        DataError: the archive is damaged or of another commit, or a file was changed.
    """
    folder = fashion_mnist.cache_folder() / NAME
    if (folder / FETCHED_FILE).is_file() and (folder / MANIFEST).is_file():
        _check(folder)
        return folder
    archive = folder / ARCHIVE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not archive.is_file():
            _download(url, archive, progress, note)
        photos = _unpack(archive, folder, progress)
        data = fashion_mnist.load(progress=progress, note=note)
        manifest = write_manifest(folder, photos, data.train.images[..., 0], data.train.labels, progress=progress)
        _record(folder, len(photos))
    except OSError as error:
        raise DataError(
            f"{folder} cannot be written to: {error.strerror}.", hint="Make room, or set EDGEFM_DATA to another folder."
        ) from error
    note(f"{len(photos):,} photos of {REPOSITORY}, commit {COMMIT[:12]} (CC0-1.0); the manifest is {manifest}.")
    return folder


def _record(folder: Path, photos: int) -> None:
    sums = {name: _sum(folder / name) for name in (ARCHIVE, _TABLE)}
    facts = {"commit": COMMIT, "from": URL, "photos": photos, "sha256": sums}
    with replacing(folder / FETCHED_FILE, mode=0o644) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _check(folder: Path) -> None:
    """Raises DataError where what was fetched has been changed."""
    try:
        facts = parse_json((folder / FETCHED_FILE).read_text(encoding="utf-8"))
        found = _sum(folder / _TABLE)
        photos = sum(1 for _ in (folder / "images").iterdir())
        as_fetched = facts["commit"] == COMMIT and facts["sha256"][_TABLE] == found and facts["photos"] == photos
    except (OSError, ValueError, KeyError, TypeError):
        as_fetched = False
    if not as_fetched:
        raise DataError(
            f"{folder} is not as it was fetched: its table or photos were changed or are missing.",
            hint=f"Delete {folder / FETCHED_FILE} and run again: edgefm data fetch {NAME}",
        )


def _download(url: str, archive: Path, progress: ProgressFn, note: MessageFn) -> None:
    note(f"Fetching {url} ...")
    with replacing(archive, mode=0o644) as temporary, temporary.open("wb") as out:
        done = 0
        for chunk, total in _chunks(url, archive):
            out.write(chunk)
            done += len(chunk)
            progress(f"Fetching {archive.name}", done, total)


def _chunks(url: str, archive: Path) -> Iterator[tuple[bytes, int | None]]:
    """What the host sends, with the whole size where it says it; an OSError in here is the network's."""
    try:
        require_reachable(url)
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            length = response.headers.get("Content-Length")
            total, done = int(length) if length and length.isdecimal() else None, 0
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if done > _MAX_ARCHIVE:
                    raise _failed(url, archive, f"it sends more than {_MAX_ARCHIVE:,} bytes")
                yield chunk, total
            if total is not None and done != total:
                raise _failed(url, archive, f"it ended after {done:,} of {total:,} bytes")
    except urllib.error.HTTPError as error:
        with error:
            raise _failed(url, archive, f"{error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failed(url, archive, failure_reason(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, archive, failure_reason(error)) from error


def _failed(url: str, archive: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"The clothing photos could not be fetched from {url}: {reason}.",
        hint=f"Download that address on a machine that reaches it, put the file there as {archive}, and run again: "
        f"edgefm data fetch {NAME}",
    )


def _unpack(archive: Path, folder: Path, progress: ProgressFn) -> list[Photo]:
    """Write images.csv and the photos that it lists; returns these."""
    images = folder / "images"
    images.mkdir(exist_ok=True)
    table: bytes | None = None
    there: set[str] = set()
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for name, content in _members(packed):
                if name == _TABLE:
                    table = content
                    (folder / _TABLE).write_bytes(content)
                else:
                    (images / name).write_bytes(content)
                    there.add(name.removesuffix(".jpg"))
                    progress("unpacking photos", len(there), None)
            commit = packed.pax_headers.get("comment")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(
            f"{archive} cannot be unpacked: {error}.", hint="Delete it, and fetch it again, or supply it anew."
        ) from error
    if commit != COMMIT or table is None:
        raise DataError(
            f"{archive} is not the archive of commit {COMMIT}: "
            + (f"it is of {commit or 'none'}." if commit != COMMIT else f"it holds no {_TABLE}."),
            hint=f"Supply what this address gives: {URL}",
        )
    rows = csv.DictReader(io.StringIO(table.decode("utf-8")))
    photos = [
        Photo(f"images/{row['image']}.jpg", class_of(row["image"], row["label"]), row["sender_id"])
        for row in rows
        if row["label"] != _SKIPPED and row["image"] in there
    ]
    for image in there - {PurePosixPath(photo.file).stem for photo in photos}:
        (images / f"{image}.jpg").unlink()
    return photos


def _members(packed: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    """Name and content of images.csv and of each photo; paths in the archive are looked at, never written to."""
    for member in packed:
        parts = PurePosixPath(member.name).parts[1:]
        wanted = parts == (_TABLE,) or (len(parts) == 2 and parts[0] == "images" and _PHOTO.fullmatch(parts[1]))
        if not wanted or not member.isfile() or member.size > _MAX_PHOTO:
            continue
        stream = packed.extractfile(member)
        if stream is not None:
            yield parts[-1], stream.read()


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
