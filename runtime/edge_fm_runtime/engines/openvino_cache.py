"""Models that OpenVINO has compiled, stored in the user's cache folder so that the next process need not compile them.

OpenVINO's own cache (`CACHE_DIR`) loads whatever bytes lie there: a damaged one gives wrong predictions. Here each
compiled model is stored with its SHA-256, and the bytes that are loaded are those that were checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.errors import CacheWarning
from edge_fm_runtime.system.brief_errors import brief
from edge_fm_runtime.system.machine import cpu_flags
from edge_fm_runtime.system.sealed_file import read_sealed, write_sealed
from edge_fm_runtime.system.user_cache import own_folder, prune, why_untrusted

if TYPE_CHECKING:
    import openvino

FILE = "compiled.blob"


def compiled_file(core: openvino.Core, artifact: Artifact, device: str, settings: str) -> Path | None:
    """The file for this payload, compiled for `device` with `settings`; None where it cannot be stored.

    Args:
        core: of the process.
        artifact: a bare payload, without hashes, is not stored.
        device: one device; "AUTO" selects among several, and is not stored.
        settings: whatever else decides what is compiled.
    """
    digest = artifact.payload_hash()
    if digest is None or device == "AUTO":
        return None
    if "EXPORT_IMPORT" not in core.get_property(device, "OPTIMIZATION_CAPABILITIES"):
        return None
    facts = json.dumps([digest, device, settings, _machine(core, device)], sort_keys=True)
    folder = own_folder("openvino", hashlib.sha256(facts.encode()).hexdigest()[:32])
    return None if folder is None else folder / FILE


def load_compiled(
    core: openvino.Core, file: Path, device: str, config: dict[str, Any]
) -> openvino.CompiledModel | None:
    """Load a compiled model that was stored; None where there is none, or none that may be used.

    Warns:
        CacheWarning: there is one, but it is damaged, or others may write to it.
    """
    try:
        reason = why_untrusted(file, group=True)
        content = None if reason else read_sealed(file)
        os.utime(file.parent)  # when it was last used, for pruning
    except OSError:
        return None
    if content is not None:
        try:
            return core.import_model(content, device, config)
        except RuntimeError as error:
            reason = brief(error)
    warnings.warn(
        f"The compiled model {file} is not used: {reason or 'its SHA-256 is not the one that it was stored with'}. "
        "The artifact is compiled again.",
        CacheWarning,
        stacklevel=2,
    )
    return None


def store_compiled(compiled: openvino.CompiledModel, file: Path) -> None:
    """Store a compiled model and prune old ones; where nothing can be written, nothing is stored."""
    try:
        content = compiled.export_model().getvalue()
        write_sealed(file, lambda stream: stream.write(content))
        prune(file.parents[1], keep=file.parent)
    except OSError:  # read-only or full: it is compiled again next time; `edgefm doctor` reports it
        return


def _machine(core: openvino.Core, device: str) -> list[str]:
    """What else a compiled model depends on: the library's build, the device and its driver, the CPU's features."""
    import openvino

    properties = core.get_property(device, "CACHING_PROPERTIES")
    values = [f"{name}={core.get_property(device, name)}" for name in sorted(properties)]
    return [openvino.get_version(), *values, " ".join(sorted(cpu_flags()))]
