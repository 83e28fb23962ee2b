"""NPZ files: images and labels as arrays with names."""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from pathlib import Path

from edge_fm.data.npy_file import read_array
from edge_fm.data.raw import Array, Part, Raw, Shape, assemble, describe_file, one_column, read_names
from edge_fm_runtime.errors import DataError
from edge_fm_runtime.progress import ProgressFn

SPLIT_KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("x_train", "y_train", "x_test", "y_test"),
    ("X_train", "y_train", "X_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("train_x", "train_y", "test_x", "test_y"),
)
WHOLE_KEYS: tuple[tuple[str, str], ...] = (
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("images", "labels"),
    ("x", "y"),
    ("X", "y"),
    ("data", "target"),
    ("data", "labels"),
    ("features", "target"),
    ("features", "labels"),
)
_NAME_KEYS = ("label_names", "class_names", "target_names", "classes")
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
            keys = _choose(set(members), path)
            wanted = [*keys, *(k for k in _NAME_KEYS if k in members)]
            # A zip names the unpacked sizes, and Python's reader gives no byte more: a bomb is refused unlit.
            total = sum(members[k].file_size for k in wanted)
            if total > _MAX_BYTES:
                raise DataError(f"{path} unpacks to {total / 2**30:.1f} GiB; at most {_MAX_BYTES >> 30} GiB are read.")
            arrays: dict[str, Array] = {}
            done = 0
            for key in wanted:
                progress(stage, done, total)
                with archive.open(members[key]) as stream:
                    arrays[key] = read_array(stream, members[key].file_size, f"{path}, {key}")
                done += members[key].file_size
            progress(stage, done, total)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", hint="Write it again: numpy.savez.") from error
    pairs = [(keys[i], keys[i + 1]) for i in range(0, len(keys), 2)]
    parts = [Part(arrays[x], one_column(arrays[y]), partial(_locate, path, x)) for x, y in pairs]
    names = next((tuple(map(str, arrays[k].reshape(-1).tolist())) for k in _NAME_KEYS if k in arrays), None)
    return assemble(
        parts[0],
        parts[1] if len(parts) > 1 else None,
        shape=shape,
        names=names or read_names(path.parent),
        files={path.name: describe_file(path)},
    )


def _choose(present: set[str], path: Path) -> tuple[str, ...]:
    for keys in (*SPLIT_KEYS, *WHOLE_KEYS):
        if present.issuperset(keys):
            return keys
    known = "; ".join(", ".join(keys) for keys in (*SPLIT_KEYS, *WHOLE_KEYS))
    raise DataError(
        f"{path} has the arrays {', '.join(sorted(present)) or 'none'}; supported are {known}.",
        hint="Name them so: numpy.savez(path, x_train=..., y_train=..., x_test=..., y_test=...).",
    )


def _locate(path: Path, key: str, row: int) -> str:
    return f"{path}, {key}, image {row}"
