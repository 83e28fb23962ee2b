"""Which keys are taken, and what is said of the others."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from openssf_signatures import SIGNED
from signing_keys import make_key, write_key

from edge_fm_runtime.errors import MissingDependencyError, SigningKeyError
from edge_fm_runtime.signatures import keys
from edge_fm_runtime.signatures.keys import read_public_keys
from edge_fm_runtime.signatures.signing import PrivateKey

pytestmark = pytest.mark.needs("cryptography")


@pytest.mark.parametrize("curve", ["SECP256R1", "SECP384R1", "SECP521R1"])
def test_a_key_checks_what_its_private_key_signed(curve: str, tmp_path: Path) -> None:
    from edge_fm_runtime.signatures.bundle import read_bundle

    file = make_key(tmp_path, curve=curve)
    (key,) = read_public_keys(file.with_suffix(".pub"))
    assert key.curve == curve
    assert key.pem == file.with_suffix(".pub").read_bytes()
    assert key.sha256 == hashlib.sha256(key.pem).hexdigest()
    bundle = read_bundle(PrivateKey(file).sign_files("tiny", {"a": "00" * 32}), where="model.sig")
    assert bundle.hint == key.sha256
    assert key.verify(bundle.signature, bundle.signed_bytes)
    (other,) = read_public_keys(make_key(tmp_path, "other", curve=curve).with_suffix(".pub"))
    assert not other.verify(bundle.signature, bundle.signed_bytes)
    assert not key.verify(bundle.signature[:-1], bundle.signed_bytes)
    assert not key.verify(b"", bundle.signed_bytes)


def test_several_keys_may_stand_in_one_file(tmp_path: Path) -> None:
    texts = [public for _, public in SIGNED.values()]
    (tmp_path / "all.pub").write_text("".join(texts))
    assert [key.pem.decode() for key in read_public_keys(tmp_path / "all.pub")] == texts


def test_a_compressed_point_is_the_same_key(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    public = SIGNED["prime256v1"][1]
    point = load_pem_public_key(public.encode()).public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    der = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    (tmp_path / "key.pub").write_text(
        f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
    )
    (key,) = read_public_keys(tmp_path / "key.pub")
    assert key.pem.decode() == public


def _generate(kind: str) -> object:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "Ed25519" else ec.generate_private_key(ec.SECP256K1())


@pytest.mark.parametrize(
    ("kind", "what"),
    [("RSA", "an RSA key"), ("Ed25519", "an Ed25519 key"), ("secp256k1", "an elliptic curve key on secp256k1")],
)
def test_other_kinds_of_keys_are_named_and_refused(kind: str, what: str, tmp_path: Path) -> None:
    file = write_key(tmp_path, "signing", _generate(kind))
    for read in (lambda: read_public_keys(file.with_suffix(".pub")), lambda: PrivateKey(file)):
        with pytest.raises(SigningKeyError, match=f"is {what}; supported are .*P-256") as caught:
            read()
        assert "prime256v1" in (caught.value.hint or "")


def test_a_private_key_in_place_of_a_public_one_is_reported(tmp_path: Path) -> None:
    file = make_key(tmp_path)
    with pytest.raises(SigningKeyError, match="holds no public key") as caught:
        read_public_keys(file)
    assert f"openssl pkey -in {file} -pubout" in (caught.value.hint or "")
    with pytest.raises(SigningKeyError, match="is a public key"):
        PrivateKey(file.with_suffix(".pub"))


def test_the_advice_never_writes_over_the_private_key(tmp_path: Path) -> None:
    file = make_key(tmp_path).rename(tmp_path / "key.pub")
    with pytest.raises(SigningKeyError, match="holds no public key") as caught:
        read_public_keys(file)
    assert str(caught.value.hint).endswith(f"openssl pkey -in {file} -pubout -out {tmp_path / 'key.public.pub'}")


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n"])
def test_junk_is_no_key(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(SigningKeyError, match=r"key\.pem"):
        read_public_keys(file)
    with pytest.raises(SigningKeyError, match=r"key\.pem"):
        PrivateKey(file)


def test_a_point_that_is_not_on_the_curve_is_no_key(tmp_path: Path) -> None:
    (key,) = read_public_keys(make_key(tmp_path).with_suffix(".pub"))
    broken = key._replace(der=key.der[:-1] + bytes([key.der[-1] ^ 1]))
    with pytest.raises(SigningKeyError, match="damaged"):
        broken.verify(b"", b"")


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "huge"])
def test_a_file_that_cannot_be_a_key_is_refused_at_once(what: str, tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    if what == "folder":
        file.mkdir()
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "huge":
        with file.open("wb") as stream:
            stream.truncate(1 << 30)
    with pytest.raises(SigningKeyError, match=r"key\.pub"):
        read_public_keys(file)


def test_an_encrypted_key_needs_its_password(tmp_path: Path) -> None:
    file = make_key(tmp_path, password="right")
    with pytest.raises(SigningKeyError, match="encrypted, and no password") as caught:
        PrivateKey(file)
    assert "--password-file" in (caught.value.hint or "")
    with pytest.raises(SigningKeyError, match="encrypted, and no password"):
        PrivateKey(file, lambda: "")
    with pytest.raises(SigningKeyError, match="the password is wrong"):
        PrivateKey(file, lambda: "wrong")
    (public,) = read_public_keys(file.with_suffix(".pub"))
    assert PrivateKey(file, lambda: "right").public == public


def test_without_the_package_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    file = make_key(tmp_path)
    for name in ("cryptography.hazmat.primitives", "cryptography.hazmat.primitives.asymmetric"):
        monkeypatch.setitem(sys.modules, name, None)
    for read in (keys.elliptic_curves, lambda: PrivateKey(file)):
        with pytest.raises(MissingDependencyError, match="cryptography") as caught:
            read()
        assert caught.value.hint == "pip install 'edge-fm[sign]'"
