"""What `edgefm autotune` found on this machine: for each artifact it measured, by payload hash, how it runs fastest.

A profile only ever decides how an artifact runs that a person chose; it names no other artifact in its place. It is
kept for one machine: its CPU, the cores this process may use, and the version of the engine's library.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_fm_runtime.artifact import Artifact, read_small
from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.machine import cpu_name, usable_cpus
from edge_fm_runtime.user_cache import cache_root, payload_hash

PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "litert": "ai-edge-litert"}
"""Engine -> the distribution whose version a choice depends on."""

_SCHEMA = 1
_MAX_THREADS = 4096


@dataclass(frozen=True)
class Choice:
    """How an artifact runs fastest on a machine.

    Attributes:
        engine: name of the engine.
        threads: compute threads.
        batch: as `EngineOptions.batch`.
        p50_ms: median latency of one image when it was measured.
        cpu: name of the CPU that it was measured on.
        cpus: cores that the process could use.
        version: of the engine's library.
    """

    engine: str
    threads: int
    batch: int | None
    p50_ms: float
    cpu: str
    cpus: int
    version: str


def profile_path() -> Path | None:
    """`$EDGEFM_PROFILE`, else `profile.json` in the user's cache folder; None for a user without a home folder."""
    given, root = os.environ.get("EDGEFM_PROFILE"), cache_root()
    if given:
        return Path(given)
    return None if root is None else root / "profile.json"


def library_version(engine: str) -> str:
    """Version of the engine's library; "none" where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(PACKAGES[engine])
    except (KeyError, metadata.PackageNotFoundError):
        return "none"


def find_choice(artifact: Artifact) -> tuple[Choice | None, str | None]:
    """How the profile says that `artifact` runs fastest here.

    Returns:
        the choice, None where the profile has none that holds here; and a sentence for a person where there was one
        that does not hold, or where the profile cannot be read.
    """
    path = profile_path()
    try:
        if path is None or not path.exists():
            return None, None
    except OSError as error:  # such as the home of another user, in a container
        return None, f"The device profile is not used: {path}: {error.strerror}."
    try:
        found = _read(path).get(payload_hash(artifact) or "")
    except ArtifactError as error:
        return None, f"The device profile is not used. {error.message} Write it anew: edgefm autotune"
    if found is None:
        return None, None
    changes = [
        f"{what} {was!r} is now {now!r}"
        for what, was, now in (
            ("CPU", found.cpu, cpu_name()),
            ("usable cores", found.cpus, usable_cpus()),
            (PACKAGES[found.engine], found.version, library_version(found.engine)),
        )
        if was != now
    ]
    if changes:
        return None, f"The device profile is not used: {', '.join(changes)}. Measure again: edgefm autotune"
    return found, None


def save_choices(choices: dict[str, Choice]) -> Path:
    """Add choices (payload hash -> choice) to the profile, in place of older ones; written whole or not at all.

    Raises:
        ArtifactError: it cannot be written, or what is there is no profile.
    """
    path = profile_path()
    if path is None:
        raise ArtifactError(
            "There is no place for the device profile: this user has no home folder.",
            hint="Name a file: EDGEFM_PROFILE=FILE edgefm autotune",
        )
    merged = (_read(path) if path.exists() else {}) | choices
    body = {"schema_version": _SCHEMA, "choices": {key: asdict(choice) for key, choice in sorted(merged.items())}}
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(body, indent=2) + "\n")
        beside.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"The device profile {path} cannot be written: {error.strerror}.",
            hint="Name another file: EDGEFM_PROFILE=FILE edgefm autotune",
        ) from error
    return path


def _read(path: Path) -> dict[str, Choice]:
    """Read and check a profile, as any file that somebody else may have written."""
    try:
        raw = json.loads(read_small(path))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not valid JSON.", hint=f"Remove it: {path}") from error
    choices = raw.get("choices") if isinstance(raw, dict) and raw.get("schema_version") == _SCHEMA else None
    if not isinstance(choices, dict) or not all(_is_choice(value) for value in choices.values()):
        raise ArtifactError(f"{path} is no device profile of this edge-fm.", hint=f"Remove it: {path}")
    return {key: Choice(**value) for key, value in choices.items()}


def _is_choice(value: Any) -> bool:
    def whole(number: object, least: int) -> bool:
        return type(number) is int and least <= number <= _MAX_THREADS

    return (
        isinstance(value, dict)
        and set(value) == set(Choice.__dataclass_fields__)
        and value["engine"] in PACKAGES
        and whole(value["threads"], 1)
        and (value["batch"] is None or whole(value["batch"], 0))
        and type(value["p50_ms"]) in (int, float)
        and isinstance(value["cpu"], str)
        and whole(value["cpus"], 1)
        and isinstance(value["version"], str)
    )
