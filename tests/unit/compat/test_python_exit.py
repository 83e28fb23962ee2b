"""Exit functions run without waiting for threads; fails when Python documents a function for that."""

from __future__ import annotations

import atexit
import subprocess
import sys

from time_limits import HANG_S

_SCRIPT = """
import atexit, os, threading, time
from edge_fm.compat.python_exit import run_exit_functions
atexit.register(print, "exit function", flush=True)
threading.Thread(target=time.sleep, args=(3600,)).start()
run_exit_functions()
os._exit(3)
"""


def test_exit_functions_run_while_a_thread_does() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], check=False, capture_output=True, text=True, timeout=HANG_S)
    assert (done.returncode, done.stdout) == (3, "exit function\n"), done.stderr


def test_python_still_has_no_public_function_for_it() -> None:
    assert not hasattr(atexit, "run_exitfuncs"), "run_exit_functions can use atexit.run_exitfuncs"
