"""Ctrl-C while `edgefm doctor` looks at what is installed ends it; it is no fault of the installation."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            sys.meta_path.remove(self)
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from edge_fm.api.doctor import _onnxruntime

try:
    print(_onnxruntime())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interruption_while_numpy_is_imported_is_not_taken_for_a_broken_installation() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "interrupted\n"
    assert "Traceback" not in done.stderr
