"""What decoders write to stderr by themselves about damaged photos is not shown: the error says it, once."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def silence_pillow_log() -> None:
    """Where nobody has set up logging, Pillow would log damaged files to stderr."""
    import logging

    logging.getLogger("PIL").addHandler(logging.NullHandler())


@cache
def silence_libtiff() -> None:
    """Take libtiff's handlers away, which write each error and warning to file descriptor 2; Pillow has no option.

    The functions are looked up through Pillow's own extension module, which finds the libtiff that Pillow decodes
    with, and no other one in the process. Where it is linked in without its names (Windows), it goes on writing.
    """
    import ctypes

    from PIL import Image

    pillow: Any = Image
    try:
        library = ctypes.CDLL(pillow.core.__file__)
        setters = library.TIFFSetErrorHandler, library.TIFFSetWarningHandler
    except (AttributeError, ImportError, OSError):
        return
    for setter in setters:
        setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
        setter(None)
