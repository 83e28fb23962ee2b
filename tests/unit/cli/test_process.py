"""The process of the command line: how it starts, and how it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ENDING = """
import atexit, gc, sys, threading, time
from edge_fm.process import run_process, skip_teardown

class Noted:
    def __del__(self):
        if sys is not None and sys.meta_path is None:  # only while the interpreter is taken apart
            import os
            os.write(2, b"torn down")

kept = Noted()
kept.itself = kept

def run():
    atexit.register(lambda: sys.stdout.write("exit function\\n"))
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
    print("result")
    {skip}
    sys.exit({code})

sys.modules["__main__"].__file__ = "/usr/bin/edgefm"  # as the installed script
run_process(run)
"""


@pytest.mark.parametrize("code", [0, 4])
@pytest.mark.parametrize("skip", ["skip_teardown()", "pass"])
def test_a_process_that_skips_its_teardown_loses_nothing(skip: str, code: int) -> None:
    script = _ENDING.format(skip=skip, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert sorted(done.stdout.splitlines()) == ["exit function", "result", "thread"]
    assert (done.stderr == "") == (skip != "pass")


def test_what_a_command_imports_is_left_out_of_garbage_collections() -> None:
    script = """
import gc, sys
from edge_fm.__main__ import main
sys.argv = ["edgefm", "infer", "--help"]
try:
    main()
finally:
    assert gc.isenabled() and gc.get_freeze_count() > 1000
"""
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


def test_a_program_that_calls_the_command_line_keeps_its_end() -> None:
    script = """
import atexit, sys
atexit.register(lambda: print("mine"))
from edge_fm.__main__ import main
sys.argv = ["edgefm", "infer", "absent.jpg", "--model", "edgenet-s-onnx-int8"]
try:
    main()
except SystemExit as end:
    print("ended with", end.code)
sys.exit(3)
"""
    for preamble in ("", "import sys; sys.modules['__main__'].__file__ = '/usr/bin/edgefm'"):
        done = subprocess.run([sys.executable, "-c", preamble + script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.splitlines()[-2:]) == (3, ["ended with 1", "mine"])
