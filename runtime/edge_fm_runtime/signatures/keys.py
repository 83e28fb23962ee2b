"""Public keys: elliptic curves P-256, P-384 and P-521, those that OpenSSF's package takes, in PEM files."""

from __future__ import annotations

import binascii
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from edge_fm_runtime.errors import MissingDependencyError, SigningKeyError
from edge_fm_runtime.system.sha256 import sha256_hex

_MAX_KEY_BYTES = 256 * 1024
_BEGIN, _END = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
_SUPPORTED = "supported are elliptic curve keys on P-256, P-384 and P-521, as OpenSSF's model-signing has them"
NEW_KEY = "Make one: openssl ecparam -name prime256v1 -genkey -noout -out signing.key"

_CURVES = {
    # Start of the key in DER (RFC 5480): algorithm, curve, an uncompressed point -> curve, hash.
    bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"): ("SECP256R1", "SHA256"),
    bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"): ("SECP384R1", "SHA384"),
    bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"): ("SECP521R1", "SHA512"),
}
_POINT_BYTES = {"SECP256R1": 65, "SECP384R1": 97, "SECP521R1": 133}


class PublicKey(NamedTuple):
    """A public key.

    Attributes:
        der: the key as SubjectPublicKeyInfo, DER, with an uncompressed point.
        curve: its curve, as `cryptography` names it.
        hash_name: the hash that goes with the curve, as `cryptography` names it.
    """

    der: bytes
    curve: str
    hash_name: str

    @property
    def pem(self) -> bytes:
        """The key as a PEM file."""
        text = binascii.b2a_base64(self.der, newline=False)
        lines = [text[start : start + 64] for start in range(0, len(text), 64)]
        return b"\n".join([_BEGIN, *lines, _END, b""])

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the PEM file, by which a signature names its key."""
        return sha256_hex(self.pem)

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's ECDSA signature of `message`.

        Raises:
            SigningKeyError: the key is no point of its curve.
        """
        ec, hashes = elliptic_curves()
        from cryptography.exceptions import InvalidSignature

        # The functions that load PEM would import much more of cryptography.
        side = (_POINT_BYTES[self.curve] - 1) // 2
        x, y = (int.from_bytes(self.der[-2 * side :][half : half + side], "big") for half in (0, side))
        try:
            key = ec.EllipticCurvePublicNumbers(x, y, getattr(ec, self.curve)()).public_key()
        except ValueError as error:
            raise SigningKeyError(f"A public key is damaged: {error}.", hint="Copy the key again.") from error
        try:
            key.verify(signature, message, _ecdsa(ec, getattr(hashes, self.hash_name)()))
        except InvalidSignature:
            return False
        return True


def _ecdsa(ec: Any, algorithm: Any) -> Any:
    """ECDSA with a hash, as `ec.ECDSA(algorithm)`, whose constructor imports ciphers and RSA: as long as all else."""

    class Ecdsa(ec.ECDSA):  # type: ignore[misc]
        def __init__(self) -> None:
            """Set nothing: the properties say it."""

        @property
        def algorithm(self) -> Any:
            return algorithm

        @property
        def deterministic_signing(self) -> bool:
            return False

    return Ecdsa()


def public_key_of(der: bytes) -> PublicKey | None:
    """The key that `der` (SubjectPublicKeyInfo) holds; None where it is of another kind or spelled otherwise."""
    for start, (curve, hash_name) in _CURVES.items():
        if der.startswith(start + b"\x04") and len(der) == len(start) + _POINT_BYTES[curve]:
            return PublicKey(der, curve, hash_name)
    return None


def read_public_keys(path: Path) -> tuple[PublicKey, ...]:
    """Read the public keys of a PEM file: one, or several while keys are exchanged.

    Raises:
        SigningKeyError: it cannot be read, or holds no key that is supported.
    """
    content = read_key_file(path, "public key")
    found = [part.partition(_END)[0] for part in content.split(_BEGIN)[1:]]
    if not found:
        raise SigningKeyError(f"{path} holds no public key (PEM, BEGIN PUBLIC KEY).", hint=_how_to_get(path, content))
    keys = []
    for block in found:
        try:
            der = binascii.a2b_base64(b"".join(block.split()), strict_mode=True)
        except ValueError as error:
            raise SigningKeyError(f"{path} is damaged: {error}.", hint="Copy the key again.") from error
        key = public_key_of(der) or _read_slowly(der, path)
        keys.append(key)
    return tuple(keys)


def read_key_file(path: Path, what: str) -> bytes:
    """The content of a key file of bounded size.

    Raises:
        SigningKeyError: it cannot be read, or is not a regular file.
    """
    try:
        # O_NONBLOCK: opening a FIFO would wait for somebody to write to it.
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SigningKeyError(f"{path} is not a regular file.", hint=f"Name the file of the {what}.")
            content = file.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        hint = NEW_KEY if what == "private key" else "Name the file of the public key; was it copied to this machine?"
        raise SigningKeyError(f"The {what} {path} cannot be read: {error.strerror}.", hint=hint) from error
    if len(content) > _MAX_KEY_BYTES:
        raise SigningKeyError(f"{path} is too large for a {what}.", hint=f"Name the file of the {what}.")
    return content


def unsupported(path: Path, key: object) -> SigningKeyError:
    """The error for a key that is of another kind."""
    curve = getattr(getattr(key, "curve", None), "name", None)
    kind = type(key).__name__.replace("PrivateKey", "").replace("PublicKey", "")
    what = f"an elliptic curve key on {curve}" if curve else f"an {kind} key" if kind[0] in "AEORX" else f"a {kind} key"
    return SigningKeyError(f"{path} is {what}; {_SUPPORTED}.", hint=NEW_KEY)


def elliptic_curves() -> tuple[Any, Any]:
    """The modules `ec` and `hashes` of cryptography; no other, whose import would take longer than the check.

    Raises:
        MissingDependencyError: cryptography is not installed.
    """
    try:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise MissingDependencyError.for_extra("cryptography", "sign", "A signature") from error
    return ec, hashes


def _read_slowly(der: bytes, path: Path) -> PublicKey:
    """A key in another spelling, such as a compressed point."""
    elliptic_curves()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningKeyError(f"{path} holds no public key that can be read: {error}.", hint=NEW_KEY) from error
    found = public_key_of(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    if found is None:
        raise unsupported(path, key)
    return found


def _how_to_get(path: Path, content: bytes) -> str:
    import shlex

    name = shlex.quote(str(path))
    # Never the file itself: a private key would be replaced by its public one, and be lost.
    out = shlex.quote(str(path.with_suffix(".pub" if path.suffix != ".pub" else ".public.pub")))
    if b"PRIVATE KEY-----" in content:
        return f"A device needs the public key alone: openssl pkey -in {name} -pubout -out {out}"
    if b"BEGIN CERTIFICATE-----" in content:
        return f"Take the key out of the certificate: openssl x509 -in {name} -noout -pubkey > {out}"
    return "Name the PEM file of a public key: openssl pkey -in signing.key -pubout -out signing.pub"
