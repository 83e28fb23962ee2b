"""Read an artifact: a folder that explains itself, or a bare payload with its embedded metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm_runtime.artifacts.files import check_files, read_small
from edge_fm_runtime.artifacts.metadata import METADATA_FILE, Metadata, differences
from edge_fm_runtime.artifacts.metadata_parser import parse_metadata
from edge_fm_runtime.defaults import REQUIRE_SIGNATURE
from edge_fm_runtime.errors import ArtifactError, IntegrityError
from edge_fm_runtime.system.sha256 import sha256_hex

if TYPE_CHECKING:
    from edge_fm_runtime.artifacts.signed import ReadFolder

_BARE = (".onnx", ".xml", ".tflite")
_READS = 3
"""How often a folder is read that is being replaced meanwhile."""


@dataclass(frozen=True)
class Artifact:
    """An artifact on disk, validated.

    Attributes:
        path: the folder, or the payload itself where it was given bare.
        metadata: its description.
        payload: the main file (or, for a SavedModel, folder).
        bare: a payload without its folder: no hashes, no golden predictions.
        contents: where a signature was required, the bytes of the files by their names in the folder, as they were
            checked: whatever reads a file of the artifact takes them, and not the file. None otherwise.
        signed_by: SHA-256 (hex) of the PEM text of the public key that the signature holds for; None where none was
            required.
    """

    path: Path
    metadata: Metadata
    payload: Path
    bare: bool = False
    contents: Mapping[str, bytes] | None = field(default=None, repr=False)
    signed_by: str | None = None

    def content(self, name: str) -> bytes | None:
        """The checked bytes of a file by its name in the folder; None where the file itself is to be read.

        Raises:
            IntegrityError: a signature was required, and no such file is covered by it.
        """
        if self.contents is None:
            return None
        if name not in self.contents:
            raise IntegrityError(f"{self.path / name} is missing.", hint="Export the model again: edgefm export")
        return self.contents[name]

    def loadable(self) -> str | bytes:
        """What a library loads: the path of the payload, or its bytes.

        Its checked bytes where a signature was required, and its bytes where the path is no UTF-8.
        """
        content = self.content(self.metadata.payload)
        if content is not None:
            return content
        path = str(self.payload)
        try:
            path.encode()
        except UnicodeEncodeError:  # bytes that are no UTF-8, which libraries take in no name
            return self.payload.read_bytes() if self.payload.is_file() else path
        return path

    def payload_hash(self) -> str | None:
        """One SHA-256 (hex) for all of the payload, from the hashes checked on load; None for a bare payload."""
        payload = self.metadata.payload
        weights = payload.removesuffix(".xml") + ".bin"
        files = {
            name: entry
            for name, entry in sorted(self.metadata.files.items())
            if name in (payload, weights) or name.startswith(payload + "/")
        }
        if self.bare or not files:
            return None
        lines = [f"{name} {entry.sha256}\n" for name, entry in files.items()]
        return sha256_hex("".join(lines).encode())


def load_artifact(
    path: str | Path, *, check_hashes: bool = True, require_signature: str | Path | None = None
) -> Artifact:
    """Open an artifact and check it.

    Args:
        path: the folder, its `edgefm.json`, or a bare `.onnx`, `.xml` or `.tflite` with embedded metadata; or, where
            there is no such file or folder, the name of an artifact that comes with the package.
        check_hashes: compare every file with its SHA-256.
        require_signature: file of the public key that the artifact must be signed for. Default: the one that the
            environment variable `EDGEFM_REQUIRE_SIGNATURE` names; where it is not set, no signature is required.

    Raises:
        ArtifactError: there is no artifact, or its metadata is malformed or newer than this edge-fm.
        IntegrityError: a file is missing, changed, or not listed.
        SignatureError: a signature is required, and the artifact is unsigned, not as it was signed, or signed with
            another key.
        SigningKeyError: the public key cannot be read, or is of an unsupported kind.
        MissingDependencyError: a signature is required, and the package cryptography is not installed.
    """
    key = None
    if require_signature is not None or REQUIRE_SIGNATURE in os.environ:
        from edge_fm_runtime.artifacts.signed import public_key_file

        key = public_key_file(require_signature)
    return _load(path, check_hashes=check_hashes, key=key)


def load_unsigned(path: str | Path) -> Artifact:
    """Open an artifact that this process has just written: no signature is required, whatever the environment says."""
    return _load(path, check_hashes=True, key=None)


def _load(path: str | Path, *, check_hashes: bool, key: Path | None) -> Artifact:
    if not os.fspath(path):  # which Path would take for the current folder
        raise ArtifactError("The path of the artifact is empty.", hint="Name the artifact; was a variable not set?")
    path = Path(path)
    if path.name == METADATA_FILE and path.is_file():
        path = path.parent
    if path.is_dir():
        return _load_folder(path, check_hashes=check_hashes, key=key)
    if path.suffix.lower() in _BARE and path.is_file():
        if key is not None:
            from edge_fm_runtime.artifacts.signed import refuse_bare

            raise refuse_bare(path)
        return _load_bare(path)
    from edge_fm_runtime.artifacts.packaged import packaged_artifact, packaged_names

    exists = path.exists()
    if not exists and (packaged := packaged_artifact(path)) is not None:
        return _load_folder(packaged, check_hashes=check_hashes, key=key)
    from edge_fm_runtime.artifacts.not_an_artifact import advice

    what = "is a file, not an artifact" if exists else "does not exist"
    raise ArtifactError(
        f"{path} {what}; an artifact is a folder with {METADATA_FILE}, an .onnx, .xml or .tflite "
        f"file that edgefm exported, or the name of one in the package: {', '.join(packaged_names())}.",
        hint=advice(path),
    )


def _load_folder(folder: Path, *, check_hashes: bool, key: Path | None) -> Artifact:
    if key is not None:
        from edge_fm_runtime.artifacts.signed import read_signed_folder

        read = read_signed_folder(folder, key)
        return _open_folder(folder, read.metadata, check_hashes=False, read=read)
    file = folder / METADATA_FILE
    for _ in range(_READS):
        if not file.exists():
            from edge_fm_runtime.artifacts.not_an_artifact import advice

            raise ArtifactError(f"{folder} has no {METADATA_FILE}: it is not an artifact.", hint=advice(folder))
        text = read_small(file)
        try:
            return _open_folder(folder, parse_metadata(text, where=str(file)), check_hashes=check_hashes)
        except IntegrityError as error:
            damage = error
            # An export may have put a new artifact in the place of the old one while its files were read.
            if not file.exists() or read_small(file) == text:
                break
    raise damage


def _open_folder(folder: Path, metadata: Metadata, *, check_hashes: bool, read: ReadFolder | None = None) -> Artifact:
    payload = folder / metadata.payload
    inside = metadata.payload + "/"
    if metadata.format == "savedmodel":
        covered = any(name.startswith(inside) for name in metadata.files)
    else:
        covered = metadata.payload in metadata.files
    if not covered:
        raise IntegrityError(
            f"{folder / METADATA_FILE}: the payload {metadata.payload} has no entry under files to check it by.",
            hint="Export the model again: edgefm export",
        )
    if check_hashes:
        check_files(folder, metadata)
    artifact = Artifact(folder, metadata, payload)
    if read is not None:
        artifact = replace(artifact, contents=read.contents, signed_by=read.signed_by)
    _check_alone(payload, None if metadata.format == "savedmodel" else artifact.content(metadata.payload))
    _compare_embedded(artifact)
    return artifact


def _load_bare(path: Path) -> Artifact:
    from edge_fm_runtime.artifacts.embedded import read_embedded

    text = read_embedded(path)
    if text is None:
        raise ArtifactError(
            f"{path} has no embedded EdgeFM metadata, so its labels and preprocessing are unknown.",
            hint="Give the artifact's folder, or export the Keras model: edgefm export MODEL.keras --format onnx",
        )
    metadata = parse_metadata(text, where=f"{path} (embedded metadata)")
    _check_alone(path)
    return Artifact(path, metadata, path, bare=True)


def _compare_embedded(artifact: Artifact) -> None:
    """Hold `edgefm.json` against the copy inside the payload, which was written with it."""
    if artifact.metadata.format in ("savedmodel", "tflm"):
        return  # it has none
    from edge_fm_runtime.artifacts.embedded import read_embedded

    text = read_embedded(artifact.payload, artifact.content(artifact.metadata.payload))
    if text == artifact.metadata.embedded():
        return
    file = artifact.path / METADATA_FILE
    where = f"{artifact.payload} (embedded metadata)"
    differ = ["all of it"] if text is None else differences(artifact.metadata, parse_metadata(text, where=where))
    if differ:
        raise IntegrityError(
            f"{file} differs from the copy inside {artifact.payload.name}: {', '.join(differ)}.",
            hint=f"Copy {artifact.path} again from where it was exported, or export again: edgefm export",
        )


def _check_alone(payload: Path, content: bytes | None = None) -> None:
    there = content is not None or payload.is_file()
    if payload.suffix.lower() == ".onnx" and there:
        from edge_fm_runtime.artifacts.onnx_external_data import refuse_external_data

        refuse_external_data(payload, content)
    elif payload.suffix.lower() == ".tflite" and there:
        from edge_fm_runtime.artifacts.embedded import check_litert_data

        check_litert_data(payload, content)
    elif payload.suffix.lower() == ".xml" and there:
        # OpenVINO goes by the content: an ONNX model by this name would be read, with files that nobody checked.
        if content is None:
            with payload.open("rb") as stream:
                start = stream.read(64)
        else:
            start = content[:64]
        if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<net")):
            raise ArtifactError(
                f"{payload} is not an OpenVINO IR: it does not begin as XML.",
                hint="Export the model again: edgefm export",
            )
