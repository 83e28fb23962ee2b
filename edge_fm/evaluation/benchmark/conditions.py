"""What the machine did during a measurement: load of others, stolen and throttled time, a falling clock.

Read from Linux's /proc and /sys; what is not there (no cpufreq in most virtual machines, no /proc elsewhere) is None in
the result and decides nothing. One measure needs no kernel: the time of a small, fixed piece of work in every round,
which grows when the clock falls.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_fm.evaluation.benchmark.statistics import Verdict
from edge_fm_runtime.system.machine import cgroup_folders
from edge_fm_runtime.system.own_processes import own_processes

MAX_OTHERS = 0.05
MAX_STEAL = 0.05
MAX_THROTTLED = 0.01
MAX_SLOWDOWN = 0.10
MIN_RUNNABLE = 0.25
_LOOKS = 20
_WORK = b"\0" * (1 << 18)
_TICKS = 100  # of /proc/stat, in a second and CPU: USER_HZ, a constant of the kernel's interface


@dataclass(frozen=True)
class Conditions:
    """What was seen between the start and the end of a measurement; shares are 0..1.

    Attributes:
        seconds: how long it took.
        cpus: CPUs that this process may use; all shares of CPU time are of these.
        others_share: CPU time that other processes and the kernel's own work took; the processes that engines start,
            such as a browser, are no others.
        others_runnable: mean number of other processes' threads that ran or wanted to run, over all looks.
        others_names: the busiest other programs and the CPU seconds that each took.
        steal_share: CPU time that the hypervisor gave to other machines.
        throttled_share: time in which a cgroup's quota held this process back.
        thermal_events: times that the CPU slowed itself because it was hot.
        clock_mhz: mean clock in the first and in the last quarter.
        work_slowdown: how much longer a fixed piece of work took in the last quarter than in the first.
        pressure_share: time in which some thread, ours or another, waited for a CPU (/proc/pressure/cpu).
    """

    seconds: float
    cpus: int
    others_share: float | None = None
    others_runnable: float | None = None
    others_names: tuple[tuple[str, float], ...] = ()
    steal_share: float | None = None
    throttled_share: float | None = None
    thermal_events: int | None = None
    clock_mhz: tuple[float, float] | None = None
    work_slowdown: float | None = None
    pressure_share: float | None = None

    def verdict(self) -> Verdict:
        """INVALID where the machine was not this measurement's own, or did not keep its speed."""
        reasons = []
        names = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.others_names[:3])
        seen = f" (busiest: {names})" if names else ""
        # Linux counts CPU time in ticks, so a short look is a coarse one.
        grain = 1.5 / (self.seconds * self.cpus * _TICKS) ** 0.5
        if self.others_share is not None and self.others_share > MAX_OTHERS + grain:
            share = f"{100 * self.others_share:.0f}% of the time of {self.cpus} {'CPU' if self.cpus == 1 else 'CPUs'}"
            reasons.append(f"other load seen: other processes took {share}{seen}")
        elif self.others_runnable is not None and self.others_runnable > max(MIN_RUNNABLE, MAX_OTHERS * self.cpus):
            reasons.append(
                f"other load seen: {self.others_runnable:.1f} threads of other processes wanted a CPU at any time{seen}"
            )
        if self.steal_share is not None and self.steal_share > MAX_STEAL:
            reasons.append(f"other load seen: the hypervisor took {100 * self.steal_share:.0f}% of the CPU time")
        if self.throttled_share is not None and self.throttled_share > MAX_THROTTLED:
            reasons.append(f"throttled: a CPU quota held it back {100 * self.throttled_share:.0f}% of the time")
        if self.thermal_events:
            reasons.append(f"throttled: the CPU slowed itself {self.thermal_events} times because it was hot")
        if self.clock_mhz is not None and self.clock_mhz[1] < (1 - MAX_SLOWDOWN) * self.clock_mhz[0]:
            first, last = self.clock_mhz
            reasons.append(f"throttled: the CPU's clock fell from {first:.0f} to {last:.0f} MHz")
        elif self.work_slowdown is not None and self.work_slowdown > MAX_SLOWDOWN:
            slower = f"{100 * self.work_slowdown:.0f}%"
            reasons.append(f"throttled: the same work took {slower} longer at the end than at the start")
        return Verdict(tuple(reasons))

    def to_json(self) -> dict[str, Any]:
        """All fields; `others_names` as objects."""
        named = [{"name": name, "cpu_s": seconds} for name, seconds in self.others_names]
        return asdict(self) | {"others_names": named, **self.verdict().to_json()}


@dataclass(frozen=True)
class _Process:
    """A line of /proc/PID/stat: seconds of CPU time of its own, and of the processes that it started and that ended."""

    name: str
    parent: int
    own_s: float
    ended_s: float

    @property
    def cpu_s(self) -> float:
        return self.own_s + self.ended_s


class Watch:
    """Watches the machine between its making and `stop`; call `look` between the rounds.

    Args:
        root: of the file system that is read.
        cgroups: folders of this process's CPU cgroups.

    Example:
        >>> watch = Watch()
        >>> watch.look()
        >>> watch.stop().seconds >= 0
        True
    """

    def __init__(self, root: Path = Path("/"), *, cgroups: Sequence[Path] | None = None) -> None:
        self._root = root
        self._cgroups = cgroup_folders() if cgroups is None else cgroups
        self._cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        self._work: list[float] = []
        self._clocks: list[float] = []
        self._runnable: list[int] = []
        self._next_scan = 0.0
        self._started = time.monotonic()
        self._before = self._read()

    def look(self) -> None:
        """Look at the clock, at the speed of a fixed piece of work, and now and then at who else wants a CPU."""
        self._work.append(min(_work_s() for _ in range(3)))
        if (clock := self._clock_mhz()) is not None:
            self._clocks.append(clock)
        if time.monotonic() >= self._next_scan:
            began = time.monotonic()
            found = self._others_runnable()
            if found is not None:
                self._runnable.append(found)
            # On a machine of many processes a scan is long: it may take a twentieth of the time, no more.
            self._next_scan = began + max(0.05, _LOOKS * (time.monotonic() - began))

    def stop(self) -> Conditions:
        """End the watch."""
        seconds = max(1e-3, time.monotonic() - self._started)
        before, after = self._before, self._read()
        budget = seconds * len(self._cpus)

        def grown(name: str) -> float | None:
            first, last = before.get(name), after.get(name)
            return None if first is None or last is None else max(0.0, last - first)

        busy, steal, own = grown("busy_s"), grown("steal_s"), grown("own_s")
        throttled, thermal, pressure = grown("throttled_s"), grown("thermal"), grown("pressure_s")
        return Conditions(
            seconds=seconds,
            cpus=len(self._cpus),
            others_share=None if busy is None or own is None else min(1.0, max(0.0, busy - own) / budget),
            others_runnable=float(np.mean(self._runnable)) if self._runnable else None,
            others_names=self._busiest(before["by_process"], after["by_process"]),
            steal_share=None if steal is None else min(1.0, steal / budget),
            throttled_share=None if throttled is None else throttled / seconds,
            thermal_events=None if thermal is None else int(thermal),
            clock_mhz=_ends(self._clocks),
            work_slowdown=None if (ends := _ends(self._work)) is None else ends[1] / ends[0] - 1,
            pressure_share=None if pressure is None else min(1.0, pressure / seconds),
        )

    def _read(self) -> dict[str, Any]:
        ours = self._helpers()
        own_s = _own_cpu_s() + sum(helper.cpu_s for helper in ours.values())
        found: dict[str, Any] = {"own_s": own_s, "by_process": dict(self._processes(ours))}
        wanted = {f"cpu{n}" for n in self._cpus}
        for line in _lines(self._root / "proc/stat"):
            name, *fields = line.split()
            if name in wanted and len(fields) >= 8:
                user, nice, system, _idle, _iowait, irq, softirq, steal = (int(f) / _TICKS for f in fields[:8])
                found["busy_s"] = found.get("busy_s", 0.0) + user + nice + system + irq + softirq
                found["steal_s"] = found.get("steal_s", 0.0) + steal
        for line in _lines(self._root / "proc/pressure/cpu"):
            if line.startswith("some ") and "total=" in line:
                found["pressure_s"] = int(line.rpartition("total=")[2]) / 1e6
        for folder in self._cgroups:
            for line in _lines(folder / "cpu.stat"):
                key, _, value = line.partition(" ")
                unit = {"throttled_usec": 1e6, "throttled_time": 1e9}.get(key)
                if unit is not None:
                    found["throttled_s"] = max(found.get("throttled_s", 0.0), int(value) / unit)
        for n in self._cpus:
            folder = self._root / f"sys/devices/system/cpu/cpu{n}/thermal_throttle"
            for counter in ("core_throttle_count", "package_throttle_count"):
                for line in _lines(folder / counter):
                    found["thermal"] = found.get("thermal", 0) + int(line)
        return found

    def _clock_mhz(self) -> float | None:
        files = [self._root / f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_cur_freq" for n in self._cpus]
        clocks = [int(line) / 1000 for file in files for line in _lines(file)]
        return float(np.mean(clocks)) if clocks else None

    def _helpers(self) -> dict[int, _Process]:
        """The processes that compute for this one, with all that they started, by their ids."""
        found = {pid: process for pid in own_processes() if (process := self._process(pid)) is not None}
        if found:
            others = {int(e.name): process for e in self._entries() if (process := self._process(int(e.name)))}
            while new := {pid: p for pid, p in others.items() if p.parent in found and pid not in found}:
                found |= new
        return found

    def _process(self, pid: int) -> _Process | None:
        for line in _lines(self._root / f"proc/{pid}/stat"):
            # The name may hold spaces and brackets; what follows its last bracket is plain.
            name, fields = line[line.find("(") + 1 : line.rfind(")")], line[line.rfind(")") + 2 :].split()
            if len(fields) > 14:
                own, ended = (sum(map(int, fields[at : at + 2])) / _TICKS for at in (11, 13))
                return _Process(name, int(fields[1]), own, ended)
        return None

    def _processes(self, ours: Collection[int]) -> Iterator[tuple[tuple[int, str], float]]:
        """CPU seconds so far of every other process."""
        for folder in self._entries():
            pid = int(folder.name)
            if pid not in ours and (process := self._process(pid)) is not None:
                yield (pid, process.name), process.own_s

    def _others_runnable(self) -> int | None:
        """Threads of other processes that run or wait for a CPU; None where there is no /proc."""
        count, seen, ours = 0, False, self._helpers()
        for folder in self._entries():
            seen = True
            if int(folder.name) in ours:
                continue
            try:
                tasks = list((folder / "task").iterdir())
            except OSError:
                continue  # it ended meanwhile
            for task in tasks:
                count += sum(line[line.rfind(")") + 2 :][:1] == "R" for line in _lines(task / "stat"))
        return count if seen else None

    def _entries(self) -> Iterator[Path]:
        """The folders of all processes but this one."""
        try:
            entries = list((self._root / "proc").iterdir())
        except OSError:
            return
        yield from (e for e in entries if e.name.isdigit() and int(e.name) != os.getpid())

    @staticmethod
    def _busiest(
        before: dict[tuple[int, str], float], after: dict[tuple[int, str], float]
    ) -> tuple[tuple[str, float], ...]:
        grown: Counter[str] = Counter()
        for key, seconds in after.items():
            grown[key[1]] += seconds - before.get(key, 0.0)  # type: ignore[assignment]  # floats count as well
        return tuple((name, round(seconds, 2)) for name, seconds in grown.most_common(5) if seconds >= 0.05)


def _work_s() -> float:
    start = time.perf_counter()
    hashlib.sha256(_WORK).digest()
    return time.perf_counter() - start


def _ends(values: Sequence[float]) -> tuple[float, float] | None:
    """Medians of the first and of the last quarter; None where there are too few."""
    quarter = len(values) // 4
    return None if quarter < 2 else (float(np.median(values[:quarter])), float(np.median(values[-quarter:])))


def _own_cpu_s() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:  # absent here, ended meanwhile, or not ours to read
        return []
