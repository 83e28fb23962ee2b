"""Python's exit functions, run without what else the end of an interpreter does."""

from __future__ import annotations

import atexit
import sys
from pathlib import PurePath


def run_exit_functions() -> None:
    """Call what was registered with `atexit`, and leave running threads alone.

    `sys.exit` waits for threads first, which an interrupted library may have left in the middle of their work. Python
    has no public function for this; every version that the project supports has this one. May go when Python
    documents one.
    """
    atexit._run_exitfuncs()


def exit_functions_registered() -> bool:
    """Whether anything was registered with `atexit` so far, such as by `sitecustomize`.

    Python has no public function for this; every version that the project supports has this one. Without it, yes
    is assumed. May go when Python documents one.
    """
    count = getattr(atexit, "_ncallbacks", None)
    return count is None or count() > 0


def is_program(package: str, script: str) -> bool:
    """Whether this process runs `python -m package` or the installed `script`, and not a program that imports it."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return bool(spec.name == f"{package}.__main__")
    return PurePath(getattr(main, "__file__", None) or "").stem == script
