"""Sign with a private key that lies in a file; no network is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_fm_runtime.errors import SigningKeyError
from edge_fm_runtime.signatures.bundle import Bundle, write_bundle, write_statement
from edge_fm_runtime.signatures.keys import (
    NEW_KEY,
    PublicKey,
    elliptic_curves,
    public_key_of,
    read_key_file,
    unsupported,
)


class PrivateKey:
    """A private key from a PEM file.

    Args:
        path: the file.
        password: called for the password where the key is encrypted; returns None where there is none to be had.

    Attributes:
        public: the key that checks what this one signs.

    Raises:
        SigningKeyError: it cannot be read, is of an unsupported kind, or the password is wrong or missing.
        MissingDependencyError: cryptography is not installed.
    """

    def __init__(self, path: Path, password: Callable[[], str | None] = lambda: None) -> None:
        ec, self._hashes = elliptic_curves()
        from cryptography.hazmat.primitives import serialization

        key = _load(path, read_key_file(path, "private key"), password)
        found = None
        if isinstance(key, ec.EllipticCurvePrivateKey):
            der = key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            found = public_key_of(der)
        if found is None:
            raise unsupported(path, key)
        self.public: PublicKey = found
        self._key, self._ec = key, ec

    def sign_files(self, name: str, digests: Mapping[str, str]) -> bytes:
        """The content of a signature file.

        Args:
            name: of the artifact's folder.
            digests: SHA-256 (hex) of every file by its name relative to the folder, POSIX style.
        """
        statement = write_statement(name, digests)
        unsigned = Bundle(statement, b"", self.public.sha256)
        algorithm = self._ec.ECDSA(getattr(self._hashes, self.public.hash_name)())
        signature = self._key.sign(unsigned.signed_bytes, algorithm)
        return write_bundle(Bundle(statement, signature, self.public.sha256))


def _load(path: Path, content: bytes, password: Callable[[], str | None]) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        try:
            return load_pem_private_key(content, None)
        except TypeError as error:  # it is encrypted
            given = password()
            if not given:
                raise SigningKeyError(
                    f"The private key {path} is encrypted, and no password was given.",
                    hint="Give it in a file: --password-file FILE",
                ) from error
            return load_pem_private_key(content, given.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        if b"ENCRYPTED" in content:
            raise SigningKeyError(
                f"The private key {path} cannot be decrypted: the password is wrong, or the file is damaged.",
                hint="Try the password with openssl: openssl pkey -noout -in KEY",
            ) from error
        if b"BEGIN PUBLIC KEY-----" in content:
            raise SigningKeyError(
                f"{path} is a public key, which only checks signatures.",
                hint="Name the private key that belongs to it: --key FILE",
            ) from error
        raise SigningKeyError(f"{path} holds no private key that can be read (PEM).", hint=NEW_KEY) from error
