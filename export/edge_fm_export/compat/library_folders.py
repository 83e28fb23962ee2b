"""Folders that Keras and Matplotlib would otherwise make in the user's home: they lie in EdgeFM's cache folder.

Only documented environment variables of these libraries are set, so this is for every version of them; it may go when
they can be imported without writing to the user's home.

What a person has set up for these libraries (`KERAS_HOME`, `~/.keras/keras.json`, `MPLCONFIGDIR`, a `matplotlibrc`) is
followed as before; a library that the program has imported itself is left alone.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_fm_runtime.system.user_cache import own_folder, user_home


def _library_folder(name: str) -> str:
    """A folder in the cache; where there is none that can be written to, a temporary one of this process."""
    folder = own_folder("libraries", name)
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix=f"edgefm-{name}-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return str(folder)


def use_own_matplotlib_folder() -> None:
    """Import Matplotlib, if it is installed, with its list of fonts in the cache folder.

    A `matplotlibrc` in the current folder, which anyone may have written, is not followed: it could have LaTeX run.
    """
    if "matplotlib" in sys.modules:
        return
    if "MPLCONFIGDIR" not in os.environ:
        home, given = user_home(), os.environ.get("XDG_CONFIG_HOME")
        config = Path(given) if given else None if home is None else home / ".config"
        settings = None if config is None else config / "matplotlib" / "matplotlibrc"
        if settings is not None and os.access(settings, os.R_OK):
            os.environ.setdefault("MATPLOTLIBRC", str(settings))
        os.environ["MPLCONFIGDIR"] = _library_folder("matplotlib")
    try:
        import matplotlib as mpl
    except ImportError:
        return
    if Path(mpl.matplotlib_fname()).absolute() == Path("matplotlibrc").absolute():
        mpl.rcdefaults()


@contextmanager
def some_home_folder() -> Iterator[None]:
    """Import NNCF within this: for a user without a home folder, as in many containers, it gets a temporary one.

    NNCF (seen with 3.4) looks for the home folder when it is imported, and fails without one. HOME is a documented
    setting, so this is for every version. May go when NNCF is imported without a home folder.
    """
    if user_home() is not None:
        yield
        return
    before = os.environ.get("HOME")
    os.environ["HOME"] = _library_folder("home")
    try:
        yield
    finally:
        del os.environ["HOME"]
        if before is not None:
            os.environ["HOME"] = before


@contextmanager
def own_keras_folder() -> Iterator[None]:
    """Import Keras (and TensorFlow, which imports it) within this: without a settings file it would write one."""
    use_own_matplotlib_folder()  # Keras imports it too
    home = user_home()
    written = home is not None and os.access(home / ".keras" / "keras.json", os.F_OK)
    if "keras" in sys.modules or "KERAS_HOME" in os.environ or written:
        yield
        return
    os.environ["KERAS_HOME"] = _library_folder("keras")
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]  # ImageNet weights still go where Keras keeps them, as the documentation says
