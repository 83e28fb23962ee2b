"""`examine_machine`: what is installed and usable on this machine, and what is missing for what."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_fm_runtime.system.package_versions import package_version

_PACKAGES: dict[str, tuple[str, str, str]] = {
    # distribution: (module, extra that brings it, what it is for)
    "numpy": ("numpy", "", "everything"),
    "pillow": ("PIL", "", "everything"),
    "click": ("click", "", "the command line"),
    "rich": ("rich", "", "tables and progress"),
    "onnxruntime": ("onnxruntime", "", "engine onnxruntime"),
    "openvino": ("openvino", "openvino", "engine openvino; export to openvino"),
    "ai-edge-litert": ("ai_edge_litert", "litert", "engine litert; export to litert"),
    "tflite-micro": ("tflite_micro", "tflm", "engine tflite-micro; export to tflm"),
    "cryptography": ("cryptography", "sign", "signatures of artifacts"),
    "cyclonedx-python-lib": ("cyclonedx", "bom", "export --bom"),
    "pillow-heif": ("pillow_heif", "heif", "HEIC photos"),
    "av": ("av", "video", "videos and cameras"),
    "keras": ("keras", "train", "train, export"),
    "tensorflow": ("tensorflow", "train", "train, export"),
    "scikit-learn": ("sklearn", "train", "train"),
    "matplotlib": ("matplotlib", "train", "plots, pages"),
    "jinja2": ("jinja2", "train", "pages"),
    "tomli-w": ("tomli_w", "train", "train"),
    "tf2onnx": ("tf2onnx", "export", "export to onnx"),
    "onnx": ("onnx", "export", "export to onnx"),
    "onnxslim": ("onnxslim", "export", "export to onnx"),
    "sympy": ("sympy", "export", "int8 for onnx"),
    "nncf": ("nncf", "export", "int8 for openvino"),
    "ai-edge-quantizer": ("ai_edge_quantizer", "export", "w8a16 for litert"),
    "mlcommons-loadgen": ("mlperf_loadgen", "mlperf", "MLPerf scenarios"),
}


@dataclass(frozen=True, eq=False)
class MachineReport:
    """What is on this machine.

    Attributes:
        base_works: whether what every installation has can be used.
        missing: packages that are not installed, what for, and the command that installs them.
        facts: everything, as `edgefm doctor --json` prints it.
    """

    base_works: bool
    missing: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm doctor --json` prints."""
        return dict(self.facts)


def examine_machine() -> MachineReport:
    """Look at this machine; every value is read, none assumed."""
    from edge_fm import __version__
    from edge_fm_runtime.system.machine import describe_machine

    packages = []
    for name, (module, extra, purpose) in _PACKAGES.items():
        installed = find_spec(module) is not None
        # None also where it is installed without metadata, as some system packages are.
        version = package_version(name) if installed else None
        packages.append({"name": name, "version": version, "extra": extra, "for": purpose, "installed": installed})
    missing = [
        {"package": p["name"], "for": p["for"], "install": f"pip install 'edge-fm[{p['extra']}]'"}
        for p in packages
        if not p["installed"]
    ]
    engines = [_onnxruntime(), _openvino(), _litert(), _tflite_micro(), _web()]
    base = all(p["installed"] for p in packages if not p["extra"]) and engines[0]["works"]
    facts = {
        "edgefm": __version__,
        "base_works": base,
        "machine": describe_machine(),
        "engines": engines,
        "packages": packages,
        "missing": missing,
        "folders": _folders(),
    }
    return MachineReport(base, missing, facts)


def _engine(name: str, devices: list[str], error: str | None) -> dict[str, Any]:
    return {"name": name, "works": error is None, "devices": devices, "error": error}


def _onnxruntime() -> dict[str, Any]:
    try:
        # onnxruntime imports numpy from native code, which prints a Ctrl-C that arrives meanwhile and goes on without.
        import numpy as np  # noqa: F401
        import onnxruntime as ort
    except ImportError as error:
        return _engine("onnxruntime", [], str(error))
    ort.set_default_logger_severity(3)
    known = {
        "CPUExecutionProvider": "CPU",
        "CUDAExecutionProvider": "GPU",
        "OpenVINOExecutionProvider": "OPENVINO",
    }
    return _engine("onnxruntime", [d for p, d in known.items() if p in ort.get_available_providers()], None)


def _openvino() -> dict[str, Any]:
    from edge_fm_runtime.engines.openvino_core import shared_core
    from edge_fm_runtime.errors import MissingDependencyError

    try:
        return _engine("openvino", list(shared_core().available_devices), None)
    except MissingDependencyError:
        return _engine("openvino", [], "not installed")
    except RuntimeError as error:
        return _engine("openvino", [], str(error))


def _litert() -> dict[str, Any]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        return _engine("litert", [], "not installed")
    return _engine("litert", ["CPU"] if callable(Interpreter) else [], None)


def _tflite_micro() -> dict[str, Any]:
    try:
        from tflite_micro import runtime
    except ImportError:
        return _engine("tflite-micro", [], "not installed")
    return _engine("tflite-micro", ["CPU"] if callable(runtime.Interpreter) else [], None)


def _web() -> dict[str, Any]:
    from edge_fm_export.browser_runtime.chromium import has_chromium

    return _engine("web", ["CPU"], None) if has_chromium() else _engine("web", [], "Chromium is not installed")


def _absolute(path: str) -> Path | None:
    try:
        return Path(path).resolve()
    except FileNotFoundError:  # the current folder was removed
        return None


def _folders() -> list[dict[str, Any]]:
    from edge_fm.data import cache_folder
    from edge_fm_runtime.errors import DataError
    from edge_fm_runtime.system.user_cache import cache_root

    folders: dict[str, Path | None] = {"data": None, "compiled models": None, "runs": _absolute("runs")}
    with suppress(DataError):  # a user without a home folder
        folders["data"] = cache_folder()
    if (root := cache_root()) is not None:
        folders["compiled models"] = root / "openvino"
    if given := os.environ.get("EDGEFM_MODEL"):
        folders["$EDGEFM_MODEL"] = Path(given)
    found = []
    for purpose, folder in folders.items():
        if folder is None:
            found.append({"for": purpose, "path": None, "exists": False, "writable": False})
            continue
        nearest = next((p for p in [folder, *folder.parents] if os.access(p, os.F_OK)), folder)
        found.append(
            {
                "for": purpose,
                "path": str(folder),
                "exists": os.access(folder, os.F_OK),
                "writable": os.access(nearest, os.W_OK),
            }
        )
    return found
