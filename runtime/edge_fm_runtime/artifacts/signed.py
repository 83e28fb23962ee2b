"""Read an artifact whose signature is required: every file once, into memory, and nothing before the signature holds.

Whoever can write to the folder may change it between a check and a second reading. Here there is no second one: the
bytes that were hashed are those that the metadata, the engines and `verify` are given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edge_fm_runtime.artifacts.metadata import MAX_METADATA_BYTES, METADATA_FILE, Metadata
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.artifacts.packaged import MODELS
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE
from edge_fm_runtime.errors import EdgeFMError, IntegrityError, SignatureError
from edge_fm_runtime.signatures.bundle import MAX_SIGNATURE_BYTES, SIGNATURE_FILE, read_bundle, read_statement
from edge_fm_runtime.signatures.keys import PublicKey, elliptic_curves, read_public_keys
from edge_fm_runtime.signatures.signed_files import list_regular_files, read_whole, sha256_of
from edge_fm_runtime.system.sha256 import sha256_hex

_READS = 3
"""How often a folder is read that is being replaced meanwhile."""


class ReadFolder(NamedTuple):
    """The files of an artifact's folder, each read once.

    Attributes:
        metadata: its description.
        contents: bytes of `edgefm.json` and of every file that it lists.
        digests: SHA-256 (hex) of every file but the signature.
        signed_by: SHA-256 (hex) of the public key's PEM text; None where no signature was asked for.
    """

    metadata: Metadata
    contents: Mapping[str, bytes]
    digests: Mapping[str, str]
    signed_by: str | None = None


def public_key_file(asked: str | Path | None) -> Path:
    """The key that is required: `asked`, else the one that the environment names.

    Raises:
        SignatureError: the name is empty, so that it is not known which key is meant.
    """
    name = os.environ.get(REQUIRE_SIGNATURE, "") if asked is None else os.fspath(asked)
    if not name:
        where = f"The environment variable {REQUIRE_SIGNATURE}" if asked is None else "The path of the public key"
        raise SignatureError(
            f"{where} is empty, so no key is named that artifacts must be signed with.",
            hint="Name the file of a public key; was a variable not set?"
            + (f" To require no signature: unset {REQUIRE_SIGNATURE}" if asked is None else ""),
        )
    return Path(name)


def refuse_bare(path: Path) -> SignatureError:
    """The error for a payload without its folder."""
    return SignatureError(
        f"{path} is a bare payload, which no signature covers; a signed artifact is required.",
        hint=f"Give the artifact's folder, signed: {_sign(path.parent)}",
    )


def read_signed_folder(folder: Path, key_file: Path) -> ReadFolder:
    """Check the signature of an artifact's folder and read the files that it covers.

    Args:
        folder: the artifact.
        key_file: PEM file with the public key, or with several, of which one must have signed.

    Raises:
        SignatureError: it is unsigned, a file was changed, added, removed, renamed or linked, or another key signed it.
        SigningKeyError: the key cannot be read, or is of an unsupported kind.
        ArtifactError, IntegrityError: it is signed, but no whole artifact.
        MissingDependencyError: cryptography is not installed.
    """
    elliptic_curves()
    keys = read_public_keys(key_file)
    for _ in range(_READS):
        content = _signature(folder)
        try:
            return _read_signed(folder, content, keys, key_file)
        except (SignatureError, IntegrityError) as error:
            refused = error
            # A new artifact may have been put in the place of the old one while its files were read.
            if content == _signature(folder):
                break
    raise refused


def read_folder(folder: Path, expected: Mapping[str, str] | None = None) -> ReadFolder:
    """Read the files of an artifact's folder, each once.

    Args:
        folder: the artifact.
        expected: SHA-256 (hex) of every file; None to take them as they are.

    Raises:
        SignatureError: a file is a link, or not what is expected.
        ArtifactError, IntegrityError: the metadata is malformed, or lists other files.
    """
    names = list_regular_files(folder) - {SIGNATURE_FILE}
    if expected is not None and names != set(expected):
        wrong = [f"{folder / name} is missing" for name in sorted(set(expected) - names)]
        wrong += [f"{folder / name} was added" for name in sorted(names - set(expected))]
        raise _not_as_signed(wrong)
    if METADATA_FILE not in names:
        from edge_fm_runtime.artifacts.not_an_artifact import advice

        raise IntegrityError(f"{folder} has no {METADATA_FILE}: it is not an artifact.", hint=advice(folder))
    text = read_whole(folder / METADATA_FILE, most=MAX_METADATA_BYTES)
    contents, digests = {METADATA_FILE: text}, {METADATA_FILE: sha256_hex(text)}
    _compare(folder, [METADATA_FILE], digests, expected)
    metadata = parse_metadata(text, where=str(folder / METADATA_FILE))
    for name in sorted(names - {METADATA_FILE}):
        listed = metadata.files.get(name)
        if listed is None:
            digests[name] = sha256_of(folder / name)
        else:
            contents[name] = read_whole(folder / name, most=listed.bytes, exact=True)
            digests[name] = sha256_hex(contents[name])
    _compare(folder, sorted(digests), digests, expected)
    wrong = [f"{folder / name} is missing" for name in metadata.files if name not in digests]
    wrong += [
        f"{folder / name} was changed: its SHA-256 is not the one in {METADATA_FILE}"
        for name, entry in metadata.files.items()
        if name in digests and entry.sha256 != digests[name]
    ]
    if wrong:
        raise IntegrityError(
            "The artifact is damaged: " + "; ".join(wrong) + ".",
            hint=f"Copy {folder} again from where it was exported, or export again: edgefm export",
        )
    return ReadFolder(metadata, contents, digests)


def _read_signed(folder: Path, content: bytes, keys: tuple[PublicKey, ...], key_file: Path) -> ReadFolder:
    where = str(folder / SIGNATURE_FILE)
    bundle = read_bundle(content, where=where)
    if bundle.hint is not None:
        keys = tuple(key for key in keys if key.sha256 == bundle.hint)
        if not keys:
            raise SignatureError(
                f"{folder} was signed with another key: its signature names {bundle.hint[:16]}, "
                f"{key_file} holds {', '.join(key.sha256[:16] for key in read_public_keys(key_file))}.",
                hint=f"Name the key that signed it, or sign it with the required one: {_sign(folder)} --force",
            )
    signer = next((key for key in keys if key.verify(bundle.signature, bundle.signed_bytes)), None)
    if signer is None:
        raise SignatureError(
            f"{where} is not a signature of the key in {key_file}, or what it signs was changed.",
            hint="Do not use this artifact. Copy it again from where it was signed.",
        )
    read = read_folder(folder, read_statement(bundle.statement, where=where))
    return ReadFolder(read.metadata, read.contents, read.digests, signer.sha256)


def _signature(folder: Path) -> bytes:
    try:
        os.lstat(folder / SIGNATURE_FILE)
    except OSError as error:
        raise _unsigned(folder) from error
    return read_whole(folder / SIGNATURE_FILE, most=MAX_SIGNATURE_BYTES)


def _unsigned(folder: Path) -> EdgeFMError:
    if not (folder / METADATA_FILE).is_file():
        from edge_fm_runtime.artifacts.not_an_artifact import advice

        return IntegrityError(f"{folder} has no {METADATA_FILE}: it is not an artifact.", hint=advice(folder))
    what, hint = f"{folder} is not signed: it has no {SIGNATURE_FILE}.", f"Sign it: {_sign(folder)}"
    if folder.parent == MODELS:
        what = f"{folder.name}, which comes with the package, is not signed, and a signed artifact is required."
        copy = Path("my-classifier")
        hint = f"Sign a copy: cp -r {_quoted(folder)} {copy}; {_sign(copy)}; and name that: --model {copy}"
    return SignatureError(what, hint=hint)


def _sign(folder: Path) -> str:
    return f"edgefm sign {_quoted(folder)} --key signing.key"


def _quoted(path: Path) -> str:
    import shlex  # only to say what is wrong

    return shlex.quote(str(path))


def _compare(folder: Path, names: list[str], digests: Mapping[str, str], expected: Mapping[str, str] | None) -> None:
    if expected is not None and (wrong := [name for name in names if digests[name] != expected[name]]):
        raise _not_as_signed([f"{folder / name} was changed" for name in wrong])


def _not_as_signed(wrong: list[str]) -> SignatureError:
    return SignatureError(
        "The artifact is not as it was signed: " + "; ".join(wrong) + ".",
        hint="Do not use it. Copy it again from where it was signed.",
    )
