"""SHA-256 by the library that a process has loaded."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from edge_fm_runtime.system.sha256 import sha256_hex


def test_it_is_sha256() -> None:
    assert sha256_hex(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert sha256_hex(b"abc") == sha256_hex(iter([b"a", b"", b"bc"]))
    assert sha256_hex(b"") == sha256_hex(iter([])) == hashlib.sha256().hexdigest()


@pytest.mark.needs("cryptography")
def test_where_cryptography_is_loaded_it_loads_no_second_openssl() -> None:
    script = """
import sys
from cryptography.hazmat.primitives import hashes
from edge_fm_runtime.system.sha256 import sha256_hex
whole, parts = sha256_hex(b"abc"), sha256_hex(iter([b"a", b"bc"]))
assert "hashlib" not in sys.modules
import hashlib
assert whole == parts == hashlib.sha256(b"abc").hexdigest() == sha256_hex(b"abc")
"""
    subprocess.run([sys.executable, "-c", script], check=True)
