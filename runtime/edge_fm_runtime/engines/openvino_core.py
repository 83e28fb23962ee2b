"""The process's one `openvino.Core`."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.errors import MissingDependencyError

if TYPE_CHECKING:
    import openvino


@cache
def shared_core() -> openvino.Core:
    """Return the core that all engines of this process share; it lives as long as the process.

    OpenVINO's CPU plugin gives the main thread a signal stack of its own and, when its core is released, puts back the
    one that it found. Cores that are not released in the opposite order of their creation therefore leave a stack that
    is freed, and the next signal, such as Ctrl-C, ends in a segmentation fault (seen with OpenVINO 2026.4.1;
    `edge_fm_export.compat.openvino_signal_stack` says when this may go).

    Raises:
        MissingDependencyError: openvino is not installed.
    """
    try:
        import openvino as ov
    except ImportError as error:
        raise MissingDependencyError.for_extra("openvino", "openvino", "The openvino engine") from error
    core: openvino.Core = ov.Core()
    return core


def read_model(core: openvino.Core, artifact: Artifact) -> openvino.Model:
    """Read the payload, from its checked bytes where a signature was required.

    Raises:
        IntegrityError: a signature was required, and the weights of an IR are not covered by it.
        RuntimeError: OpenVINO cannot read it.
    """
    model = artifact.loadable()
    if isinstance(model, str):
        return core.read_model(model)
    if artifact.metadata.format != "openvino":
        return core.read_model(io.BytesIO(model))
    name = artifact.metadata.payload.removesuffix(".xml") + ".bin"
    weights = artifact.content(name)
    if weights is None:
        weights = artifact.payload.with_name(Path(name).name).read_bytes()
    return core.read_model(io.BytesIO(model), io.BytesIO(weights))
