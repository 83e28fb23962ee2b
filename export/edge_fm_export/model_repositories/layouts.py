"""The servers whose model repositories can be written, and what each of them runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from edge_fm_export.model_repositories import ovms, tfserving, triton
from edge_fm_runtime.artifacts.metadata import Format, Metadata

Layout: TypeAlias = Literal["triton", "ovms", "tfserving"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
MOUNT = "/models"
"""Where a server sees the repository, unless another place is named: as the documented commands mount it."""

_PAGE = "a page is for browsers"
_MICRO = "it is for microcontrollers"


@dataclass(frozen=True)
class Server:
    """How a server reads models.

    Attributes:
        title: its name.
        formats: formats of artifacts that it runs.
        why_not: format -> why it does not run that.
        place: `place(metadata, file)`: path of a payload's file inside a version's folder.
        configure: `configure(repository, name, metadata, mount)`: writes or extends its configuration files; returns
            each with whether it was written.
    """

    title: str
    formats: tuple[Format, ...]
    why_not: Mapping[Format, str]
    place: Callable[[Metadata, str], str]
    configure: Callable[[Path, str, Metadata, str], dict[Path, bool]]


SERVERS: Mapping[Layout, Server] = {
    "triton": Server(
        "Triton Inference Server",
        ("onnx", "openvino"),
        {
            "savedmodel": "its TensorFlow backend is no longer developed",
            "litert": "it has no backend for LiteRT",
            "web": _PAGE,
            "tflm": _MICRO,
        },
        triton.place,
        triton.configure,
    ),
    "ovms": Server(
        "OpenVINO Model Server",
        ("onnx", "openvino", "savedmodel", "litert"),
        {"web": _PAGE, "tflm": _MICRO},
        ovms.place,
        ovms.configure,
    ),
    "tfserving": Server(
        "TensorFlow Serving",
        ("savedmodel",),
        {form: "it runs SavedModels alone" for form in ("onnx", "openvino", "litert", "web", "tflm")},
        tfserving.place,
        tfserving.configure,
    ),
}
