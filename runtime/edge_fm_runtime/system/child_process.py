"""Child processes: this interpreter again, importing from where this process does, but never from the current folder.

The current folder may be one of photos or of models that somebody else made: a `json.py` there must not run.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

_OURS = ("edge_fm", "edge_fm_export", "edge_fm_runtime")
# -I: neither the current folder nor PYTHONPATH is searched, not even while Python starts; the path is then set.
_START = (
    "import json, sys; sys.path[:], module = json.loads(sys.argv[1]); "
    "from importlib import import_module; import_module(module).main(sys.argv[2:])"
)


def import_path() -> list[str]:
    """Where this process imports from, absolute, without the current folder unless EdgeFM itself lies there."""
    roots = [folder for name in _OURS for folder in _root(name)]
    try:
        current = os.path.realpath(os.curdir)
    except FileNotFoundError:  # it was removed: nothing is imported from there
        current = ""
    entries = [os.path.realpath(entry) for entry in sys.path if entry and (current or Path(entry).is_absolute())]
    searched = [entry for entry in entries if entry != current or entry in roots]
    return [*searched, *(root for root in dict.fromkeys(roots) if root not in searched)]


def child_command(module: str, *arguments: str) -> list[str]:
    """The command line of a child process that calls `module.main(arguments)`.

    Args:
        module: of EdgeFM; its `main` takes a list of strings.
        arguments: what it takes.
    """
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    return [sys.executable, *flags, "-c", _START, json.dumps([import_path(), module]), *arguments]


def _root(package: str) -> list[str]:
    """The folder that a package of ours is imported from; nothing for one that is not installed."""
    spec = find_spec(package)
    found = [] if spec is None else spec.submodule_search_locations or []
    return [os.path.realpath(Path(folder).parent) for folder in found]
