"""Other load, stolen and throttled time and a falling clock make a measurement INVALID, and nothing else does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_fm.evaluation.benchmark.conditions import Conditions, Watch
from edge_fm_runtime.system.own_processes import add_process, remove_process

linux = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="read from Linux's /proc")
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def quiet(**changed: object) -> Conditions:
    seen: dict[str, object] = {"seconds": 10.0, "cpus": 2, "others_share": 0.01, "others_runnable": 0.0}
    return Conditions(**(seen | {"steal_share": 0.0, "throttled_share": 0.0, "work_slowdown": 0.01} | changed))  # type: ignore[arg-type]


def test_a_quiet_machine_is_valid_also_where_nothing_can_be_read() -> None:
    assert quiet().verdict().valid
    assert Conditions(seconds=1.0, cpus=4).verdict().valid


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"others_share": 0.5, "others_names": (("stress", 10.0),)}, "other processes took 50% .*stress 10.0 s"),
        ({"others_runnable": 1.0}, "1.0 threads of other processes wanted a CPU"),
        ({"steal_share": 0.2}, "hypervisor took 20%"),
        ({"throttled_share": 0.3}, "quota held it back 30%"),
        ({"thermal_events": 3}, "slowed itself 3 times"),
        ({"clock_mhz": (3000.0, 1800.0)}, "fell from 3000 to 1800 MHz"),
        ({"work_slowdown": 0.4}, "40% longer"),
    ],
)
def test_what_spoils_a_measurement_is_reported(changed: dict[str, object], reason: str) -> None:
    verdict = quiet(**changed).verdict()
    assert len(verdict.reasons) == 1
    assert re.search(reason, str(verdict)), str(verdict)


def test_a_short_look_allows_for_the_grain_of_the_kernels_ticks() -> None:
    assert quiet(others_share=0.08, seconds=1.0).verdict().valid
    assert not quiet(others_share=0.08, seconds=60.0).verdict().valid


@linux
@pytest.mark.parametrize("nice", [0, 19])
def test_a_busy_process_beside_us_is_seen(nice: int) -> None:
    busy = subprocess.Popen([sys.executable, "-c", f"import os\nos.nice({nice})\nwhile True: pass"])
    try:
        time.sleep(0.5)
        watch = Watch()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            watch.look()
            sum(range(200_000))
        conditions = watch.stop()
    finally:
        busy.kill()
        busy.wait()
    assert not conditions.verdict().valid
    assert "other load seen" in str(conditions.verdict())


class Machine:
    """A made-up /proc and /sys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write()

    def write(self, *, busy: int = 0, steal: int = 0, throttled: int = 0, hot: int = 0, khz: int = 3_000_000) -> None:
        files = {"proc/stat": "".join(f"cpu{n} {busy} 0 0 0 0 0 0 {steal} 0 0\n" for n in CPUS)}
        files["cgroup/cpu.stat"] = f"nr_throttled 1\nthrottled_usec {throttled}\n"
        for n in CPUS:
            cpu = f"sys/devices/system/cpu/cpu{n}"
            files[f"{cpu}/thermal_throttle/core_throttle_count"] = f"{hot}\n"
            files[f"{cpu}/cpufreq/scaling_cur_freq"] = f"{khz}\n"
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def process(self, pid: int, name: str, *, parent: int, ticks: int, ended: int = 0) -> None:
        """A process that runs, with CPU time of its own and of those that it started and that ended."""
        line = f"{pid} ({name}) R {parent} 0 0 0 0 0 0 0 0 0 {ticks} 0 {ended} 0 20 0 1\n"
        for name in ("stat", f"task/{pid}/stat"):
            file = self.root / "proc" / str(pid) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(line)

    def watch(self) -> Watch:
        return Watch(self.root, cgroups=[self.root / "cgroup"])


def test_the_kernels_counters_are_read_as_differences(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write(busy=1000, steal=500, throttled=10_000_000, hot=7)
    watch = machine.watch()
    time.sleep(0.05)
    assert watch.stop().verdict().valid  # what was before does not count
    watch = machine.watch()
    time.sleep(0.05)
    machine.write(busy=1000, steal=600, throttled=10_500_000, hot=9)
    seen = watch.stop()
    assert seen.steal_share == 1.0 and seen.throttled_share is not None and seen.throttled_share > 1
    assert seen.thermal_events == 2 * len(CPUS)
    assert len(seen.verdict().reasons) == 3


def test_our_own_work_is_not_other_load(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    watch = machine.watch()
    before = time.process_time()
    while (own := time.process_time() - before) < 0.3:
        sum(range(100_000))
    machine.write(busy=round(100 * own / len(CPUS)))
    seen = watch.stop()
    assert seen.others_share is not None and seen.others_share < 0.05


@pytest.mark.parametrize("ours", [True, False])
def test_what_an_engines_own_processes_take_is_no_other_load(tmp_path: Path, ours: bool) -> None:
    machine = Machine(tmp_path)

    def write(ticks: int) -> None:
        machine.write(busy=ticks)
        machine.process(71, "browser (main) process", parent=1, ticks=ticks // 4, ended=ticks // 4)
        machine.process(73, "page", parent=72, ticks=ticks * len(CPUS) - ticks // 2)
        machine.process(72, "zygote", parent=71, ticks=0)

    write(1000)
    if ours:
        add_process(71)
    try:
        watch = machine.watch()
        time.sleep(0.1)
        watch.look()
        write(2000)
        seen = watch.stop()
    finally:
        remove_process(71)
    assert seen.others_share is not None and seen.others_runnable is not None
    assert (seen.others_share < 0.2, seen.others_runnable) == ((True, 0) if ours else (False, 3))
    assert {name for name, _ in seen.others_names} == (set() if ours else {"browser (main) process", "page"})


def test_a_falling_clock_is_seen(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    watch = machine.watch()
    for khz in [3_000_000] * 10 + [1_500_000] * 10:
        machine.write(khz=khz)
        watch.look()
    seen = watch.stop()
    assert seen.clock_mhz == (3000.0, 1500.0)
    assert "clock fell from 3000 to 1500 MHz" in str(seen.verdict())
