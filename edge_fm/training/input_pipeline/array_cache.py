"""Arrays that training computes once and stores in the user's cache folder: features and teachers' predictions."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_fm.data.streaming.images import as_streamed
from edge_fm.models.keras_import import require_keras
from edge_fm_runtime.errors import CacheWarning
from edge_fm_runtime.system.package_versions import package_version
from edge_fm_runtime.system.sealed_file import why_damaged, write_sealed
from edge_fm_runtime.system.user_cache import own_folder, prune

_MAX_BYTES = 4 << 30


class ArrayCache:
    """The arrays of one model and one set of images.

    Args:
        kind: folder within the cache, such as "features".
        facts: JSON values, all that the arrays depend on beside Keras and its backend.
        what: the arrays, for warnings.

    Attributes:
        folder: where the arrays are stored; None where the user has no cache folder that can be written to.
    """

    def __init__(self, kind: str, facts: Mapping[str, Any], *, what: str) -> None:
        keras = require_keras("training")
        backend = keras.backend.backend()
        known = {**facts, "keras": keras.__version__, "backend": [backend, package_version(backend)]}
        key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
        self._what, self.folder = what, own_folder(kind, key)

    def read(self, name: str, shape: tuple[int, ...], *, mmap: bool = False) -> NDArray[np.float32] | None:
        """A stored float32 array of this shape; None where there is none.

        Warns:
            CacheWarning: it is damaged.
        """
        if self.folder is None:
            return None
        path = self.folder / name
        try:
            if (reason := why_damaged(path)) is not None:
                text = f"Stored {self._what} are not used: {reason}. They are computed again."
                warnings.warn(text, CacheWarning, stacklevel=3)
                return None
            array: NDArray[np.float32] = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
            os.utime(self.folder)  # when it was last used, for pruning
        except (OSError, ValueError, EOFError):  # not there, or not readable: computed again
            return None
        return array if array.shape == shape and array.dtype == np.float32 else None

    def write(self, name: str, array: NDArray[np.float32]) -> bool:
        """Store an array, and of older ones as many as there is room for; whether it could be done."""
        if self.folder is None:
            return False
        try:
            write_sealed(self.folder / name, lambda file: np.save(file, array, allow_pickle=False))
            prune(self.folder.parent, keep=self.folder, max_bytes=_MAX_BYTES)
        except OSError:  # read-only or full: computing it again is all that it costs
            return False
        return True


def bytes_hash(*arrays: NDArray[Any]) -> str:
    """SHA-256 (hex) of the arrays' bytes; of images that are not in memory, of their fingerprints."""
    digest = hashlib.sha256()
    for array in arrays:
        streamed = as_streamed(array)
        digest.update(np.ascontiguousarray(array).data if streamed is None else b"".join(streamed.fingerprints()))
    return digest.hexdigest()
