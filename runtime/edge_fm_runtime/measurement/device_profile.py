"""What `edgefm autotune` found on this machine: for each artifact it measured, by payload hash, how it runs fastest.

A profile decides how an artifact runs, never which artifact runs. It holds for one machine: its CPU, the cores this
process may use, and the version of the engine's library.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.files import read_small
from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.system.atomic_write import replacing
from edge_fm_runtime.system.machine import cpu_name, usable_cpus
from edge_fm_runtime.system.package_versions import package_version
from edge_fm_runtime.system.user_cache import cache_root, how_to_trust, nearest_existing, why_untrusted

PACKAGES = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "litert": "ai-edge-litert",
    "tflite-micro": "tflite-micro",
}
"""Engine -> the distribution whose version a choice depends on."""

ENGINES_OF = {
    "onnx": ("onnxruntime", "openvino"),
    "openvino": ("openvino",),
    "litert": ("litert",),
    "web": ("onnxruntime",),
    "tflm": ("tflite-micro",),
}
"""Format -> the engines of a device that run it."""

_SCHEMA = 1
_MAX_CPUS = 4096
_MAX_MS = 1e9


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


def place_for_profile() -> Path:
    """Where the profile is written; to be asked before a measurement that would be lost.

    Raises:
        ArtifactError: there is no such place, it cannot be written, or what is there must not be added to.
    """
    path = profile_path()
    if path is None:
        raise ArtifactError(
            "There is no place for the device profile: this user has no home folder.",
            hint="Name a file: EDGEFM_PROFILE=FILE edgefm autotune",
        )
    nearest = nearest_existing(path.absolute().parent)
    reason = why_untrusted(nearest) or (None if os.access(nearest, os.W_OK) else f"{nearest} is not writable")
    if reason is not None:
        raise ArtifactError(
            f"The device profile {path} cannot be written: {reason}.",
            hint="Name another file: EDGEFM_PROFILE=FILE edgefm autotune",
        )
    with suppress(FileNotFoundError, NotADirectoryError):
        _read(path)
    return path


def library_version(engine: str) -> str:
    """Version of the engine's library; "none" where it is not installed."""
    return package_version(PACKAGES.get(engine, engine)) or "none"


def find_choice(artifact: Artifact) -> tuple[Choice | None, str | None]:
    """How the profile says that `artifact` runs fastest here.

    Returns:
        the choice, None where the profile has none that holds here; and a sentence for a person where there was one
        that does not hold, or where the profile cannot be read or must not be trusted.
    """
    path, digest = profile_path(), artifact.payload_hash()
    if path is None or digest is None:
        return None, None
    try:
        found = _read(path).get(digest)
    except (FileNotFoundError, NotADirectoryError):
        return None, None
    except OSError as error:  # such as the home of another user, in a container
        return None, f"The device profile is not used: {path}: {error.strerror}."
    except ArtifactError as error:
        return None, f"The device profile is not used. {error.message} {error.hint}"
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
    if found.engine not in ENGINES_OF.get(artifact.metadata.format, ()):
        changes.append(f"the {found.engine} engine does not run {artifact.metadata.format} artifacts")
    if changes:
        return None, f"The device profile is not used: {', '.join(changes)}. Measure again: edgefm autotune"
    return found, None


def save_choices(choices: dict[str, Choice]) -> Path:
    """Add choices (payload hash -> choice) to the profile, in place of older ones; written whole or not at all.

    Raises:
        ArtifactError: it cannot be written, or the file there is not a profile.
    """
    path = place_for_profile()
    try:
        merged = _read(path) | choices
    except (FileNotFoundError, NotADirectoryError):
        merged = choices
    body = {"schema_version": _SCHEMA, "choices": {key: asdict(choice) for key, choice in sorted(merged.items())}}
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Readable and writable by this user alone: others could make it run what they like.
        with replacing(path, mode=0o600) as temporary:
            temporary.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ArtifactError(
            f"The device profile {path} cannot be written: {error.strerror}.",
            hint="Name another file: EDGEFM_PROFILE=FILE edgefm autotune",
        ) from error
    return path


def _read(path: Path) -> dict[str, Choice]:
    """Read and check a profile, as any file that somebody else may have written.

    Raises:
        ArtifactError: it is not a profile, or must not be trusted.
        OSError: it is not there, or may not be looked at.
    """
    hint = f"Write it anew: rm {shlex.quote(str(path))} && edgefm autotune ARTIFACT..."
    for place in (path, path.parent):
        if (reason := why_untrusted(place)) is not None:
            if (command := how_to_trust(place)) is None:
                hint = "Name a file of yours: EDGEFM_PROFILE=FILE edgefm autotune ARTIFACT..."
            elif place != path:  # of the file itself, the content may have been changed already
                hint = f"Nobody else should write there: {command}"
            raise ArtifactError(f"{reason}.", hint=hint)
    try:
        raw = json.loads(read_small(path))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not valid JSON.", hint=hint) from error
    choices = raw.get("choices") if isinstance(raw, dict) and raw.get("schema_version") == _SCHEMA else None
    if not isinstance(choices, dict):
        raise ArtifactError(f"{path} is not a device profile of this edge-fm.", hint=hint)
    for key, value in choices.items():
        if (fault := _first_fault(key, value)) is not None:
            raise ArtifactError(f"{path} is not a device profile of this edge-fm: {fault}.", hint=hint)
    return {key: Choice(**value) for key, value in choices.items()}


def _first_fault(key: str, value: Any) -> str | None:
    """What is wrong with an entry of a profile; None where it is one that `edgefm autotune` could have written."""
    if len(key) != 64 or not set(key) <= set("0123456789abcdef"):
        return f"{key[:64]!r} is not a SHA-256"
    if not isinstance(value, dict) or set(value) != set(Choice.__dataclass_fields__):
        return f"a choice has the keys {', '.join(Choice.__dataclass_fields__)}"
    cpus = value["cpus"]
    if type(cpus) is not int or not 1 <= cpus <= _MAX_CPUS:
        return f"cpus must be an integer from 1 to {_MAX_CPUS}, got {cpus!r:.60}"
    checks: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "engine": (f"one of {', '.join(PACKAGES)}", lambda engine: isinstance(engine, str) and engine in PACKAGES),
        "threads": (f"an integer from 1 to {cpus}, its cores", lambda n: type(n) is int and 1 <= n <= cpus),
        "batch": ("null or 0", lambda batch: batch is None or (type(batch) is int and batch == 0)),
        "p50_ms": ("milliseconds", lambda ms: type(ms) in (int, float) and 0 < ms < _MAX_MS),
        "cpu": ("a short text", _is_short),
        "version": ("a short text", _is_short),
    }
    for name, (wanted, fits) in checks.items():
        if not fits(value[name]):
            return f"{name} must be {wanted}, got {value[name]!r:.60}"
    return None


def _is_short(text: object) -> bool:
    return isinstance(text, str) and len(text) <= 256
