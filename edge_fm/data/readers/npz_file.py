"""NPZ files: images and labels as arrays with names."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from pathlib import Path

from edge_fm.data.memory import require_memory
from edge_fm.data.readers.array_names import CLASS_NAMES, select_arrays
from edge_fm.data.readers.npy_file import read_array
from edge_fm.data.readers.raw import Raw, Shape, assemble, describe_file, read_names
from edge_fm.data.readers.split_names import Array, Part, notes_of_parts
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn

_MAX_BYTES = 16 << 30


def read_npz(path: Path, *, shape: Shape | None, progress: ProgressFn) -> Raw:
    """Read an NPZ file; see `edge_fm.data.sources.load_dataset`.

    Raises:
        DataError: damaged, too large, pickled, or without arrays that are known by name.
    """
    stage = f"Reading {path.name}"
    try:
        with zipfile.ZipFile(path) as archive:
            members = {i.filename.removesuffix(".npy"): i for i in archive.infolist() if i.filename.endswith(".npy")}
            choice = select_arrays(list(members), str(path))
            wanted = [key for pair in choice.keys.values() for key in pair]
            wanted += [key for key in CLASS_NAMES if key in members]
            # A zip names the unpacked sizes, and Python's reader gives no byte more: a bomb is refused unlit.
            total = sum(members[k].file_size for k in wanted)
            if total > _MAX_BYTES:
                raise DataError(f"{path} unpacks to {total / 2**30:.1f} GiB; at most {_MAX_BYTES >> 30} GiB are read.")
            require_memory(total, str(path))
            arrays: dict[str, Array] = {}
            done = 0
            for key in wanted:
                progress(stage, done, total)
                with archive.open(members[key]) as stream:
                    arrays[key] = read_array(stream, members[key].file_size, f"{path}, {key}")
                done += members[key].file_size
            progress(stage, done, total)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Write it again: numpy.savez.") from error
    parts = {
        part: Part(arrays[images], arrays[labels], partial(_locate, path, images))
        for part, (images, labels) in choice.keys.items()
    }
    counts = {part: len(given.images) if given.images.ndim else 0 for part, given in parts.items()}
    notes = notes_of_parts({part: images for part, (images, _) in choice.keys.items()}, counts)
    names = next((tuple(map(str, arrays[k].reshape(-1).tolist())) for k in CLASS_NAMES if k in arrays), None)
    return assemble(
        parts,
        shape=shape,
        names=names or read_names(path.parent),
        files={path.name: describe_file(path)},
        notes={**choice.notes, **(notes if len(parts) > 1 else {})},
    )


def _locate(path: Path, key: str, row: int) -> str:
    return f"{path}, {key}, image {row}"
