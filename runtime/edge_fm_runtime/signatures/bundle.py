"""The signature file: a Sigstore bundle with a DSSE envelope around an in-toto statement that lists every file.

Format: OpenSSF Model Signing 1.0 (the package `model-signing` reads and writes it), Sigstore bundle 0.3, DSSE 1.0,
in-toto Statement 1. The file is read strictly: what it holds is either covered by the signature or must have the one
value that the format gives it. The order of members and optional members are free, the JSON may be compact, spaced or
indented by two, and an ECDSA signature (r, s) holds as (r, n - s), too: such files say the same of the same artifact.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple, NoReturn

from edge_fm_runtime.errors import SignatureError
from edge_fm_runtime.system.json_text import parse_json
from edge_fm_runtime.system.sha256 import sha256_hex

SIGNATURE_FILE = "model.sig"
MAX_SIGNATURE_BYTES = 16 * 1024 * 1024

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SPACINGS: tuple[dict[str, Any], ...] = ({"separators": (",", ":")}, {}, {"indent": 2})
"""How programs write the JSON: compact, spaced, indented."""
_SIGN_AGAIN = "Sign the artifact again: edgefm sign ARTIFACT --key KEY --force"


class Bundle(NamedTuple):
    """What a signature file holds.

    Attributes:
        statement: the signed bytes, JSON.
        signature: DER bytes of the ECDSA signature.
        hint: SHA-256 (hex) of the public key's PEM text; None where the file names none.
    """

    statement: bytes
    signature: bytes
    hint: str | None

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that the signature is computed over: DSSE's pre-authentication encoding of the statement."""
        return b"DSSEv1 %d %s %d %s" % (
            len(_PAYLOAD_TYPE),
            _PAYLOAD_TYPE.encode(),
            len(self.statement),
            self.statement,
        )


def write_bundle(bundle: Bundle) -> bytes:
    """The content of a signature file, in one line."""
    content = {
        "mediaType": _MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": bundle.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": _base64(bundle.statement),
            "payloadType": _PAYLOAD_TYPE,
            "signatures": [{"sig": _base64(bundle.signature), "keyid": ""}],
        },
    }
    return json.dumps(content, separators=(",", ":")).encode()


def read_bundle(content: bytes, *, where: str) -> Bundle:
    """Read a signature file; nothing in it is trusted yet.

    Args:
        content: of the file.
        where: the file, for messages.

    Raises:
        SignatureError: it is no bundle of this format, or one of a certificate instead of a key.
    """
    reader = _Reader(where)
    top = reader.json(content, "the file")
    # As programs write it, byte for byte: no member twice, of which another program may take the other, no other
    # encoding, no space that somebody added.
    if content not in {json.dumps(top, **spacing).encode() for spacing in _SPACINGS}:
        reader.fail("its JSON is not written as signatures are")
    reader.keys(top, "the file", {"mediaType", "verificationMaterial", "dsseEnvelope"})
    reader.same(top["mediaType"], "mediaType", _MEDIA_TYPE)
    material = reader.mapping(top["verificationMaterial"], "verificationMaterial")
    if "certificate" in material or "x509CertificateChain" in material:
        raise SignatureError(
            f"{where} was signed with a certificate (keyless, or of an authority); here signatures of a public key are "
            "checked.",
            hint="Check it with OpenSSF's own program, model_signing verify; or sign with a key: "
            "edgefm sign ARTIFACT --key KEY --force",
        )
    reader.keys(material, "verificationMaterial", {"publicKey"}, optional={"tlogEntries"})
    reader.same(material.get("tlogEntries", []), "tlogEntries", [])
    key = reader.mapping(material["publicKey"], "publicKey")
    reader.keys(key, "publicKey", set(), optional={"hint"})
    envelope = reader.mapping(top["dsseEnvelope"], "dsseEnvelope")
    reader.keys(envelope, "dsseEnvelope", {"payload", "payloadType", "signatures"})
    reader.same(envelope["payloadType"], "payloadType", _PAYLOAD_TYPE)
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        reader.fail("signatures must be a list of one signature")
    signature = reader.mapping(signatures[0], "signatures[0]")
    reader.keys(signature, "signatures[0]", {"sig"}, optional={"keyid"})
    if signature.get("keyid") not in ("", None):
        reader.fail("keyid must be empty")
    hint = key.get("hint")
    return Bundle(
        reader.base64(envelope["payload"], "payload"),
        reader.base64(signature["sig"], "sig"),
        None if hint is None else reader.text(hint, "hint"),
    )


def write_statement(name: str, digests: Mapping[str, str]) -> bytes:
    """The JSON that is signed.

    Args:
        name: of the artifact's folder.
        digests: SHA-256 (hex) of every file by its name relative to the folder, POSIX style.
    """
    files = sorted(digests.items())
    statement = {
        "_type": _STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": _digest_of_all([digest for _, digest in files])}}],
        "predicateType": _PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                # The signature itself, which OpenSSF's program finds in the folder too.
                "ignore_paths": [SIGNATURE_FILE],
            },
            "resources": [{"name": file, "algorithm": "sha256", "digest": digest} for file, digest in files],
        },
    }
    return json.dumps(statement, separators=(",", ":")).encode()


def read_statement(statement: bytes, *, where: str) -> dict[str, str]:
    """SHA-256 (hex) of every file that a statement lists; call it only for a statement whose signature holds.

    Raises:
        SignatureError: it is no statement of this format, or lists files by other digests than SHA-256.
    """
    reader = _Reader(where)
    top = reader.json(statement, "the statement")
    reader.same(top.get("_type"), "_type", _STATEMENT_TYPE)
    reader.same(top.get("predicateType"), "predicateType", _PREDICATE_TYPE)
    predicate = reader.mapping(top.get("predicate"), "predicate")
    serialization = reader.mapping(predicate.get("serialization"), "serialization")
    for key, wanted in (("method", "files"), ("hash_type", "sha256"), ("allow_symlinks", False)):
        reader.same(serialization.get(key), key, wanted)
    resources = predicate.get("resources")
    if not isinstance(resources, list) or not resources:
        reader.fail("resources must be a list of files")
    digests: dict[str, str] = {}
    for resource in resources:
        entry = reader.mapping(resource, "a resource")
        reader.same(entry.get("algorithm"), "algorithm", "sha256")
        name = reader.text(entry.get("name"), "name")
        if name in digests:
            reader.fail(f"{name} is listed twice")
        digests[name] = reader.text(entry.get("digest"), "digest")
    subject = top.get("subject")
    try:
        of_all = [{"sha256": _digest_of_all(list(digests.values()))}]
    except ValueError:
        reader.fail("a digest must be hexadecimal")
    if not isinstance(subject, list) or [s.get("digest") if isinstance(s, dict) else None for s in subject] != of_all:
        reader.fail("the digest of the subject is not that of the files")
    return digests


def _base64(content: bytes) -> str:
    return binascii.b2a_base64(content, newline=False).decode()


def _digest_of_all(digests: Sequence[str]) -> str:
    return sha256_hex(b"".join(map(bytes.fromhex, digests)))


class _Reader:
    """Typed access to a signature file; every failure names the file and what is wrong."""

    def __init__(self, where: str) -> None:
        self.where = where

    def fail(self, what: str) -> NoReturn:
        raise SignatureError(f"{self.where} is damaged, or not a signature of this format: {what}.", hint=_SIGN_AGAIN)

    def json(self, content: bytes, name: str) -> Mapping[str, Any]:
        try:
            return self.mapping(parse_json(content), name)
        except ValueError as error:
            raise SignatureError(f"{self.where}: {name} is not JSON: {error}.", hint=_SIGN_AGAIN) from error

    def mapping(self, value: object, name: str) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.fail(f"{name} must be an object")
        return value

    def text(self, value: object, name: str) -> str:
        if not isinstance(value, str) or not value:
            self.fail(f"{name} must be a text")
        return value

    def keys(self, value: Mapping[str, Any], name: str, needed: Set[str], *, optional: Set[str] = frozenset()) -> None:
        if missing := needed - set(value):
            self.fail(f"{name} lacks {', '.join(sorted(missing))}")
        if unknown := set(value) - needed - optional:
            self.fail(f"{name} holds {', '.join(sorted(map(repr, unknown)))}, which has no place there")

    def same(self, value: object, name: str, wanted: object) -> None:
        if value != wanted or type(value) is not type(wanted):
            self.fail(f"{name} must be {wanted!r}")

    def base64(self, value: object, name: str) -> bytes:
        text = self.text(value, name)
        try:
            content = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            content = b""
        # One spelling alone: unused bits at the end would let another file pass for this one.
        if _base64(content) != text:
            self.fail(f"{name} is not base64")
        return content
