"""NPY files: an array of images with a labels file beside it, or a pickled dict of `features` and `target`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from edge_fm.data.dataset import SourceFile
from edge_fm.data.readers.array_names import SelectedArrays, select_arrays
from edge_fm.data.readers.array_pickle import load_arrays
from edge_fm.data.readers.raw import Raw, Shape, assemble, describe_file, read_names
from edge_fm.data.readers.split_names import Part, PartName, notes_of_parts
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn

MAGIC = b"\x93NUMPY"


def read_npy(path: Path, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read an NPY file; see `edge_fm.data.sources.load_dataset`.

    Raises:
        DataError: damaged, without labels, or a pickle of anything but arrays.
    """
    progress(f"Reading {path.name}", 0, None)
    content = _open(path)
    names = read_names(path.parent)
    if isinstance(content, Mapping):
        arrays = {str(key): value for key, value in content.items() if isinstance(value, np.ndarray)}
        choice = select_arrays(list(arrays), str(path))
        parts = {
            part: Part(arrays[images], arrays[labels], partial(_locate, path, images))
            for part, (images, labels) in choice.keys.items()
        }
        return assemble(parts, shape=shape, names=names, files={path.name: describe_file(path)}, notes=choice.notes)
    beside = _labels_beside(path)
    files = {p.name: describe_file(p) for p in (path, beside)}
    return assemble({"train": _pair(path, content, beside)}, shape=shape, names=names, files=files)


def find_npy_parts(folder: Path) -> SelectedArrays | None:
    """The NPY files of a folder that are images and labels by their names; None where they are not."""
    stems = [p.stem for p in sorted(folder.glob("*.npy"))]
    try:
        return select_arrays(stems, str(folder)) if len(stems) > 1 else None
    except DataError:  # other files: the caller reports what the folder holds
        return None


def read_npy_folder(folder: Path, choice: SelectedArrays, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read a folder of NPY files, such as x_train.npy and y_train.npy; see `edge_fm.data.sources.load_dataset`.

    Raises:
        DataError: as for `read_npy`.
    """
    parts: dict[PartName, Part] = {}
    files: dict[str, SourceFile] = {}
    for done, (part, stems) in enumerate(choice.keys.items()):
        progress(f"Reading {folder.name}", done, len(choice.keys))
        images, labels = (folder / f"{stem}.npy" for stem in stems)
        parts[part] = _pair(images, _open(images), labels)
        files |= {p.name: describe_file(p) for p in (images, labels)}
    notes = notes_of_parts(
        {part: f"{stems[0]}.npy" for part, stems in choice.keys.items()}, {p: len(v.images) for p, v in parts.items()}
    )
    return assemble(
        parts,
        shape=shape,
        names=read_names(folder),
        files=files,
        notes={**choice.notes, **(notes if len(parts) > 1 else {})},
    )


def _pair(path: Path, images: Any, beside: Path) -> Part:
    labels = _open(beside)
    for file, content, what in ((path, images, "images"), (beside, labels, "labels")):
        if not isinstance(content, np.ndarray) or (what == "images" and not content.ndim):
            raise DataError(f"{file} holds no array of {what}.", hint="Write it again: numpy.save.")
    return Part(images, labels, lambda row: f"{path}, image {row}")


def _locate(path: Path, key: str, row: int) -> str:
    return f"{path}, {key}, image {row}"


def _labels_beside(path: Path) -> Path:
    stem = path.stem
    names = [f"{stem}_labels", f"{stem}-labels", stem.replace("images", "labels"), "labels"]
    if stem.lower().startswith("x"):
        names += ["y" + stem[1:], "Y" + stem[1:]]
    candidates = [path.with_name(f"{name}.npy") for name in dict.fromkeys(names) if name != stem]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise DataError(
        f"{path} is an array without labels, and there is none of {', '.join(c.name for c in candidates)} beside it.",
        hint="Save both in one file: numpy.savez(path, images=..., labels=...).",
    )


def _open(path: Path) -> Any:
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                stream.seek(0)
                return load_arrays(stream, where=str(path))
            stream.seek(0)
            return read_array(stream, size, str(path), pickled=True)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def read_array(stream: IO[bytes], size: int, where: str, *, pickled: bool = False) -> Any:
    """Read one array in NPY format.

    Args:
        stream: at its beginning.
        size: bytes of the whole file.
        where: the file, for messages.
        pickled: admit a pickled dict of arrays; see `array_pickle`.

    Raises:
        DataError: damaged, cut short, or pickled.
    """
    try:
        version = np.lib.format.read_magic(stream)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
    except (ValueError, SyntaxError, RecursionError) as error:
        raise DataError(
            f"{where} is not a readable NumPy array: {error}.", hint="Write it again: numpy.save."
        ) from error
    if dtype.hasobject:
        if not pickled:
            raise DataError(
                f"{where} holds pickled Python objects; supported are arrays of numbers.",
                hint="Convert it first, where it comes from: images.astype(numpy.uint8), labels.astype(str).",
            )
        return load_arrays(stream, where=where)
    if any(side < 0 for side in shape):
        raise DataError(f"{where} declares the shape {list(shape)}.", hint="Write it again: numpy.save.")
    expected = math.prod(shape) * dtype.itemsize
    content = stream.read(min(expected, size) + 1)
    if len(content) != expected:
        raise DataError(
            f"{where} declares {list(shape)} values of {dtype}, {expected} bytes, but has "
            f"{'more' if len(content) > expected else len(content)}.",
            hint="It was cut short or changed on its way: copy it again.",
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
