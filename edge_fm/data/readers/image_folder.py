"""A folder of pictures, one subfolder for each class, with or without a training, a validation and a test part."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_fm.data.dataset import Images, Split
from edge_fm.data.readers.raw import Raw, Shape
from edge_fm.data.readers.split_names import DESCRIPTION, PART_NAMES, PartName, notes_of_parts
from edge_fm.data.readers.unreadable import check_unreadable
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import DataError, PhotoError
from edge_fm_runtime.photos.suffixes import LISTED, count_in_words, is_photo_name, kind_passed_over
from edge_fm_runtime.progress import ProgressFn
from edge_fm_runtime.system.machine import usable_cpus

# What archives and tools leave beside the folders that a person made.
_LEFT_BY_TOOLS = frozenset({"__MACOSX", "__pycache__"})
_MAX_BYTES = 16 << 30
_USUAL_SIDES = (28, 32, 48, 64, 96, 128, 160, 192, 224)
_LISTED = 10


@dataclass(frozen=True)
class _Picture:
    path: Path
    label: int


def read_image_folder(
    folder: Path, *, shape: Shape | None, photo: PhotoSpec, progress: ProgressFn, skip_unreadable: float = 0.0
) -> Raw:
    """Read a folder of pictures; see `edge_fm.data.sources.load_dataset`.

    A class is a subfolder, called by its name; deeper folders belong to it. Names that begin with a dot are passed
    over. `train/`, `val/` and `test/` of such subfolders are splits (`PART_NAMES` has their other names): `val/` is the
    validation set, whether or not there is a `test/`.

    Args:
        folder: what to read.
        shape: height, width, channels of the canvas; None where all pictures have one size.
        photo: how a picture meets the canvas.
        progress: called with pictures.
        skip_unreadable: share of the pictures that may be left out because they cannot be read; the notes list them.

    Raises:
        DataError: no pictures, parts that cannot be told apart, sizes that differ without a shape, or pictures that
            cannot be read (they are listed).
    """
    if shape is not None:
        check_photo_shape(shape)
    parts, unread = _find_parts(folder)
    notes: dict[str, object] = {}
    if unread:
        notes["not_read"] = ", ".join(f"{sub.name}/" for sub in unread) + f" (parts are called {DESCRIPTION})"
    folders = parts or {"train": folder}
    names = _class_names(list(folders.values()))
    _check_depth(folders, names)
    pictures = {part: _pictures(sub, names) for part, sub in folders.items()}
    train = pictures["train"]
    if parts:
        notes |= notes_of_parts(
            {part: f"{sub.name}/" for part, sub in parts.items()}, {part: len(p) for part, p in pictures.items()}
        )
    _check_counts(folder, names, train, alone="test" not in pictures)
    every = [picture for part in pictures.values() for picture in part]
    if shape is not None and len(every) * int(np.prod(shape)) > _MAX_BYTES:
        raise DataError(
            f"{len(every)} pictures of {'x'.join(map(str, shape))} need more than {_MAX_BYTES >> 30} GiB.",
            hint="Give a smaller shape with --size.",
        )
    pixels, keys, kept, unreadable = _decode(every, shape, photo, folder, progress, skip_unreadable)
    if passed_over := _passed_over(folder, folders.values(), names):
        notes["passed_over"] = passed_over
    if unreadable:
        notes["unreadable"] = {"pictures": len(every), "left_out": unreadable}
        pictures = {part: [p for p in those if p in kept] for part, those in pictures.items()}
        every, train = [p for p in every if p in kept], pictures["train"]
        _check_counts(folder, names, train, alone="test" not in pictures)
    labels = np.array([picture.label for picture in every], dtype=np.int64)
    splits: dict[PartName, Split] = {}
    start = 0
    for part, those in pictures.items():
        files = tuple(picture.path.relative_to(folder).as_posix() for picture in those)
        splits[part] = Split(pixels[start : start + len(those)], labels[start : start + len(those)], files)
        start += len(those)
    return Raw(
        label_names=names,
        train=splits["train"],
        test=splits.get("test"),
        keys=keys[: len(train)],
        notes=notes,
        validation=splits.get("validation"),
    )


def check_photo_shape(shape: Shape) -> None:
    """Refuse a shape that no photo can be brought to, once and not for every picture.

    Raises:
        DataError: it has other channels than grey or RGB.
    """
    from edge_fm_runtime.photos.canvas import check_shape

    try:
        check_shape(shape)
    except PhotoError as error:
        raise DataError(error.message, hint=error.hint) from error


def _find_parts(folder: Path) -> tuple[dict[PartName, Path], list[Path]]:
    """The parts of a folder, and its folders of pictures that are none of them; no parts where it holds the classes.

    Raises:
        DataError: a part is there twice, or what is there lacks one to learn from or one to be judged by.
    """
    named = [p for p in _folders(folder) if p.name.lower() in PART_NAMES]
    others = [p for p in _folders(folder) if p not in named and _files(p)]
    if others:  # beside classes, a folder called test that holds pictures itself is a class
        named = [p for p in named if any(_files(sub) for sub in _folders(p))]
    parts: dict[PartName, Path] = {}
    for path in named:
        part = PART_NAMES[path.name.lower()]
        if part in parts:
            raise DataError(
                f"{folder} has {parts[part].name}/ and {path.name}/, which both mean the {part} images.",
                hint="Put the pictures of both into one of them.",
            )
        parts[part] = path
    if "train" not in parts and others:
        return {}, []
    if others and len(parts) == 1:
        raise DataError(
            f"{folder} has train/ and, beside it, {', '.join(f'{p.name}/' for p in others[:_LISTED])}, which is the "
            f"name of no part; parts are called {DESCRIPTION}.",
            hint="Rename it (val/ chooses the best epoch, test/ judges the model), or give the folder of the classes.",
        )
    if parts and ("train" not in parts or len(parts) == 1):
        have, need = ", ".join(p.name for p in parts.values()), "test" if "train" in parts else "train"
        raise DataError(
            f"{folder} has the part {have} alone.", hint=f"Add {need}/, or give the folder of the classes itself."
        )
    order: tuple[PartName, ...] = ("train", "validation", "test")
    return {part: parts[part] for part in order if part in parts}, others if parts else []


def has_pictures(folder: Path) -> bool:
    """Whether any subfolder holds a picture."""
    return any(_files(sub) for sub in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    """Subfolders, without those that no person means as a class, such as __MACOSX and hidden ones.

    Raises:
        DataError: one is a link to a folder that holds this one, or to a whole file system.
    """
    found = sorted(
        p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and p.name not in _LEFT_BY_TOOLS
    )
    here = folder.resolve()
    for link in (p for p in found if p.is_symlink()):
        target = link.resolve()
        if target == here or target in here.parents or target.is_mount():
            raise DataError(
                f"{link} is a link to {target}, which is no folder of one class: it "
                + ("is a whole file system." if target.is_mount() else "holds the data itself."),
                hint="Remove the link, or let it lead to the folder of the pictures.",
            )
    return found


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """A folder, its links to folders and its files; then each of its subfolders. Links are not followed.

    Raises:
        DataError: one cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise DataError(
            f"The folder {error.filename} cannot be listed: {error.strerror}.",
            hint="Check its rights, or move it away: what is in it would be missing.",
        ) from error

    for root, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _LEFT_BY_TOOLS]
        links = [name for name in folders if Path(root, name).is_symlink()]
        yield Path(root), links, files


def _files(folder: Path) -> list[Path]:
    found = [root / name for root, _, files in _walk(folder) for name in files if is_photo_name(name)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _passed_over(folder: Path, parts: Iterable[Path], names: Sequence[str]) -> str:
    """What lies among the pictures and is not read, for a person; empty where there is nothing."""
    kinds: Counter[str] = Counter()
    loose = linked = 0
    for part in dict.fromkeys([folder, *parts]):
        loose += sum(is_photo_name(p.name) for p in part.iterdir() if p.is_file())
    for part in parts:
        for name in (name for name in names if (part / name).is_dir()):
            for _, links, files in _walk(part / name):
                linked += len(links)
                kinds.update(kind_passed_over(f) for f in files if not is_photo_name(f))
    told = [count_in_words(kinds)] if kinds else []
    if linked:
        told.append(f"{linked:,} {'link to a folder' if linked == 1 else 'links to folders'} within a class")
    if loose:
        told.append(f"{loose:,} {'picture' if loose == 1 else 'pictures'} in no class's folder")
    return "; ".join(told)


def _class_names(parts: Sequence[Path]) -> tuple[str, ...]:
    names = sorted({sub.name for part in parts for sub in _folders(part)})
    if not names:
        raise DataError(
            f"{parts[0]} has no subfolders.",
            hint="Put the pictures of each class into a folder of its own, called by the class's name.",
        )
    return tuple(names)


def _check_depth(parts: Mapping[PartName, Path], names: Sequence[str]) -> None:
    """Refuse a folder around the classes, which would make one class of them all.

    Raises:
        DataError: there is one class alone, and its pictures lie in several folders, none beside them.
    """
    if len(names) != 1:
        return
    for part, folder in parts.items():
        only = folder / names[0]
        if not only.is_dir() or any(is_photo_name(p.name) for p in only.iterdir() if p.is_file()):
            continue
        within = [f"{sub.name}/" for sub in _folders(only) if _files(sub)]
        if len(within) > 1:
            raise DataError(
                f"{folder} has a single class, {names[0]}, as that is its only folder; in it are {len(within)} folders "
                f"of pictures: {', '.join(within[:_LISTED])}.",
                hint=f"Give the folder of the classes: {only}"
                if part == "train" and len(parts) == 1
                else f"Move these up into {folder}.",
            )


def _pictures(folder: Path, names: tuple[str, ...]) -> list[_Picture]:
    """The pictures of a part; a class that another part has may be missing in this one."""
    there = [(label, folder / name) for label, name in enumerate(names) if (folder / name).is_dir()]
    return [_Picture(path, label) for label, sub in there for path in _files(sub)]


def _check_counts(folder: Path, names: tuple[str, ...], train: Sequence[_Picture], *, alone: bool) -> None:
    counts = np.bincount([picture.label for picture in train], minlength=len(names))
    least = 2 if alone else 1
    few = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count < least]
    if few:
        why = "one to learn from and one to be judged by" if alone else "to learn from"
        raise DataError(
            f"{folder}: {len(few)} of {len(names)} classes have too few training pictures: {', '.join(few[:_LISTED])}. "
            f"Each needs at least {least}, {why}.",
            hint=f"Add pictures ({LISTED}), or move the folder away. "
            "A class has folders of the same name in every part, capitals and accents alike.",
        )


def _decode(
    pictures: Sequence[_Picture],
    shape: Shape | None,
    photo: PhotoSpec,
    folder: Path,
    progress: ProgressFn,
    skip_unreadable: float,
) -> tuple[Images, list[bytes], set[_Picture], list[str]]:
    """Pixels and file hashes of the pictures that can be read, which pictures these are, and why not the others."""
    from edge_fm_runtime.photos.photo import load_canvas, make_canvas, open_photo

    def decode(picture: _Picture) -> tuple[Images, bytes] | PhotoError:
        try:
            if shape is None:
                image = open_photo(picture.path)
                canvas = make_canvas(image, (image.height, image.width, 1 if image.mode == "L" else 3), photo)
            else:
                canvas = load_canvas(picture.path, shape, photo)
            with picture.path.open("rb") as stream:
                return canvas, hashlib.file_digest(stream, "sha256").digest()
        except PhotoError as error:
            return error

    canvases: list[Images] = []
    keys, failures, kept = [], [], set()
    # Decoders work outside Python's lock, so threads help as far as there are cores.
    with ThreadPoolExecutor(max_workers=min(8, usable_cpus())) as pool:
        for i, result in enumerate(pool.map(decode, pictures)):
            if isinstance(result, PhotoError):
                failures.append(result.message)
            else:
                kept.add(pictures[i])
                canvases.append(result[0])
                keys.append(result[1])
                if result[0].shape[:2] != canvases[0].shape[:2]:
                    pool.shutdown(cancel_futures=True)
                    raise _sizes_differ(folder, pictures[i].path, result[0], canvases[0])
            progress(f"Reading {folder.name}", i + 1, len(pictures))
    check_unreadable(failures, len(pictures), skip_unreadable)
    channels = max(canvas.shape[2] for canvas in canvases)
    pixels = np.stack([np.broadcast_to(c, (*c.shape[:2], channels)) for c in canvases])
    return pixels, keys, kept, failures


def _sizes_differ(folder: Path, path: Path, canvas: Images, first: Images) -> DataError:
    size = _common_size(canvas, first)
    return DataError(
        f"The pictures of {folder} have different sizes: {path.name} has {canvas.shape[1]}x{canvas.shape[0]} pixels, "
        f"those before it {first.shape[1]}x{first.shape[0]}.",
        hint=f"Give the size to bring them to, height x width x channels: --size {'x'.join(map(str, size))} "
        f"(in a recipe: shape = {list(size)} under [data]).",
    )


def _common_size(*canvases: Images) -> Shape:
    """A usual square that none of them has to be enlarged to, in colour where one of them is."""
    side = min(min(canvas.shape[:2]) for canvas in canvases)
    usual = max((size for size in _USUAL_SIDES if size <= side), default=side)
    return (usual, usual, max(canvas.shape[2] for canvas in canvases))
