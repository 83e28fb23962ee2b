"""`edgefm doctor`: what is installed and usable on this machine, and what is missing for what."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from edge_fm.cli.common import Talk, output_options, print_json, print_table

_PACKAGES: dict[str, tuple[str, str, str]] = {
    # distribution: (module, extra that brings it, what it is for)
    "numpy": ("numpy", "", "everything"),
    "pillow": ("PIL", "", "everything"),
    "click": ("click", "", "the command line"),
    "rich": ("rich", "", "tables and progress"),
    "onnxruntime": ("onnxruntime", "", "engine onnxruntime"),
    "openvino": ("openvino", "openvino", "engine openvino; export to openvino"),
    "ai-edge-litert": ("ai_edge_litert", "litert", "engine litert; export to litert"),
    "pillow-heif": ("pillow_heif", "heif", "HEIC photos"),
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
    "mlcommons-loadgen": ("mlperf_loadgen", "mlperf", "MLPerf scenarios"),
}


@click.command("doctor")
@output_options
def command(as_json: bool, quiet: bool) -> None:
    """Show versions, engines, devices, CPU features, threads, folders, and what is missing for what.

    Exits with 1 if the base (onnxruntime, numpy, pillow, click, rich) cannot work.
    """
    report = examine()
    if as_json:
        print_json(report)
    else:
        _print(report)
    talk = Talk(quiet)
    if not report["base_works"]:
        talk.note("The base cannot work: pip install --force-reinstall edge-fm")
        sys.exit(1)
    if report["missing"]:
        talk.next(report["missing"][0]["install"])


def examine() -> dict[str, Any]:
    """Look at this machine; every value is read, none assumed."""
    from edge_fm import __version__
    from edge_fm_runtime.machine import describe_machine

    packages = []
    for name, (module, extra, purpose) in _PACKAGES.items():
        installed = find_spec(module) is not None
        version = _version(name) if installed else None
        packages.append({"name": name, "version": version, "extra": extra, "for": purpose, "installed": installed})
    missing = [
        {"package": p["name"], "for": p["for"], "install": f"pip install 'edge-fm[{p['extra']}]'"}
        for p in packages
        if not p["installed"]
    ]
    engines = [_onnxruntime(), _openvino(), _litert()]
    base = all(p["installed"] for p in packages if not p["extra"]) and engines[0]["works"]
    return {
        "edgefm": __version__,
        "base_works": base,
        "machine": describe_machine(),
        "engines": engines,
        "packages": packages,
        "missing": missing,
        "folders": _folders(),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None  # importable, but installed without metadata, as some system packages are


def _engine(name: str, devices: list[str], error: str | None) -> dict[str, Any]:
    return {"name": name, "works": error is None, "devices": devices, "error": error}


def _onnxruntime() -> dict[str, Any]:
    try:
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


def _folders() -> list[dict[str, Any]]:
    from edge_fm.data import cache_folder
    from edge_fm_runtime.errors import DataError
    from edge_fm_runtime.user_cache import cache_root

    folders: dict[str, Path | None] = {"data": None, "compiled models": None, "runs": Path("runs").resolve()}
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
        nearest = next(p for p in [folder, *folder.parents] if os.access(p, os.F_OK))
        found.append(
            {
                "for": purpose,
                "path": str(folder),
                "exists": os.access(folder, os.F_OK),
                "writable": os.access(nearest, os.W_OK),
            }
        )
    return found


def _unwritable(purpose: str) -> str:
    return " (not writable: compiled anew each time)" if purpose == "compiled models" else " (not writable)"


_BYTE_PRODUCTS = {
    "exact": "exact",
    "saturating": "would saturate, without VNNI: for ONNX at int8 export with --any-cpu",
    "unknown": "may saturate, as the system does not tell: for ONNX at int8 export with --any-cpu",
}


def _print(report: dict[str, Any]) -> None:
    machine = report["machine"]
    facts = [
        ["edgefm", report["edgefm"]],
        ["CPU", f"{machine['cpu']} ({machine['machine']})"],
        ["features", ", ".join(machine["features"]) or "none that matter here"],
        ["8-bit products", _BYTE_PRODUCTS[machine["byte_products"]]],
        ["threads", f"{machine['threads']}: {machine['threads_reason']}"],
        ["memory", f"{machine['memory_mib']} MiB"],
        ["Python", machine["python"]],
        *(
            [
                f"folder: {f['for']}",
                (f["path"] or "none, as this user has no home folder")
                + ("" if f["writable"] else _unwritable(f["for"])),
            ]
            for f in report["folders"]
        ),
    ]
    print_table("This machine", ["what", "found"], facts, wraps=["found"])
    engines = [
        [e["name"], "yes" if e["works"] else "no", ", ".join(e["devices"]), e["error"] or ""] for e in report["engines"]
    ]
    print_table("Engines", ["engine", "works", "devices", "why not"], engines, wraps=["devices", "why not"])
    packages = []
    for p in report["packages"]:
        mend = "" if p["installed"] else f"pip install 'edge-fm[{p['extra']}]'"
        packages.append([p["name"], p["version"] or "missing", p["for"], mend])
    print_table("Packages", ["package", "version", "for", "to install"], packages, wraps=["for"], lesser=["for"])
