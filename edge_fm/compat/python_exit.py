"""Python's exit functions, run without what else the end of an interpreter does."""

from __future__ import annotations

import atexit


def run_exit_functions() -> None:
    """Call what was registered with `atexit`, and leave running threads alone.

    `sys.exit` waits for threads first, which an interrupted library may have left in the middle of their work. Python
    has no public function for this; every version that the project supports has this one. May go when Python
    documents one.
    """
    atexit._run_exitfuncs()
