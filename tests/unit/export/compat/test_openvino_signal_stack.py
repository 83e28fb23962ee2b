"""The signal stack that OpenVINO's cores leave behind, and that it is put back; in processes that have no core yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.needs("openvino"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sigaltstack is called on Linux alone"),
]

_CORES = """
from contextlib import nullcontext
from edge_fm_export.compat.openvino_signal_stack import signal_stack, signal_stack_restored
import openvino

before = signal_stack().pointer
with {context}():
    first, second = openvino.Core(), openvino.Core()
    for core in (first, second):
        core.get_property("CPU", "FULL_DEVICE_NAME")  # loads the CPU plugin
    del core, first
    del second
print(signal_stack().pointer == before)
"""


@pytest.mark.parametrize(
    ("context", "restored"),
    # The first: as long as this is so, the workaround is needed.
    [("nullcontext", "False"), ("signal_stack_restored", "True")],
)
def test_cores_leave_the_stack_of_one_that_is_gone(context: str, restored: str) -> None:
    code = _CORES.format(context=context)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [restored]
