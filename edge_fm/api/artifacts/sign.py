"""`sign`: say who made an artifact, so that a device can refuse all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm_runtime.progress import MessageFn, ignore_message


@dataclass(frozen=True, eq=False)
class SignResult:
    """A signed artifact.

    Attributes:
        artifact: its folder.
        signature: the signature file in it.
        key_sha256: SHA-256 (hex) of the PEM text of the public key that checks the signature.
        files: SHA-256 (hex) of every file that the signature covers, by its name in the folder.
    """

    artifact: Path
    signature: Path
    key_sha256: str
    files: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm sign --json` prints."""
        return {
            "artifact": str(self.artifact),
            "signature": str(self.signature),
            "key_sha256": self.key_sha256,
            "files": dict(self.files),
        }


def sign(
    artifact: str | Path,
    key: str | Path,
    *,
    password: str | Callable[[], str | None] | None = None,
    force: bool = False,
    note: MessageFn = ignore_message,
) -> SignResult:
    """Sign every file of an artifact's folder with a private key; no network is used.

    The signature is `model.sig` in the folder, in the format of OpenSSF's model signing: the package `model-signing`
    checks it too. Before, the artifact is opened and its hashes are checked, so that no damaged one is signed.

    Args:
        artifact: its folder.
        key: PEM file of the private key, an elliptic curve key on P-256, P-384 or P-521.
        password: of an encrypted key, or a function that is called for it.
        force: replace the signature that is there.
        note: called with what a person should know.

    Raises:
        ArtifactError, IntegrityError: it is no artifact, or is damaged.
        SignatureError: it is signed already, holds a link, or comes with the package.
        SigningKeyError: the key cannot be read or decrypted, or is of an unsupported kind.
        MissingDependencyError: the package cryptography is not installed.
    """
    from edge_fm_runtime.artifacts.artifact import load_unsigned
    from edge_fm_runtime.artifacts.packaged import MODELS
    from edge_fm_runtime.artifacts.signed import read_folder
    from edge_fm_runtime.errors import IntegrityError, SignatureError
    from edge_fm_runtime.signatures.bundle import SIGNATURE_FILE
    from edge_fm_runtime.signatures.signing import PrivateKey
    from edge_fm_runtime.system.atomic_write import replacing

    private = PrivateKey(Path(key), password if callable(password) else lambda: password)
    opened = load_unsigned(artifact)
    folder = opened.path
    if opened.bare:
        raise SignatureError(
            f"{folder} is a bare payload; a signature covers an artifact's folder.", hint="Give the folder."
        )
    if folder.parent == MODELS:
        raise SignatureError(
            f"{folder.name} comes with the package, whose files are not changed.",
            hint=f"Sign a copy: cp -r {folder} my-classifier; edgefm sign my-classifier --key {key}",
        )
    target = folder / SIGNATURE_FILE
    if target.is_symlink() or (target.exists() and not force):
        what = "is a link" if target.is_symlink() else "is there already"
        hint = "Remove it." if target.is_symlink() else "Replace it: --force"
        raise SignatureError(f"{target} {what}; nothing was signed.", hint=hint)
    read = read_folder(folder)
    if read.metadata != opened.metadata:
        raise IntegrityError(f"{folder} was changed while it was read; nothing was signed.", hint="Try again.")
    unlisted = sorted(set(read.digests) - set(read.contents))
    if unlisted:
        note(f"Files that edgefm.json does not list are signed too: {', '.join(unlisted)}")
    content = private.sign_files(folder.resolve().name, read.digests)
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return SignResult(folder, target, private.public.sha256, dict(sorted(read.digests.items())))
