"""Pure decisions of quantization: CPU settings, which layers to leave out, which nodes to touch."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_fm_export.quantization.cpu import integer_settings
from edge_fm_export.quantization.selection import select_float_layers
from edge_fm_runtime.system.machine import byte_products, cpu_flags


@pytest.mark.parametrize(
    ("machine", "flags", "activations", "reduce_range"),
    [
        ("x86_64", {"avx2", "avx512_vnni"}, "uint8", False),
        ("x86_64", {"avx2", "avx_vnni"}, "uint8", False),
        ("AMD64", {"amx_int8"}, "uint8", False),
        ("x86_64", {"avx2"}, "uint8", True),
        ("x86_64", set(), "uint8", True),
        ("aarch64", {"asimd"}, "int8", False),
        ("riscv64", set(), "uint8", True),
    ],
)
def test_settings_follow_the_cpu(machine: str, flags: set[str], activations: str, reduce_range: bool) -> None:
    selected = integer_settings(machine, frozenset(flags))
    assert (selected.activations, selected.reduce_range) == (activations, reduce_range)
    assert selected.safe_for == ("any CPU" if reduce_range else "x86 with VNNI or AMX, and Arm")
    assert (byte_products(machine, frozenset(flags)) == "exact") == (not reduce_range)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_any_cpu_is_independent_of_this_one(machine: str) -> None:
    selected = integer_settings(machine, frozenset({"avx512_vnni", "asimd"}), any_cpu=True)
    assert (selected.activations, selected.reduce_range, selected.safe_for) == ("uint8", True, "any CPU")


def test_flags_are_read_from_the_system(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_flags(file) == {"fpu", "avx2", "avx512_vnni"}
    assert cpu_flags(tmp_path / "absent") == frozenset()


@pytest.mark.parametrize("harmful", [set(), {"a"}, {"b"}, {"a", "b"}, {"b", "d"}, {"e"}, set("abcde")])
def test_only_what_harms_is_left_out(harmful: set[str]) -> None:
    tries = 0

    def drop_of(out: frozenset[str]) -> float:
        nonlocal tries
        tries += 1
        return 10.0 * len(harmful - out)

    assert select_float_layers("abcde", drop_of, 0.5) == harmful
    assert tries <= 12


def test_what_cannot_be_helped() -> None:
    assert select_float_layers("abc", lambda out: 3.0, 0.5) is None
    assert select_float_layers("abc", lambda out: 0.0, 0.5) == frozenset()
