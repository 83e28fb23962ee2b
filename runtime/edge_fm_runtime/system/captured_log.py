"""Keep the chatter of C++ libraries off a command's stderr, and nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_noise_hidden(noise: re.Pattern[bytes]) -> Iterator[None]:
    """Keep what C++ code writes to file descriptor 2 in a file; afterwards pass on all lines but the known noise.

    Where an error is raised within, nothing is passed on: the error says it, and native code tells it once more over
    many lines, which nobody can tell apart from the next message.

    Args:
        noise: matches the beginning of a line that is to be left out.
    """
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # a process without stderr has nothing to keep clean
        yield
        return
    try:
        kept_lines = tempfile.TemporaryFile()  # noqa: SIM115  # closed by the with below
    except OSError:  # a system that is read-only throughout: rather the chatter than no prediction
        os.close(kept)
        yield
        return
    with kept_lines as file:
        os.dup2(file.fileno(), 2)
        raised = False
        try:
            yield
        except Exception:
            raised = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            told = b"".join(line for line in file if not noise.match(line))
            if told.strip() and not raised:
                os.write(2, told)
