"""SHA-256 by whichever library the process has loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def sha256_hex(content: bytes | Iterable[bytes]) -> str:
    """SHA-256 of bytes, or of parts one after the other, as 64 hexadecimal digits.

    The package cryptography, which checks signatures, brings an OpenSSL of its own. Where it is there, that of Python's
    `hashlib` is not loaded beside it, which would take 2 to 3 ms of the start of a process.
    """
    parts = (content,) if isinstance(content, bytes) else content
    hashes = sys.modules.get("cryptography.hazmat.primitives.hashes")
    if hashes is not None and "hashlib" not in sys.modules:
        ours = hashes.Hash(hashes.SHA256())
        for part in parts:
            ours.update(part)
        digest: bytes = ours.finalize()
        return digest.hex()
    import hashlib

    theirs = hashlib.sha256()
    for part in parts:
        theirs.update(part)
    return theirs.hexdigest()
