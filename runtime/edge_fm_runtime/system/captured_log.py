"""Keep known log lines of C++ libraries off a command's stderr, and nothing else."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def known_log_lines_hidden(known: re.Pattern[bytes]) -> Iterator[None]:
    """Capture what C++ code writes to file descriptor 2; afterwards write all lines to stderr but the known ones.

    Where an error is raised within, the captured log is dropped: native code logs the same error over many lines.

    Args:
        known: matches the beginning of a line that is left out.
    """
    try:
        sys.stderr.flush()
        stderr = os.dup(2)
    except (OSError, ValueError, AttributeError):  # a process without stderr
        yield
        return
    try:
        captured = tempfile.TemporaryFile()  # noqa: SIM115  # closed by the with below
    except OSError:  # a system that is read-only throughout: the log is not captured
        os.close(stderr)
        yield
        return
    with captured as file:
        os.dup2(file.fileno(), 2)
        raised = False
        try:
            yield
        except Exception:
            raised = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            file.seek(0)
            log_lines = b"".join(line for line in file if not known.match(line))
            if log_lines.strip() and not raised:
                os.write(2, log_lines)
