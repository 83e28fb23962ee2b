"""Another library's error in one line, for a message of ours."""

from __future__ import annotations

import re

_MAX_CHARACTERS = 300
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# Keras names the call that failed, OpenVINO lines of its source; what went wrong comes after that.
_FRAMES = re.compile(r"Exception encountered when calling |Check '.*' failed at |Exception from \S+:\d+:$")


def brief(error: BaseException) -> str:
    r"""The first line of an error's text that names the fault, cut where it is very long; else the error's kind.

    Example:
        >>> brief(RuntimeError("Exception from src/inference/src/cpp/core.cpp:84:\nUnable to read the model\n\n"))
        'Unable to read the model'
    """
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines() if line.strip()]
    faults = [line for line in lines if not _FRAMES.match(line)]
    text = (faults or lines or [type(error).__name__])[0]
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 3]}..."
