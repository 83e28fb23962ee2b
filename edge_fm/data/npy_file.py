"""NPY files: an array of images with a labels file beside it, or a pickled dict of `features` and `target`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from edge_fm.data.array_pickle import load_arrays
from edge_fm.data.raw import Part, Raw, Shape, assemble, describe_file, one_column, read_names
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn

MAGIC = b"\x93NUMPY"
DICT_KEYS: tuple[tuple[str, str], ...] = (
    ("features", "target"),
    ("features", "labels"),
    ("data", "target"),
    ("data", "labels"),
    ("images", "labels"),
    ("x", "y"),
    ("X", "y"),
)


def read_npy(path: Path, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read an NPY file; see `edge_fm.data.sources.load_dataset`.

    Raises:
        DataError: damaged, without labels, or a pickle of anything but arrays.
    """
    progress(f"Reading {path.name}", 0, None)
    content = _open(path)
    names = read_names(path.parent)
    if isinstance(content, Mapping):
        keys = next((k for k in DICT_KEYS if all(isinstance(content.get(name), np.ndarray) for name in k)), None)
        if keys is None:
            raise DataError(
                f"{path} holds a dict of {', '.join(map(str, content)) or 'nothing'}; supported are dicts of arrays "
                f"called {'; '.join(', '.join(k) for k in DICT_KEYS)}.",
                hint="Save it so: numpy.savez(path, images=..., labels=...).",
            )
        part = Part(content[keys[0]], one_column(content[keys[1]]), lambda row: f"{path}, {keys[0]}, image {row}")
        return assemble(part, None, shape=shape, names=names, files={path.name: describe_file(path)})
    beside = _labels_beside(path)
    labels = _open(beside)
    if isinstance(labels, Mapping):
        raise DataError(f"{beside} holds a dict; labels are an array [N].")
    part = Part(content, one_column(labels), lambda row: f"{path}, image {row}")
    files = {p.name: describe_file(p) for p in (path, beside)}
    return assemble(part, None, shape=shape, names=names, files=files)


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
            f"{where} is no NumPy array that can be read: {error}.", hint="Write it again: numpy.save."
        ) from error
    if dtype.hasobject:
        if not pickled:
            raise DataError(
                f"{where} holds pickled Python objects; supported are arrays of numbers.",
                hint="Convert it first, where it comes from: array.astype(numpy.uint8).",
            )
        return load_arrays(stream, where=where)
    expected = math.prod(shape) * dtype.itemsize
    content = stream.read(min(expected, size) + 1)
    if len(content) != expected:
        raise DataError(
            f"{where} says {list(shape)} values of {dtype}, {expected} bytes, but has "
            f"{'more' if len(content) > expected else len(content)}.",
            hint="It was cut short or changed on its way: copy it again.",
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
