"""What a server is started with."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.photos.limits import DEFAULT_MAX_PIXELS

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[0-9]{1,18}")
_NAMED = re.compile(r"(?P<name>[^=@/\\]+)(?:@(?P<version>[^=@/\\]*))?=(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True)
class ModelSource:
    """An artifact to serve.

    Attributes:
        path: its folder, or the name of an artifact in the package.
        name: what requests call it; None for the artifact's own name.
        version: a whole number, as text.
    """

    path: Path
    name: str | None = None
    version: str = "1"

    @classmethod
    def parse(cls, text: str) -> ModelSource:
        """Read `ARTIFACT`, `NAME=ARTIFACT` or `NAME@VERSION=ARTIFACT`; a path that exists is taken as it is.

        Raises:
            ArtifactError: the name or the version cannot stand in an address.

        Example:
            >>> ModelSource.parse("clothes@2=artifacts/new")
            ModelSource(path=PosixPath('artifacts/new'), name='clothes', version='2')
        """
        named = _NAMED.fullmatch(text)
        if named is None or Path(text).exists():
            return cls(Path(text))
        name, version = named["name"], named["version"] or "1"
        if named["version"] is not None and not _VERSION.fullmatch(named["version"]):
            raise ArtifactError(
                f"{named['version']!r} is no version of a model: a version is a whole number.",
                hint=f"Such as {name}@2={named['path']}",
            )
        return cls(Path(named["path"]), checked_name(name), version)


def checked_name(name: str) -> str:
    """The name, if it can stand in an address.

    Raises:
        ArtifactError: it cannot.
    """
    if not NAME.fullmatch(name):
        raise ArtifactError(
            f"{name!r} cannot be a model's name in an address: supported are up to 100 letters, digits, '.', '_', '-'.",
            hint="Give it a name: NAME=ARTIFACT",
        )
    return name


@dataclass(frozen=True)
class ServeOptions:
    """Limits and settings of a server.

    Attributes:
        host: the address to listen at.
        port: the port; 0 for a free one.
        token: what requests must carry as `Authorization: Bearer TOKEN`; None for no check.
        engine: library that runs the artifacts.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        min_score: photos whose best score is below this get no label; "auto" for the artifact's own threshold.
        require_signature: file of the public key that every artifact must be signed for, also one that is swapped in;
            None for the one that `EDGEFM_REQUIRE_SIGNATURE` names, else none is required.
        max_requests: requests that may be read, wait or be computed at once; more are refused with status 429.
        max_body_mib: MiB of one request's body; more are refused with status 413.
        max_pixels: larger photos are refused.
        max_photos: photos of one request.
        timeout_s: seconds from a request's first byte until its result; later it is refused with status 503, or with
            408 where its body has not arrived.
        max_batch_size: photos that go through the engine together, at most, where several wait.
        batch_delay_ms: how long a photo waits for others to fill a batch; 0 takes together only what waits anyhow.
        watch_s: seconds between looks at the artifacts on disk; 0 never looks.
        stop_s: seconds that requests get to end in once the server is asked to stop.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    engine: str = "auto"
    device: str = "CPU"
    threads: int | None = None
    min_score: float | Literal["auto"] | None = None
    require_signature: Path | None = None
    max_requests: int = 64
    max_body_mib: int = 32
    max_pixels: int = DEFAULT_MAX_PIXELS
    max_photos: int = 64
    timeout_s: float = 30.0
    max_batch_size: int = 8
    batch_delay_ms: float = 0.0
    watch_s: float = 2.0
    stop_s: int = 10
