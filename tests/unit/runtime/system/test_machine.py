"""The CPUs that this process may use, by affinity and cgroup quota."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edge_fm_runtime.system.machine import cpu_budget, describe_machine


def test_budget_never_exceeds_affinity_and_says_why() -> None:
    budget = cpu_budget()
    assert 1 <= budget.threads <= budget.affinity <= budget.present
    assert budget.reason
    assert describe_machine()["threads"] == budget.threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_one_allowed_cpu_gives_one_thread() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from edge_fm_runtime.system.machine import cpu_budget; b = cpu_budget(); print(b.threads, b.reason)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("1 ")
    if (os.cpu_count() or 1) > 1:
        assert "affinity" in out


def test_cgroup_quota_is_read(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_fm_runtime.system import machine

    (tmp_path / "cpu.max").write_text("50000 100000\n")
    monkeypatch.setattr(machine, "_CGROUP_ROOT", tmp_path)
    budget = machine.cpu_budget()
    assert (budget.quota, budget.threads) == (0.5, 1)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cpu_budget().quota is None
