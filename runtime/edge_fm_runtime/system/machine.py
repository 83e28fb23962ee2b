"""What this process may use of the machine: CPUs by affinity and cgroup quota, the CPU's name and its features."""

from __future__ import annotations

import math
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX512F",
    "avx512_vnni": "AVX512-VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "asimdhp": "NEON fp16",
    "i8mm": "NEON i8mm",
    "bf16": "NEON BF16",
}
X86 = ("x86_64", "amd64", "i686", "i386")
ARM = ("aarch64", "arm64", "armv7l", "armv8l")
"""Names of `platform.machine`, in lower case."""
EXACT_BYTE_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")
"""Features of x86 CPUs that multiply bytes into 32-bit sums."""


@dataclass(frozen=True)
class CpuBudget:
    """How many CPUs the process may really use.

    Attributes:
        threads: compute threads to start by default.
        present: CPUs of the host.
        affinity: CPUs that the scheduler may put this process on.
        quota: CPUs' worth of time that a cgroup grants, or None without a limit.
        reason: one sentence on which of them decided.
    """

    threads: int
    present: int
    affinity: int
    quota: float | None
    reason: str


def cpu_budget() -> CpuBudget:
    """Count the CPUs that this process may really use: the least of affinity and cgroup quota, at least 1."""
    present = os.cpu_count() or 1
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else present
    quota = _cgroup_quota()
    threads = affinity if quota is None else max(1, min(affinity, math.ceil(quota)))
    if quota is not None and threads < affinity:
        reason = f"a cgroup quota grants {quota:g} CPUs' worth of time"
    elif affinity < present:
        reason = f"the process's affinity allows {affinity} of {present} CPUs"
    else:
        reason = f"all {present} CPUs may be used"
    return CpuBudget(threads, present, affinity, quota, reason)


def usable_cpus() -> int:
    """Compute threads to start by default; see `cpu_budget`."""
    return cpu_budget().threads


def wanted_cpu_s() -> float:
    """Seconds for which threads of this process had a CPU or waited for one; where that is not told, had one.

    Source: /proc/[pid]/task/[tid]/schedstat (Linux, Documentation/scheduler/sched-stats), in nanoseconds.
    """
    try:
        with os.scandir("/proc/self/task") as tasks:
            told = [Path(task.path, "schedstat").read_text().split() for task in tasks]
        return sum(int(running) + int(waiting) for running, waiting, _ in told) / 1e9
    except (OSError, ValueError):
        return time.process_time()


def thread_limit() -> int:
    """Most compute threads that may be asked for: twice the CPUs of the machine, and at least 16."""
    return max(16, 2 * (os.cpu_count() or 1))


def _cgroup_quota() -> float | None:
    """The least CPU quota on the way from this process's cgroup to the root; None where none is set."""
    quotas = [quota(folder) for folder in cgroup_folders() for quota in (_quota_v2, _quota_v1)]
    return min((q for q in quotas if q is not None), default=None)


def cgroup_folders() -> list[Path]:
    """Folders of this process's CPU cgroups, from its own to the root; of version 2, version 1, or both."""
    folders = []
    for line in _lines(Path("/proc/self/cgroup")):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            folders += _up(_CGROUP_ROOT, path)
        elif "cpu" in controllers.split(","):
            folders += _up(_CGROUP_ROOT / "cpu", path)
    # Inside a container the process's own group is usually mounted as the root.
    return [*folders, _CGROUP_ROOT, _CGROUP_ROOT / "cpu"]


def _up(root: Path, path: str) -> list[Path]:
    parts = [p for p in path.split("/") if p not in ("", "..")]
    return [root.joinpath(*parts[:n]) for n in range(len(parts), 0, -1)]


def _quota_v2(folder: Path) -> float | None:
    fields = " ".join(_lines(folder / "cpu.max")).split()
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit() and int(fields[1]) > 0:
        return int(fields[0]) / int(fields[1])
    return None


def _quota_v1(folder: Path) -> float | None:
    quota = " ".join(_lines(folder / "cpu.cfs_quota_us"))
    period = " ".join(_lines(folder / "cpu.cfs_period_us"))
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return int(quota) / int(period)
    return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # absent outside Linux, or not ours to read: then it sets no limit that we could know
        return []


def cpu_name() -> str:
    """The CPU's name as the kernel gives it."""
    for line in _lines(_CPUINFO):
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def cpu_features() -> tuple[str, ...]:
    """Those vector and matrix features of the CPU that matter to inference, by their usual names."""
    flags = cpu_flags()
    return tuple(name for flag, name in _FEATURES.items() if flag in flags)


def cpu_flags(file: Path = _CPUINFO) -> frozenset[str]:
    """This machine's CPU features by their Linux names; empty where the system does not say."""
    try:
        with file.open() as lines:
            for line in lines:  # the first CPU's; there may be hundreds
                key, _, value = line.partition(":")
                if key.strip() in ("flags", "Features"):
                    return frozenset(value.split())
    except OSError:  # absent outside Linux
        pass
    return frozenset()


def byte_products(
    machine: str | None = None, flags: frozenset[str] | None = None
) -> Literal["exact", "saturating", "unknown"]:
    """What this CPU makes of a sum of products of full 8-bit weights and activations.

    x86 without VNNI or AMX adds two such products in 16 bits (`vpmaddubsw`), where large ones saturate. Arm is exact.

    Args:
        machine: as `platform.machine()` says; None for this one.
        flags: CPU features as /proc/cpuinfo names them; None for this machine's.

    Example:
        >>> byte_products("x86_64", frozenset({"avx2"})), byte_products("aarch64", frozenset())
        ('saturating', 'exact')
    """
    machine = (machine or platform.machine()).lower()
    if machine in ARM:
        return "exact"
    flags = cpu_flags() if flags is None else flags
    if machine not in X86 or not flags:
        return "unknown"
    return "exact" if flags.intersection(EXACT_BYTE_PRODUCTS) else "saturating"


def describe_machine() -> dict[str, object]:
    """Machine facts for reports: names, features, CPUs, memory in MiB, system."""
    budget = cpu_budget()
    memory = None
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemTotal:"):
            memory = int(line.split()[1]) // 1024
    return {
        "cpu": cpu_name(),
        "machine": platform.machine(),
        "features": list(cpu_features()),
        "byte_products": byte_products(),
        "cpus_present": budget.present,
        "cpus_affinity": budget.affinity,
        "cpu_quota": budget.quota,
        "threads": budget.threads,
        "threads_reason": budget.reason,
        "memory_mib": memory,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
