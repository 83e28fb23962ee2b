"""The signature file is OpenSSF's, and read so strictly that nothing in it can be changed unnoticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openssf_signatures import FILES, SIGNED
from signing_keys import make_key

from edge_fm_runtime.errors import SignatureError
from edge_fm_runtime.signatures.bundle import Bundle, read_bundle, read_statement, write_bundle, write_statement
from edge_fm_runtime.signatures.keys import read_public_keys

DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@pytest.mark.needs("cryptography")
@pytest.mark.parametrize("curve", SIGNED)
def test_what_openssf_s_package_signs_is_accepted(curve: str, tmp_path: Path) -> None:
    signature, public = SIGNED[curve]
    (tmp_path / "key.pub").write_text(public)
    (key,) = read_public_keys(tmp_path / "key.pub")
    bundle = read_bundle(signature.encode(), where="model.sig")
    assert bundle.hint == key.sha256
    assert key.verify(bundle.signature, bundle.signed_bytes)
    assert read_statement(bundle.statement, where="model.sig") == DIGESTS
    assert not key.verify(bundle.signature, bundle.signed_bytes + b" ")


@pytest.mark.needs("cryptography", "model_signing")
@pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_openssf_s_package_accepts_what_is_signed_here(
    curve: str, artifact_folder: Path, tmp_path: Path
) -> None:  # pragma: no cover - the package brings network clients, so that it is not among the dependencies
    from model_signing.verifying import Config

    from edge_fm.api.artifacts.sign import sign

    key = make_key(tmp_path, curve=curve)
    sign(artifact_folder, key)
    verifier = Config().use_elliptic_key_verifier(public_key=key.with_suffix(".pub"))
    verifier.verify(artifact_folder, artifact_folder / "model.sig")
    (artifact_folder / "golden.npz").write_bytes(b"x")
    with pytest.raises(ValueError, match="golden"):
        verifier.verify(artifact_folder, artifact_folder / "model.sig")


def test_what_is_written_is_read_again() -> None:
    bundle = Bundle(write_statement("tiny", DIGESTS), b"\x30\x06signed", "ab" * 32)
    assert read_bundle(write_bundle(bundle), where="model.sig") == bundle
    assert read_statement(bundle.statement, where="model.sig") == DIGESTS


def test_every_changed_byte_of_the_file_changes_what_is_read_or_is_refused() -> None:
    content = write_bundle(Bundle(write_statement("tiny", DIGESTS), b"\x30\x07signed!", "ab" * 32))
    right = read_bundle(content, where="model.sig")
    for position in range(len(content)):
        for byte in {content[position] ^ 1, content[position] ^ 4, ord(" "), ord("A")} - {content[position]}:
            changed = content[:position] + bytes([byte]) + content[position + 1 :]
            try:
                read = read_bundle(changed, where="model.sig")
            except SignatureError:
                continue
            assert read != right, (position, changed)


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(top: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        inner: Any = top
        for part in parents:
            inner = inner[int(part) if isinstance(inner, list) else part]
        inner[int(last) if isinstance(inner, list) else last] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("mediaType", "application/vnd.dev.sigstore.bundle.v0.2+json", "mediaType must be"),
        ("more", 1, "holds 'more'"),
        ("verificationMaterial", [], "verificationMaterial must be an object"),
        ("verificationMaterial.certificate", {}, "signed with a certificate"),
        ("verificationMaterial.tlogEntries", [{}], "tlogEntries must be"),
        ("verificationMaterial.publicKey.rawBytes", "", "holds 'rawBytes'"),
        ("dsseEnvelope.payloadType", "text/plain", "payloadType must be"),
        ("dsseEnvelope.payload", "e30", "payload is not base64"),
        ("dsseEnvelope.signatures", [], "a list of one signature"),
        ("dsseEnvelope.signatures.0.sig", "AB==", "sig is not base64"),  # its last four bits are not used
        ("dsseEnvelope.signatures.0.keyid", "x", "keyid must be empty"),
    ],
)
def test_anything_else_in_the_file_is_refused(path: str, value: Any, message: str) -> None:
    top = json.loads(write_bundle(Bundle(write_statement("tiny", DIGESTS), b"\x30\x06signed", None)))
    _set(path, value)(top)
    with pytest.raises(SignatureError, match=message) as caught:
        read_bundle(json.dumps(top).encode(), where="model.sig")
    assert "model.sig" in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    "how", ["a space", "a line break", "a member twice", "a byte order mark", "UTF-16", "an escape"]
)
def test_the_file_is_written_as_programs_write_it(how: str) -> None:
    bundle = Bundle(write_statement("tiny", DIGESTS), b"\x30\x06signed", None)
    content = write_bundle(bundle)
    for spaced in (json.dumps(json.loads(content)), json.dumps(json.loads(content), indent=2)):
        assert read_bundle(spaced.encode(), where="model.sig") == bundle
    changed = {
        "a space": content + b" ",
        "a line break": b"\n" + content,
        "a member twice": content.replace(b'"keyid":""', b'"keyid":"","keyid":""'),
        "a byte order mark": b"\xef\xbb\xbf" + content,
        "UTF-16": content.decode().encode("utf-16"),
        "an escape": content.replace(b'"payload"', b'"p\\u0061yload"'),
    }[how]
    with pytest.raises(SignatureError, match="not written as signatures are"):
        read_bundle(changed, where="model.sig")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"a":' * 100_000, b"null"])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(SignatureError):
        read_bundle(content, where="model.sig")
    with pytest.raises(SignatureError):
        read_statement(content, where="model.sig")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("_type", "https://in-toto.io/Statement/v0.1", "_type must be"),
        ("predicateType", "https://model_signing/Digests/v0.1", "predicateType must be"),
        ("predicate.serialization.method", "shards", "method must be 'files'"),
        ("predicate.serialization.hash_type", "blake3", "hash_type must be 'sha256'"),
        ("predicate.serialization.allow_symlinks", True, "allow_symlinks must be False"),
        ("predicate.resources", [], "resources must be a list of files"),
        ("predicate.resources.0.algorithm", "md5", "algorithm must be 'sha256'"),
        ("predicate.resources.0.digest", "xyz", "hexadecimal"),
        ("predicate.resources.0.digest", "00" * 32, "the digest of the subject"),
        ("predicate.resources.1.name", "edgefm.json", "listed twice"),
        ("subject", [], "the digest of the subject"),
    ],
)
def test_a_statement_of_another_kind_is_refused(path: str, value: Any, message: str) -> None:
    top = json.loads(write_statement("tiny", DIGESTS))
    _set(path, value)(top)
    with pytest.raises(SignatureError, match=message):
        read_statement(json.dumps(top).encode(), where="model.sig")
