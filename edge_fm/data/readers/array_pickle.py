"""Read pickles that hold NumPy arrays and nothing else.

A pickle is a program. This reader lets it name only what NumPy writes for arrays, and resolves each of these names
with a stand-in of its own, which checks sizes and types before it makes an array. Nothing of the pickle's choice is
ever called.
"""

from __future__ import annotations

import math
import pickle
import re
from typing import IO, Any

import numpy as np

from edge_fm_runtime.errors import DataError

_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248]|[US]\d{1,5}|O8?)")


class _Dtype:
    """Stands in for numpy.dtype: plain numbers, text, and objects for the outermost array."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        text = code.decode("latin-1") if isinstance(code, bytes) else code
        if not isinstance(text, str) or _DTYPE.fullmatch(text) is None:
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise pickle.UnpicklingError("an array of records")
        order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")
        elif order == "<":
            self.dtype = self.dtype.newbyteorder("<")
        elif order not in ("|", "="):
            raise pickle.UnpicklingError("an array of an unknown byte order")


class _Array:
    """Stands in for numpy.ndarray; `value` is the array, or for an array of objects the list of them."""

    value: Any = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array of an unknown layout")
        _, shape, dtype, fortran, content = state
        self.value = _build(content, dtype, shape, "F" if fortran else "C")


def _build(content: object, dtype: object, shape: object, order: object) -> Any:
    if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple) or not all(_is_size(n) for n in shape):
        raise pickle.UnpicklingError("an array of an unknown layout")
    if dtype.dtype.hasobject:
        if not isinstance(content, list) or len(content) != math.prod(shape):
            raise pickle.UnpicklingError("an array of objects of an unknown layout")
        return content
    if isinstance(content, str):  # Python 2 wrote bytes as text
        content = content.encode("latin-1")
    if not isinstance(content, bytes | bytearray) or len(content) != math.prod(shape) * dtype.dtype.itemsize:
        raise pickle.UnpicklingError("an array whose size does not fit its bytes")
    return np.frombuffer(bytes(content), dtype.dtype).reshape(shape, order="F" if order == "F" else "C")


def _is_size(n: object) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:
    if subtype is not _Array:
        raise pickle.UnpicklingError("an array of an unknown class")
    return _Array()


def _from_buffer(content: object, dtype: object, shape: object, order: object, axes: object = None) -> _Array:
    if axes is not None:
        raise pickle.UnpicklingError("an array of an unknown layout")
    array = _Array()
    array.value = _build(content, dtype, shape, order)
    return array


def _scalar(dtype: object, content: object) -> Any:
    return _build(content, dtype, (), "C")[()]


def _latin1(text: object, encoding: object) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("text of an unknown encoding")
    return text.encode("latin-1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
}
for _package in ("numpy.core", "numpy._core"):  # NumPy 1 and NumPy 2
    _ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[f"{_package}.multiarray", "scalar"] = _scalar
    _ALLOWED[f"{_package}.numeric", "_frombuffer"] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}") from None

    def persistent_load(self, pid: Any, /) -> Any:
        raise pickle.UnpicklingError("a reference to something outside")


def load_arrays(stream: IO[bytes], *, where: str) -> Any:
    """Read a pickle of arrays, or of dicts, lists and tuples of arrays, numbers and text.

    Args:
        stream: at the pickle.
        where: the file, for messages.

    Returns:
        The dict of arrays. An array of objects that holds one is opened, as `numpy.save` wraps other objects in one.

    Raises:
        DataError: the pickle names anything else, or is damaged. Nothing of it has run.
    """
    try:
        value = _Unpickler(stream, fix_imports=False, encoding="latin-1").load()
        value = _open_up(value, 0)
    except DataError:
        raise
    except Exception as error:  # on hostile bytes the unpickler raises anything from EOFError to TypeError
        raise DataError(
            f"{where} is refused: its pickle is damaged or holds {error or type(error).__name__}. Supported are NumPy "
            "arrays and a dict of them; nothing of it has been run.",
            hint="Where you trust it, convert it there: numpy.savez(path, images=..., labels=...).",
        ) from error
    if isinstance(value, dict | np.ndarray):
        return value
    raise DataError(f"{where} holds a {type(value).__name__}; supported are an array and a dict of arrays.")


def _open_up(value: Any, depth: int) -> Any:
    if depth > 8:
        raise pickle.UnpicklingError("something nested too deep")
    if isinstance(value, _Array):
        value = value.value
        if isinstance(value, list) and len(value) == 1:
            return _open_up(value[0], depth + 1)
    if isinstance(value, dict):
        return {_key(k): _open_up(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        raise pickle.UnpicklingError("a list of objects")
    if isinstance(value, _Dtype) or value is None or isinstance(value, type):
        raise pickle.UnpicklingError("something that is not an array")
    return value


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise pickle.UnpicklingError(f"a dict with the key {key!r}"[:100])
    return key
