"""Read the arrays in a PyTorch state dict (`.pth`, `.pt`) without PyTorch, and without running code of the file's.

Both layouts are read: a zip archive (PyTorch 1.6 and later) and the row of pickles before it, as `torch.save` and
`torch.load` of PyTorch describe them. A pickle is a program; this reader lets it name what a state dict needs alone.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8"}
_DTYPES |= {"IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?"}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: object, offset: object, shape: object, strides: object, *_: object) -> _Tensor:
    whole = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    if (
        not whole
        or not isinstance(storage, _Storage)
        or not all(
            isinstance(n, int) and n >= 0
            for n in (offset, *shape, *strides)  # type: ignore[misc]
        )
    ):
        raise pickle.UnpicklingError("a tensor of an unknown layout")
    return _Tensor(storage, offset, shape, strides)  # type: ignore[arg-type]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any, /) -> _Storage:
        match pid:
            case ("storage", np.dtype() as dtype, str(key), _, int(size), *rest) if not any(rest) and size >= 0:
                return _Storage(key, dtype, size)
        raise pickle.UnpicklingError(f"a reference to {pid!r}")


def read_state_dict(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read the tensors of a state dict.

    Args:
        path: a file that `torch.save(model.state_dict(), path)` wrote, on a little-endian machine.

    Returns:
        Name -> array, in the file's order.

    Raises:
        ModelError: no such file, another kind of file, a damaged one, or one that holds anything but tensors.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            tensors, storages = _read_zip(file) if zipfile.is_zipfile(file) else _read_pickles(file)
        if not isinstance(tensors, Mapping) or not all(isinstance(value, _Tensor) for value in tensors.values()):
            raise pickle.UnpicklingError("more than named tensors")
        return {str(name): _array(tensor, storages) for name, tensor in tensors.items()}
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path} to load weights from.", hint="Check the path.") from error
    except (
        OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, MemoryError, RecursionError,
        OverflowError, struct.error, pickle.UnpicklingError, zipfile.BadZipFile,
    ) as error:  # fmt: skip
        raise ModelError(
            f"{path} is not a readable PyTorch state dict: {str(error) or type(error).__name__}.",
            hint="Supported: what torch.save(model.state_dict(), FILE) writes.",
        ) from error


def _read_zip(file: IO[bytes]) -> tuple[Any, dict[str, bytes]]:
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        (name,) = (name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl"))
        folder = name.removesuffix("data.pkl")
        tensors = _Unpickler(io.BytesIO(archive.read(name))).load()
        keys = (each.removeprefix(f"{folder}data/") for each in archive.namelist() if each.startswith(f"{folder}data/"))
        return tensors, {key: archive.read(f"{folder}data/{key}") for key in keys}


def _read_pickles(file: IO[bytes]) -> tuple[Any, dict[str, bytes]]:
    file.seek(0)
    if _Unpickler(file).load() != _MAGIC:
        raise pickle.UnpicklingError("it does not begin as one")
    _Unpickler(file).load()  # the version of the layout
    if not _Unpickler(file).load()["little_endian"]:
        raise pickle.UnpicklingError("it was written on a big-endian machine")
    tensors = _Unpickler(file).load()
    sizes = {each.storage.key: each.storage.dtype.itemsize for each in tensors.values() if isinstance(each, _Tensor)}
    storages = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * sizes[key])
    return tensors, storages


def _array(tensor: _Tensor, storages: Mapping[str, bytes]) -> npt.NDArray[Any]:
    storage = tensor.storage
    flat = np.frombuffer(storages[storage.key], storage.dtype)
    if math.prod(tensor.shape) == 0:
        return np.empty(tensor.shape, storage.dtype)
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.strides, strict=True))
    if len(flat) != storage.size or last >= len(flat):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    steps = tuple(stride * storage.dtype.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, steps).copy()
