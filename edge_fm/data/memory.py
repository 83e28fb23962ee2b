"""Check, before a file is read, that there is memory for the data that it declares."""

from __future__ import annotations

from pathlib import Path

from edge_fm_runtime.errors import DataError
from edge_fm_runtime.system.machine import cgroup_folders

_MEMINFO = Path("/proc/meminfo")


def available_memory() -> int | None:
    """Bytes that this process can still take: the least of what the system and the cgroup have left.

    Returns:
        None where the system does not say (other than Linux).
    """
    folders = [*cgroup_folders(), Path("/sys/fs/cgroup/memory")]
    left = [amount for folder in folders if (amount := _left_in(folder)) is not None]
    try:
        for line in _MEMINFO.read_text("utf-8").splitlines():
            name, _, kibibytes = line.partition(":")
            if name == "MemAvailable":
                left.append(int(kibibytes.split()[0]) * 1024)
    except (OSError, ValueError, IndexError):
        pass  # no Linux, or a /proc of another kind: the cgroup alone counts
    return min(left, default=None)


def require_memory(size: int, what: str) -> None:
    """Raise if `size` bytes do not fit into memory.

    Args:
        size: in bytes.
        what: holds them, for the message.

    Raises:
        DataError: says how much there is.
    """
    left = available_memory()
    if left is not None and size > left:
        raise DataError(
            f"{what} declares {size / 2**30:.1f} GiB; {left / 2**30:.1f} GiB of memory are free.",
            hint="If it does, give fewer or smaller images; if not, the file is damaged: copy it again.",
        )


def _left_in(cgroup: Path) -> int | None:
    """Bytes left under the memory limit of a cgroup, of version 2 or 1; None without a limit."""
    for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
        try:
            taken = int((cgroup / used).read_text("utf-8")) - _reclaimable(cgroup)
            return max(0, int((cgroup / limit).read_text("utf-8")) - taken)
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def _reclaimable(cgroup: Path) -> int:
    """Bytes of cached files that the kernel gives back when memory is asked for."""
    lines = (line.split() for line in (cgroup / "memory.stat").read_text("utf-8").splitlines())
    return sum(int(amount) for name, amount in lines if name in ("inactive_file", "total_inactive_file"))
