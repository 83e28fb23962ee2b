"""What this CPU, or any, can do with 8-bit integers, and the ONNX Runtime settings that follow."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Literal

from edge_fm_runtime.system.machine import EXACT_BYTE_PRODUCTS, byte_products, cpu_flags

ANY_CPU = "any CPU"
_EXACT_CPUS = "x86 with VNNI or AMX, and Arm"


@dataclass(frozen=True)
class IntegerSettings:
    """How ONNX Runtime should quantize.

    Attributes:
        activations: unsigned or signed 8-bit activations; weights are always signed.
        reduce_range: weights of 7 bits, for CPUs whose 8-bit products saturate.
        chosen_for: what decided: the CPU feature, or that any CPU is meant.
        safe_for: the devices on which predictions are those that were proven here.
    """

    activations: Literal["uint8", "int8"]
    reduce_range: bool
    chosen_for: str
    safe_for: str


def integer_settings(
    machine: str | None = None, flags: frozenset[str] | None = None, *, any_cpu: bool = False
) -> IntegerSettings:
    """Select settings by ONNX Runtime's guidance for CPU inference (documentation of `quantize_static`).

    x86 multiplies unsigned by signed bytes: exact with VNNI, but AVX2's `vpmaddubsw` adds pairs in 16 bits, which
    saturate with full 8-bit weights: a classifier that gave 93.54% with VNNI gave 93.28% without. Arm multiplies signed
    by signed.

    Args:
        machine: as `platform.machine()` returns it; None for this one.
        flags: CPU features as /proc/cpuinfo names them; None for this machine's.
        any_cpu: settings that predict the same on every CPU, whatever this one can do.

    Example:
        >>> integer_settings("x86_64", frozenset({"avx2"})).reduce_range
        True
    """
    if any_cpu:
        return IntegerSettings("uint8", True, f"{ANY_CPU}: 7-bit weights, whose products nowhere saturate", ANY_CPU)
    machine = (machine or platform.machine()).lower()
    flags = cpu_flags() if flags is None else flags
    products = byte_products(machine, flags)
    found = next((f for f in EXACT_BYTE_PRODUCTS if f in flags), None)
    if products == "exact" and found is None:
        return IntegerSettings("int8", False, "Arm: signed 8-bit products", _EXACT_CPUS)
    if products == "exact":
        return IntegerSettings("uint8", False, f"{found}: 8-bit products that do not saturate", _EXACT_CPUS)
    reason = "x86 without VNNI" if products == "saturating" else "a CPU whose features are unknown"
    return IntegerSettings("uint8", True, f"{reason}: 7-bit weights, as 8-bit products may saturate", ANY_CPU)
