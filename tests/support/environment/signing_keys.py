"""Keys for tests, made anew for each; needs the package cryptography."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def make_key(folder: Path, name: str = "signing", *, curve: str = "SECP256R1", password: str | None = None) -> Path:
    """Write `name.key` and `name.pub`.

    Returns:
        the private key's file.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    return write_key(folder, name, ec.generate_private_key(getattr(ec, curve)()), password=password)


def write_key(folder: Path, name: str, key: Any, *, password: str | None = None) -> Path:
    """Write a private key of any kind and its public key as PEM files."""
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    file = folder / f"{name}.key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    file.with_suffix(".pub").write_bytes(public)
    return file
