"""Where the images of a folder lie: its parts, its classes, their files, and what is passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from edge_fm.data.readers.split_names import DESCRIPTION, ORDER, PART_NAMES, PartName
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.photos.folders import describe_skipped, is_skipped_folder, photos_below
from edge_fm_runtime.photos.suffixes import describe_counts, is_photo_name, kind_passed_over

MAX_LISTED = 10
"""Names in one message at the most."""


def find_parts(folder: Path) -> tuple[dict[PartName, Path], list[Path]]:
    """The parts of a folder, and its folders of images that are none of them; no parts where it holds the classes.

    Raises:
        DataError: a part is there twice, or the training part or one to evaluate on is missing.
    """
    named = [p for p in _folders(folder) if p.name.lower() in PART_NAMES]
    others = [p for p in _folders(folder) if p not in named and list_image_files(p)]
    if others:  # beside classes, a folder called test that holds images itself is a class
        named = [p for p in named if any(list_image_files(sub) for sub in _folders(p))]
    parts: dict[PartName, Path] = {}
    for path in named:
        part = PART_NAMES[path.name.lower()]
        if part in parts:
            raise DataError(
                f"{folder} has {parts[part].name}/ and {path.name}/, which both mean the {part} images.",
                hint="Put the images of both into one of them.",
            )
        parts[part] = path
    if "train" not in parts and others:
        return {}, []
    if others and len(parts) == 1:
        raise DataError(
            f"{folder} has train/ and, beside it, {', '.join(f'{p.name}/' for p in others[:MAX_LISTED])}, which is the "
            f"name of no part; parts are called {DESCRIPTION}.",
            hint="Rename it (val/ for validation, test/ for the test), or give the folder of the classes.",
        )
    if parts and ("train" not in parts or len(parts) == 1):
        have, need = ", ".join(p.name for p in parts.values()), "test" if "train" in parts else "train"
        raise DataError(
            f"{folder} has the part {have} alone.", hint=f"Add {need}/, or give the folder of the classes itself."
        )
    return {part: parts[part] for part in ORDER if part in parts}, others if parts else []


def has_images(folder: Path) -> bool:
    """Whether any subfolder holds an image."""
    return any(list_image_files(sub) for sub in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    """Subfolders, without those that no person means as a class, such as __MACOSX and hidden ones.

    Raises:
        DataError: one is a link to a folder that holds this one, or to a whole file system.
    """
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not is_skipped_folder(p.name))
    here = folder.resolve()
    for link in (p for p in found if p.is_symlink()):
        target = link.resolve()
        if target == here or target in here.parents or target.is_mount():
            raise DataError(
                f"{link} is a link to {target}, which is not a folder of one class: it "
                + ("is a whole file system." if target.is_mount() else "holds the data itself."),
                hint="Remove the link, or let it lead to the folder of the images.",
            )
    return found


def _walk(folder: Path, skipped: list[Path] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder, its links to folders and its files; then each of its subfolders. Links are not followed.

    Args:
        folder: where to begin.
        skipped: takes the folders that are not gone into.

    Raises:
        DataError: one cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise DataError(
            f"The folder {error.filename} cannot be listed: {error.strerror}.",
            hint="Check its rights, or move it away: what is in it would be missing.",
        ) from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        if skipped is not None:
            skipped.extend(Path(root, name) for name in folders if is_skipped_folder(name))
        folders[:] = [name for name in folders if not is_skipped_folder(name)]
        links = [name for name in folders if Path(root, name).is_symlink()]
        yield Path(root), links, files


def list_image_files(folder: Path) -> list[Path]:
    """The images of a folder and of those below it, sorted by their paths in it."""
    found = [root / name for root, _, files in _walk(folder) for name in files if is_photo_name(name)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def passed_over(folder: Path, parts: Iterable[Path], names: Sequence[str]) -> str:
    """What lies among the images and is not read, for a person; empty where there is nothing."""
    kinds: Counter[str] = Counter()
    loose = linked = 0
    skipped: list[Path] = []
    for part in dict.fromkeys([folder, *parts]):
        loose += sum(is_photo_name(p.name) for p in part.iterdir() if p.is_file())
        skipped.extend(p for p in part.iterdir() if p.is_dir() and is_skipped_folder(p.name))
    for part in parts:
        for name in (name for name in names if (part / name).is_dir()):
            for _, links, files in _walk(part / name, skipped):
                linked += len(links)
                kinds.update(kind_passed_over(f) for f in files if not is_photo_name(f))
    found = [describe_counts(kinds)] if kinds else []
    if linked:
        found.append(f"{linked:,} {'link to a folder' if linked == 1 else 'links to folders'} within a class")
    if loose:
        found.append(f"{loose:,} {'image' if loose == 1 else 'images'} in no class's folder")
    if hidden := describe_skipped({path.relative_to(folder).as_posix(): photos_below(path) for path in skipped}):
        found.append(hidden)
    return "; ".join(found)


def class_names(parts: Sequence[Path]) -> tuple[str, ...]:
    """The names of the classes, sorted: those of the subfolders of any part.

    Raises:
        DataError: there are none.
    """
    names = sorted({sub.name for part in parts for sub in _folders(part)})
    if not names:
        raise DataError(
            f"{parts[0]} has no subfolders.",
            hint="Put the images of each class into a folder of its own, called by the class's name.",
        )
    return tuple(names)


def check_depth(parts: Mapping[PartName, Path], names: Sequence[str]) -> None:
    """Refuse a folder around the classes, which would make one class of them all.

    Raises:
        DataError: there is one class alone, and its images lie in several folders, none beside them.
    """
    if len(names) != 1:
        return
    for part, folder in parts.items():
        only = folder / names[0]
        if not only.is_dir() or any(is_photo_name(p.name) for p in only.iterdir() if p.is_file()):
            continue
        within = [f"{sub.name}/" for sub in _folders(only) if list_image_files(sub)]
        if len(within) > 1:
            raise DataError(
                f"{folder} has a single class, {names[0]}, as that is its only folder; in it are {len(within)} folders "
                f"of images: {', '.join(within[:MAX_LISTED])}.",
                hint=f"Give the folder of the classes: {only}"
                if part == "train" and len(parts) == 1
                else f"Move these up into {folder}.",
            )
