"""What this CPU can do with 8-bit integers, and the ONNX Runtime settings that follow."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")
_ARM = ("aarch64", "arm64", "armv7l", "armv8l")


@dataclass(frozen=True)
class IntegerSettings:
    """How ONNX Runtime should quantize.

    Attributes:
        activations: unsigned or signed 8-bit activations; weights are always signed.
        reduce_range: weights of 7 bits, for CPUs whose 8-bit products saturate.
        chosen_for: the CPU feature that decided.
        safe_for: the devices on which the answers are the ones that were proven here.
    """

    activations: Literal["uint8", "int8"]
    reduce_range: bool
    chosen_for: str
    safe_for: str


def integer_settings(machine: str | None = None, flags: frozenset[str] | None = None) -> IntegerSettings:
    """Choose by ONNX Runtime's guidance for CPU inference (documentation of `quantize_static`).

    x86 multiplies unsigned by signed bytes: exact with VNNI, but AVX2's `vpmaddubsw` adds pairs in 16 bits, which
    saturate with full 8-bit weights. Arm multiplies signed by signed.

    Args:
        machine: as `platform.machine()` says; None for this one.
        flags: CPU features as /proc/cpuinfo names them; None for this machine's.

    Example:
        >>> integer_settings("x86_64", frozenset({"avx2"})).reduce_range
        True
    """
    machine = (machine or platform.machine()).lower()
    if machine in _ARM:
        return IntegerSettings("int8", False, "Arm: signed 8-bit products", "Arm, and x86 with VNNI or AMX")
    flags = cpu_flags() if flags is None else flags
    found = next((f for f in _DOT_PRODUCTS if f in flags), None)
    if found is not None:
        return IntegerSettings(
            "uint8", False, f"{found}: 8-bit products that do not saturate", "x86 with VNNI or AMX, and Arm"
        )
    reason = "x86 without VNNI" if flags else "a CPU whose features are unknown"
    return IntegerSettings("uint8", True, f"{reason}: 7-bit weights, as 8-bit products may saturate", "any CPU")


def cpu_flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """This machine's CPU features by their Linux names; empty where the system does not say."""
    if not file.exists():
        return frozenset()
    for line in file.read_text(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
