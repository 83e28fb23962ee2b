"""`edgefm doctor`: what is installed and usable on this machine, and what is missing for what."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from edge_fm.cli.console.console import Console, print_table
from edge_fm.cli.options import console_options


@click.command("doctor")
@console_options
def command(console: Console) -> None:
    """Show versions, engines, devices, CPU features, threads, folders, and what is missing for what.

    Exits with 1 if the base (onnxruntime, numpy, pillow, click, rich) cannot work.
    """
    from edge_fm.api.doctor import examine_machine

    report = examine_machine()
    console.show(report, _print, report.facts)
    if not report.base_works:
        console.note("The base cannot work: pip install --force-reinstall edge-fm")
        sys.exit(1)
    console.next("edgefm infer photo.jpg")


def _unwritable(purpose: str) -> str:
    return " (not writable: compiled anew each time)" if purpose == "compiled models" else " (not writable)"


_NO_FOLDER = {"runs": "none, as the current folder no longer exists"}
_BYTE_PRODUCTS = {
    "exact": "exact",
    "saturating": "would saturate, without VNNI: for ONNX at int8 export with --any-cpu",
    "unknown": "may saturate, as the system does not report it: for ONNX at int8 export with --any-cpu",
}


def _print(report: Mapping[str, Any]) -> None:
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
                (f["path"] or _NO_FOLDER.get(f["for"], "none, as this user has no home folder"))
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
        fix = "" if p["installed"] else f"pip install 'edge-fm[{p['extra']}]'"
        packages.append([p["name"], p["version"] or "missing", p["for"], fix])
    print_table("Packages", ["package", "version", "for", "to install"], packages, wraps=["for"], optional=["for"])
